"""Arms: settings, opened -> rounds of pictures, read and cut out as a run does, and not written.

In: settings of the command, and sources. Out: an arm, whose rounds do all pictures by the steps of
a run with their threads; in this process, or shared out among several, each with its own model.
Opening fails as `RemBGDoFn.setup` does, with `ValueError` for settings that make no sense, and with
`RuntimeError` where a process of several can't go on.
"""

import contextlib
import itertools
import signal
import time
from typing import Any, Dict, Iterator, List, NamedTuple, Sequence, Tuple, Union

from apache_beam.pvalue import TaggedOutput
from apache_beam.transforms.window import GlobalWindows

from ...transforms.elements import Cutout, Failure, Source, known
from ...transforms.models.opening import Loaded
from .. import warm
from ..settings import SETTINGS, Settings
from ..values import checked
from .search import Change, Round

# The key of Beam's options among changes, as in settings files.
BEAM = "beam"

# What makes workers of processes.
MODE, WORKERS = "direct_running_mode", "direct_num_workers"

# For a process to import, to load its model, and to be through with a round.
PROCESS_SECONDS = 600.0


class Done(NamedTuple):
    """A picture that was done: what became of it, and what was learnt of it."""

    source: Source
    result: Union[Cutout, Failure]
    facts: Dict[str, Any]


class Here:
    """The steps of a run, in this process.

    Args:
      settings: of the command.
    """

    def __init__(self, settings: Settings) -> None:
        remove = settings.job().remove
        self._read, self._remove, _ = remove.steps(remove.columns())

    def __enter__(self) -> "Here":
        self._read.setup()
        self._remove.setup()
        return self

    def __exit__(self, *_: object) -> None:
        for step in (self._read, self._remove):  # what is not begun yet is let go
            step.start_bundle()
        self._remove.teardown()

    @property
    def threads(self) -> int:
        """Pictures in work at once."""
        return self._remove.threads

    @property
    def loaded(self) -> Loaded:
        """The model."""
        return self._remove.engine.open()

    def done(self, sources: Sequence[Source]) -> Iterator[Done]:
        """Each picture, in the order they become ready."""
        self._read.start_bundle()
        self._remove.start_bundle()
        for source in sources:
            for stored in self._read.process(source, GlobalWindows.windowed_value(source)):
                yield from self._removed(stored)
        for stored in self._read.finish_bundle():
            yield from self._removed(stored)
        yield from map(_as_done, self._remove.finish_bundle())

    def _removed(self, stored: Any) -> Iterator[Done]:
        if isinstance(stored, TaggedOutput):
            yield _as_done(stored)
        else:
            yield from map(_as_done, self._remove.process(stored.value, stored))


def _as_done(output: Any) -> Done:
    windowed = output.value if isinstance(output, TaggedOutput) else output
    source, result = windowed.value
    return Done(source, result, known(result.facts))


def changed(settings: Settings, change: Change) -> Settings:
    """The settings with a change, as a file would make it."""
    own = {name: checked(SETTINGS[name], value) for name, value in change.items() if name != BEAM}
    return Settings(**{**vars(settings), **own})


@contextlib.contextmanager
def opened(settings: Settings, sources: Sequence[Source], change: Change) -> Iterator[Round]:
    """An arm of changed settings; a round does all the sources. It is warm."""
    processes = int(change.get(BEAM, {}).get(WORKERS, 1))
    own = changed(settings, change)
    with _several(own, sources, processes) if processes > 1 else _alone(own, sources) as round:
        yield round


@contextlib.contextmanager
def _alone(settings: Settings, sources: Sequence[Source]) -> Iterator[Round]:
    with Here(settings) as here:
        for _ in here.done(sources[: here.threads]):  # its first pictures take longer
            pass

        def round() -> float:
            start = time.perf_counter()
            for _ in here.done(sources):
                pass
            return time.perf_counter() - start

        yield round


@contextlib.contextmanager
def _several(settings: Settings, sources: Sequence[Source], processes: int) -> Iterator[Round]:
    from loky.backend import get_context

    context = get_context("loky")  # which doesn't import the main program in each process
    started: List[Tuple[Any, Any]] = []
    try:
        for number in range(processes):
            own = list(itertools.islice(sources, number, None, processes))
            here, there = context.Pipe()
            arguments = (there, vars(settings), own)
            process = context.Process(target=_serve, args=arguments, daemon=True)
            process.start()
            there.close()
            started.append((process, here))
        connections = [connection for _, connection in started]
        _answers(connections)

        def round() -> float:
            start = time.perf_counter()
            for connection in connections:
                connection.send(True)
            _answers(connections)
            return time.perf_counter() - start

        yield round
    finally:
        for process, connection in started:
            connection.close()
            process.terminate()  # it keeps nothing
            process.join()


def _answers(connections: Sequence[Any]) -> None:
    """Waits for all; raises what one of them says, or that it is gone."""
    for connection in connections:
        try:
            if not connection.poll(PROCESS_SECONDS):
                raise RuntimeError(f"a process does not answer for {PROCESS_SECONDS:.0f} s")
            if error := connection.recv():
                raise RuntimeError(error)
        except EOFError:
            raise RuntimeError("a process ended, perhaps for lack of memory") from None


def _serve(connection: Any, values: Dict[str, Any], sources: Sequence[Source]) -> None:
    """A process of several: a round for each message, until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        warm.load()
        with _alone(Settings(**values), sources) as round:
            while True:
                connection.send("")
                connection.recv()
                round()
    except EOFError:
        return
    except Exception as error:
        connection.send(str(error) or type(error).__name__)
