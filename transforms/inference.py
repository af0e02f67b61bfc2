"""RemBGModelHandler: rembg as a model of Beam's `RunInference`.

In: pictures, each the bytes of its file, a `Stored` with rembg arguments of its own, an image of
Pillow's, or an array. Out, for each: a `PredictionResult` of the picture, its cutout, and the
model. A picture that has no cutout has a `Failure` in its place; its neighbours in the batch don't
notice; an element that is no picture at all, such as a name, has one too, a `TypeError`. A batch is
worked on by all threads of the process that has the model.

`load_model` fails when no session can be made: no onnxruntime, no model file, or a provider that is
not in use.
"""

import contextlib
import json
import time
import weakref
from dataclasses import replace
from functools import partial
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Union

import numpy as np
from apache_beam.ml.inference.base import ModelHandler, PredictionResult
from PIL import Image

from .cascade import Cascade
from .elements import Cutout, CutoutArrays, Facts, Failure, merged, size_of, to_json
from .engine import Engine, Removed
from .models import sessions
from .models.config import SessionConfig
from .models.opening import open_session
from .pictures.decode import MAX_PIXELS
from .pictures.encode import Encoding
from .pictures.errors import DecodeError
from .pictures.given import ARRAYS, BYTES, bytes_of, given
from .pictures.options import RemoveOptions
from .pictures.postprocessing import PostProcessing, check_outputs
from .pictures.suspect import Suspicion
from .rembg_dofn import STEP, RemoveSettings, count_cutout, default_threads
from .runtime import failures, memory, metrics, slow
from .runtime.concurrency import Done, Took, pool, timed
from .runtime.step import taken
from .setting import Setting
from .store import uris

# Of the pictures in a batch, in pixels.
MAX_BATCH_WEIGHT = 128_000_000

# Pixels that a smaller picture weighs too: the model works on about as many, whatever its size.
LEAST_WEIGHT = 100_000

# What a picture is taken to weigh where Beam counts and doesn't weigh.
MEGAPIXEL = 1_000_000

_WEIGHT = Setting("", kind="integer", minimum=1, name="max_batch_weight", default=MAX_BATCH_WEIGHT)
_SECONDS = Setting("", kind="number", above=0, name="max_batch_duration_secs")
_COPIES = Setting("", kind="integer", minimum=1, name="model_copies")

Inference = Union[Cutout, CutoutArrays, Failure]


class PictureFailed(RuntimeError):
    """A picture has no cutout; the message says in which step, and why."""


class Example(NamedTuple):
    """A picture to work on, its own arguments as JSON, and what is known of it."""

    picture: Any
    extras: str = "{}"
    facts: Facts = Facts()


class Result(NamedTuple):
    """What became of a picture, and the seconds that a thread took."""

    inference: Inference
    seconds: float


class Remover:
    """The model: an engine that is open, and its threads; several processes may share one.

    Args:
      engine: not opened yet.
      threads: pictures in work at once; None for `default_threads`.
    """

    def __init__(self, engine: Engine, threads: Optional[int]) -> None:
        self._engine = engine
        loaded = engine.open()
        self._threads = threads or default_threads(loaded)
        # When the process ends, nobody waits for it.
        weakref.finalize(self, engine.close).atexit = False

    def remove(
        self, examples: Sequence[Example], arguments: Mapping[str, Any], as_arrays: bool
    ) -> List[Result]:
        """What becomes of each picture, in their order; what goes in and out can be pickled.

        Args:
          examples: the pictures.
          arguments: for `rembg.remove`, of all; a picture's own go before them.
          as_arrays: give `CutoutArrays`.
        """
        work = partial(self._timed, arguments=arguments, as_arrays=as_arrays)
        with memory.budget().hold(memory.READ, sum(map(_size, examples)), wait=False):
            arrived = time.perf_counter()
            done = list(pool("inference", self._threads).map(work, examples))
        return [
            _result(example.facts, each.result, each.took(arrived))
            for example, each in zip(examples, done, strict=True)
        ]

    def _timed(self, example: Example, **asked: Any) -> Done:
        return timed(partial(self._attempt, example, **asked), contextlib.nullcontext())

    def _attempt(
        self, example: Example, arguments: Mapping[str, Any], as_arrays: bool
    ) -> Union[Removed, Failure]:
        own = failures.attempt(STEP, _merged_extras, arguments, example.extras)
        if isinstance(own, Failure):
            return own
        result = self._engine.attempt(example.picture, own, "a picture", as_arrays=as_arrays)
        return result if isinstance(result, Removed) else failures.failure(STEP, *result)


