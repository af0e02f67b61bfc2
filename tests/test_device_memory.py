"""A card whose memory runs out: batches get smaller and stay so, and nothing moves to the CPU."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any, Callable, List

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from support import standins

from rembg_beam.transforms import Failure, RemBGDoFn
from rembg_beam.transforms.models import device_memory, rembg_session
from rembg_beam.transforms.models.batching import AT_ONCE, Batching
from rembg_beam.transforms.models.device_memory import OutOfMemory

# Of numbers that the graph makes of one picture.
WIDTH = 1_000_000


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A session on the CPU whose allocator, of the kind that CUDA's is, has room for 48 MB.

    The graph makes two tensors of 4 MB of a picture [1, 1000].
    """
    node, value = helper.make_node, helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            node("Tile", ["x", "times"], ["wide"]),
            node("Exp", ["wide"], ["positive"]),
            node("ReduceMax", ["positive"], ["y"], axes=[1]),
        ],
        "wide",
        [value("x", TensorProto.FLOAT, ["N", 1000])],
        [value("y", TensorProto.FLOAT, ["N", 1])],
        [numpy_helper.from_array(np.array([1, WIDTH // 1000], np.int64), "times")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path_factory.mktemp("limited") / "wide.onnx"
    onnx.save(model, str(path))
    kind = onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR
    place = onnxruntime.OrtMemoryInfo("Cpu", kind, 0, onnxruntime.OrtMemType.DEFAULT)
    limits = {"max_mem": 48_000_000, "arena_extend_strategy": 1}
    limits |= {"initial_chunk_size_bytes": -1, "max_dead_bytes_per_chunk": -1}
    onnxruntime.create_and_register_allocator(place, onnxruntime.OrtArenaCfg(limits))
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.use_env_allocators", "1")
    options.enable_mem_pattern = False
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def answers(batching: Batching, numbers: Any, threads: int = 32) -> List[Any]:
    """What each picture of one number gets, or the name of its error."""

    def one(number: float) -> Any:
        try:
            return batching.run(None, {"x": np.full((1, 1000), number, np.float32)})[0].item()
        except OutOfMemory as error:
            return str(error)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(one, numbers))


def test_onnxruntimes_own_message_is_understood(limited: Any) -> None:
    asked = "asked its provider for 40,000,000 bytes more"
    with pytest.raises(OutOfMemory, match=asked), device_memory.told():
        limited.run(None, {"x": np.zeros((10, 1000), np.float32)})


@pytest.mark.parametrize(
    "text",
    [
        "Status Message: bfc_arena.cc:376 Failed to allocate memory for requested buffer of size 7",
        "CUDA failure 2: out of memory ; GPU=0 ; hostname=h ; expr=cudaMalloc((void**)&p, size);",
        "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0 ; expr=cublasCreate(&handle)",
        "CUDNN failure 2: CUDNN_STATUS_ALLOC_FAILED",
        "CUDNN failure 4004: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED ; GPU=0",
        "CUBLAS failure 1: CUBLAS_STATUS_NOT_INITIALIZED ; GPU=0 ; expr=cublasCreate(&handle)",
        "cudaErrorMemoryAllocation",
        "HIP failure 2: hipErrorOutOfMemory",
        "Exception(2) tid(1) 8007000E Not enough memory resources are available",
    ],
)
def test_other_messages_of_the_kind(text: str) -> None:
    with pytest.raises(OutOfMemory), device_memory.told():
        raise RuntimeError(text)


@pytest.mark.parametrize(
    "text",
    ["Got: 2 Expected: 1", "CUDA failure 700: illegal address", "CUDNN_STATUS_EXECUTION_FAILED"],
)
def test_other_errors_rise_as_they_are(text: str) -> None:
    with pytest.raises(ValueError, match=text), device_memory.told():
        raise ValueError(text)


def test_batches_get_as_small_as_they_must_and_stay_so(limited: Any, caplog: Any) -> None:
    batching = Batching(
        limited, max_size=16, at_once=AT_ONCE, wait_msecs=20, sizes=(1, 2, 4, 8, 16)
    )
    numbers = np.arange(96, dtype=np.float32) / 100
    sizes = []
    for _ in range(3):
        assert answers(batching, numbers) == pytest.approx(np.exp(numbers), rel=1e-6)
        sizes.append(batching.max_size)
    # Two of 4 leave the allocator too little for a third tensor; how 2 fare depends on its holes.
    assert sizes == sorted(sizes, reverse=True) and sizes[0] <= 2
    assert 2 <= caplog.text.count("memory of the provider ran out") <= 5


class Card:
    """As much of a session as `Batching` looks at, with room for so many pictures at once."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.taken = 0
        self.refused = 0
        self._lock = Lock()

    def run(self, names: Any, feeds: Any, options: Any = None) -> List[Any]:
        x = feeds["x"]
        with self._lock:
            has_room = self.taken + len(x) <= self.room
            self.taken += len(x) if has_room else 0
            self.refused += not has_room
        if not has_room:
            raise RuntimeError(f"Failed to allocate memory for requested buffer of size {len(x)}")
        try:
            return [2 * self._computed(x)]
        finally:
            with self._lock:
                self.taken -= len(x)

    def _computed(self, x: Any) -> Any:
        time.sleep(0.005)
        return x[:, :1]


@pytest.mark.parametrize(
    ("room", "size", "at_once"),
    [(32, 16, 2), (20, 8, 2), (7, 4, 1), (3, 1, 2), (1, 1, 1)],
)
def test_a_card_is_filled_as_far_as_it_goes(room: int, size: int, at_once: int) -> None:
    card = Card(room)
    batching = Batching(card, max_size=16, at_once=2, wait_msecs=20, sizes=(1, 4, 8, 16))
    assert answers(batching, range(240), 48) == [*range(0, 480, 2)]
    assert (batching.max_size, batching.at_once) == (size, at_once)
    refused = card.refused
    assert answers(batching, range(240), 48) == [*range(0, 480, 2)]
    assert card.refused == refused <= 10


def test_a_picture_that_does_not_fit_alone_says_what_it_asked_for(caplog: Any) -> None:
    class Alone(Card):
        """Has room for any picture but that of 7."""

        def run(self, names: Any, feeds: Any, options: Any = None) -> List[Any]:
            if 7 in feeds["x"]:
                raise RuntimeError("Available memory of 5 is smaller than requested bytes of 1200")
            return super().run(names, feeds, options)

    batching = Batching(Alone(99), max_size=4, at_once=2, wait_msecs=20, sizes=(1, 2, 4))
    found = answers(batching, range(32))
    (message,) = (each for each in found if isinstance(each, str))
    assert found[7] == message and [each for each in found if each != message] == [
        2 * number for number in range(32) if number != 7
    ]
    assert "asked its provider for 1,200 bytes more" in message and "--model" in message
    assert answers(batching, [7, 7, 7]) == [message] * 3
    assert caplog.text.count("memory of the provider ran out") <= 4


def test_a_run_that_has_no_memory_is_a_failed_row_and_no_run_on_the_cpu(
    rembg_home: Path, encoded: Callable[..., bytes]
) -> None:
    """onnxruntime's own `run` would make the session anew, on the CPU, and go on."""

    class Full:
        """In place of its C++ part, whose else it has."""

        def __getattr__(self, name: str) -> Any:
            return getattr(whole, name)

        def run(self, *arguments: Any) -> Any:
            text = "CUDA failure 2: out of memory ; GPU=0 ; expr=cudaMalloc((void**)&p, size);"
            raise onnxruntime.capi.onnxruntime_pybind11_state.EPFail(text)

    config = standins.config("u2netp", rembg_home)
    dofn = RemBGDoFn(config)
    dofn.setup()
    (graph,) = rembg_session.inner_sessions(dofn.engine._held[config].session)
    onnxruntimes = graph.inner.inner
    whole, full = onnxruntimes._sess, Full()
    onnxruntimes._sess = full
    failure = dofn.work(("key", encoded()))
    assert onnxruntimes._sess is full
    onnxruntimes._sess = whole
    assert isinstance(failure, Failure) and failure.error == "OutOfMemory"
    assert "more memory than it has left" in failure.message and "cudaMalloc" in failure.message
    assert not isinstance(dofn.work(("key", encoded())), Failure)
    dofn.teardown()