class RemBGModelHandler(ModelHandler[Any, PredictionResult, Remover]):
    """rembg as a model of Beam's `RunInference`, for a pipeline with pictures of its own.

        results = pictures | RunInference(RemBGModelHandler("u2net"))

    Elements are pictures: the bytes of a file, a `Stored`, an image of Pillow's, or an array, uint8
    [height, width], [height, width, 3] (RGB) or [height, width, 4] (RGBA). With `KeyedModelHandler`
    around it they are pairs of a key and a picture. `inference_args` of `RunInference` are
    arguments of `rembg.remove`, over `options` and below those of a `Stored`.

    A `PredictionResult` has the picture as `example`, a `Cutout`, `CutoutArrays` or `Failure` as
    `inference`, and as `model_id` the model's name, or the path of its file where one was given.

    Args:
      session: which model runs on which provider: a `SessionConfig`, or a model's name for the CPU.
      options: arguments of `rembg.remove` for every picture.
      encoding: of the cutouts.
      as_arrays: give `CutoutArrays`: cutouts, or masks, that are not encoded.
      max_batch_weight: pixels of the pictures in a batch at most; a batch is in memory as a whole,
        and so is what becomes of it. Raise it where many cores wait for the last picture of each.
      max_batch_duration_secs: seconds that pictures are gathered for a batch, across bundles; for
        streams, whose bundles are small. Pictures then count as a megapixel each.
      large_model: the processes of a machine share one model, which is in one of them.
      model_copies: they share so many; those in one process have one session between them.
      remove_threads: pictures in work at once in a process; None for as many as `RemBGDoFn` has.
      max_memory: bytes of pictures in flight in a process; None for half of what it may use.
      max_pixels: a larger picture is a failure, seen before it is decoded.
      max_picture_seconds: a picture in work for longer is named in the log meanwhile; it goes on.
      postprocessing: what becomes of masks and cutouts beyond what rembg does.
      suspicion: from where on a mask is suspect.
      facts: those asked for of each subject, such as `["box", "area"]`; `["all"]` for all.
      cascade: models that are asked where a mask is suspect.
      opener: makes a session of a configuration; a test may give its own.
    """

    def __init__(
        self,
        session: Union[SessionConfig, str],
        *,
        options: Optional[RemoveOptions] = None,
        encoding: Optional[Encoding] = None,
        as_arrays: bool = False,
        max_batch_weight: int = MAX_BATCH_WEIGHT,
        max_batch_duration_secs: Optional[float] = None,
        large_model: bool = False,
        model_copies: Optional[int] = None,
        remove_threads: Optional[int] = None,
        max_memory: Optional[int] = None,
        max_pixels: int = MAX_PIXELS,
        max_picture_seconds: float = slow.SECONDS,
        postprocessing: Optional[PostProcessing] = None,
        suspicion: Optional[Suspicion] = None,
        facts: Optional[Sequence[str]] = None,
        cascade: Optional[Cascade] = None,
        opener: sessions.Opener = open_session,
    ) -> None:
        super().__init__()
        self.removal = RemoveSettings(
            session=session,
            options=options or RemoveOptions(),
            encoding=encoding or Encoding(),
            remove_threads=remove_threads,
            max_memory=max_memory,
            max_pixels=max_pixels,
            max_picture_seconds=max_picture_seconds,
            postprocessing=postprocessing or PostProcessing(),
            suspicion=suspicion or Suspicion(),
            facts=tuple(facts) if facts else None,
            cascade=cascade or Cascade(),
            opener=opener,
        )
        self.as_arrays, self.max_batch_weight = as_arrays, max_batch_weight
        self.max_batch_duration_secs = max_batch_duration_secs
        self._large_model, self._model_copies = large_model, model_copies
        _check_batches(max_batch_weight, max_batch_duration_secs, model_copies)

    @staticmethod
    def raise_failure(result: Any) -> Any:
        """A `PredictionResult`, keyed or not, unless it is a failure: that raises `PictureFailed`.

        With it a failure is an exception as other models have it: it stops the pipeline, or with
        `with_exception_handling` comes out, alone, as one of `failed_postprocessing`.

            handler.with_postprocess_fn(RemBGModelHandler.raise_failure)
        """
        prediction = result if hasattr(result, "inference") else result[1]
        if isinstance(prediction.inference, Failure):
            step, error, message, _ = prediction.inference
            raise PictureFailed(f"{step}: {error}: {message}")
        return result

    def load_model(self) -> Remover:
        return Remover(self.removal.step().engine, self.removal.remove_threads)

    def run_inference(
        self,
        batch: Sequence[Any],
        model: Remover,
        inference_args: Optional[Dict[str, Any]] = None,
    ) -> List[PredictionResult]:
        taken_up = [failures.attempt(STEP, _example, element) for element in batch]
        examples = [each for each in taken_up if isinstance(each, Example)]
        done = iter(model.remove(examples, inference_args or {}, self.as_arrays))
        results = [Result(e, 0.0) if isinstance(e, Failure) else next(done) for e in taken_up]
        for result in results:
            _count(result)
        config = self.removal.config
        model_id = config.model_path or config.model
        return [
            PredictionResult(picture, result.inference, model_id)
            for picture, result in zip(batch, results, strict=True)
        ]

    def get_num_bytes(self, batch: Sequence[Any]) -> int:
        found = [failures.attempt(STEP, _example, element) for element in batch]
        return sum(_size(each) for each in found if isinstance(each, Example))

    def get_metrics_namespace(self) -> str:
        return metrics.NAMESPACE

    def batch_elements_kwargs(self) -> Dict[str, Any]:
        if self.max_batch_duration_secs is not None:
            most = max(self.max_batch_weight // MEGAPIXEL, 1)
            return {"max_batch_size": most, "max_batch_duration_secs": self.max_batch_duration_secs}
        most = self.max_batch_weight
        weigh = partial(weight, most=most, max_pixels=self.removal.max_pixels)
        return {"min_batch_size": most, "max_batch_size": most, "element_size_fn": weigh}

    def share_model_across_processes(self) -> bool:
        return self._large_model or self._model_copies is not None

    def model_copies(self) -> int:
        return self._model_copies or 1

    def validate_inference_args(self, inference_args: Optional[Dict[str, Any]]) -> None:
        options = self.removal.options.with_extras(inference_args or {})
        check_outputs(options, self.removal.encoding, self.removal.postprocessing)

    def update_model_path(self, model_path: Optional[str] = None) -> None:
        if model_path:
            session = replace(self.removal.config, model_path=model_path)
            self.removal = replace(self.removal, session=session)


def _check_batches(most: int, seconds: Optional[float], copies: Optional[int]) -> None:
    _WEIGHT.check(most)
    _SECONDS.check(seconds)
    _COPIES.check(copies)


def weight(element: Any, *, most: int, max_pixels: int) -> int:
    """What a picture, keyed or not, weighs in a batch: its pixels, within bounds.

    Args:
      element: a picture, or a pair of a key and one.
      most: what a batch weighs; Beam would put an empty batch before a picture that weighs more.
      max_pixels: a larger picture is refused, and weighs nothing to speak of; nor does what is no
        picture.
    """
    is_keyed = isinstance(element, tuple) and len(element) == 2 and not hasattr(element, "data")
    try:
        example = _example(element[1] if is_keyed else element)
        width, height = given(example.picture, max_pixels).size
    except (DecodeError, TypeError):
        width = height = 0
    return min(max(width * height, LEAST_WEIGHT), most)


def _example(element: Any) -> Example:
    if isinstance(element, (Image.Image, np.ndarray)):
        return Example(element)
    if isinstance(element, BYTES):
        return Example(bytes(element))
    if hasattr(element, "extras") and isinstance(getattr(element, "data", None), BYTES):
        return Example(bytes(element.data), element.extras, element.facts)
    shown = uris.without_secrets_in(repr(element))[:200]
    raise TypeError(
        f"RemBGModelHandler got {shown}, of type {type(element).__name__}: its examples are the "
        f"bytes of a file, Stored(bytes, extras), an image of Pillow's, or an array, {ARRAYS}"
    )


def _size(example: Example) -> int:
    return bytes_of(example.picture)


def _merged_extras(arguments: Mapping[str, Any], extras: str) -> str:
    return to_json({**arguments, **json.loads(extras)}) if arguments else extras


def _result(before: Facts, done: Union[Removed, Failure], took: Took) -> Result:
    found: Any = done
    if isinstance(done, Removed):
        # Whoever takes it accounts for it from here.
        done.lease.release()
        found = done.cutout
    facts = merged(before, found.facts, taken(STEP, took))
    return Result(found._replace(facts=facts), took.seconds)


def _count(result: Result) -> None:
    """On the bundle's thread only."""
    found, seconds = result
    if isinstance(found, Failure):
        metrics.count_failure(STEP, seconds=seconds)
        return
    count_cutout(found.facts, is_empty=not size_of(found))
    metrics.count_step(STEP, size=size_of(found), seconds=seconds)
