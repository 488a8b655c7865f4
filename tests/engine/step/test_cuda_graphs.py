"""The calls of torch.cuda for a capture, in their order, where only their names are noted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch

from fmnist_tui.engine.step import cuda_graphs
from fmnist_tui.engine.step.cuda_graphs import CaptureFailedError, CudaGraphs

END_FAILED = "operation failed due to a previous error during capture"


class Calls(list[str]):
    """What has been called; `failing` are the calls that raise."""

    def __init__(self) -> None:
        super().__init__()
        self.failing: dict[str, str] = {}
        self.generator = FakeGenerator()

    def note(self, call: str) -> None:
        self.append(call)
        if call in self.failing:
            raise RuntimeError(self.failing[call])


class FakeStream:
    def __init__(self, calls: Calls, name: str) -> None:
        self._calls, self.name = calls, name

    def wait_stream(self, other: FakeStream) -> None:
        self._calls.note(f"{self.name} waits for {other.name}")


class FakeGraph:
    calls: Calls

    def capture_begin(self, pool: object) -> None:
        self.calls.note(f"begin in {pool}")

    def capture_end(self) -> None:
        self.calls.note("end")

    def pool(self) -> None:
        if "end" in self.calls.failing:
            raise RuntimeError("called without a preceding successful capture")

    def reset(self) -> None:
        self.calls.note("reset")


class FakeGenerator:
    def __init__(self) -> None:
        self.state = torch.Generator().manual_seed(7)

    def get_state(self) -> torch.Tensor:
        return self.state.get_state()

    def graphsafe_set_state(self, other: torch.Generator) -> None:
        self.state = other


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[Calls]:
    calls = Calls()
    streams = {name: FakeStream(calls, name) for name in ("main", "side")}

    @contextmanager
    def on_stream(stream: FakeStream) -> Iterator[None]:
        calls.note(f"on {stream.name}")
        try:
            yield
        finally:
            calls.note("on main")

    def noting(name: str) -> Callable[..., None]:
        return lambda *_: calls.note(name)

    for name, replacement in {
        "Stream": lambda _: streams["side"],
        "current_stream": lambda _: streams["main"],
        "stream": on_stream,
        "synchronize": noting("synchronize"),
        "empty_cache": noting("empty cache"),
        "CUDAGraph": type("Graph", (FakeGraph,), {"calls": calls}),
        "default_generators": {None: calls.generator},
    }.items():
        monkeypatch.setattr(torch.cuda, name, replacement)
    for name in ("_cuda_endAllocateToPool", "_cuda_releasePool"):
        monkeypatch.setattr(torch._C, name, noting(name), raising=False)
    monkeypatch.setattr(cuda_graphs, "_ABANDONED", [])
    cuda_graphs._side_stream.cache_clear()
    yield calls
    cuda_graphs._side_stream.cache_clear()


def test_warming_up_and_capturing_use_one_stream_that_the_run_waits_for(calls: Calls) -> None:
    graphs = CudaGraphs(torch.device("cpu"))
    graphs.warm_up(lambda: calls.note("work"))
    assert calls == ["side waits for main", "on side", "work", "on main", "main waits for side"]
    calls.clear()
    graphs.capture(lambda: calls.note("work"), "a pool")
    assert calls == [
        *["synchronize", "empty cache", "on side", "begin in a pool", "work", "end", "on main"],
        "main waits for side",
    ]


def test_a_capture_that_raises_is_ended_and_reset(calls: Calls) -> None:
    graphs = CudaGraphs(torch.device("cpu"))
    calls.failing["work"] = "a defect in\nthe model"
    with pytest.raises(CaptureFailedError, match="a defect in the model"):
        graphs.capture(lambda: calls.note("work"), "a pool")
    assert calls[-5:] == ["work", "end", "on main", "synchronize", "reset"]
    assert graphs.has_failed


def test_of_a_capture_that_cannot_be_ended_nothing_is_left(calls: Calls) -> None:
    graphs = CudaGraphs(torch.device("cpu"))
    before, state = calls.generator.state, calls.generator.get_state()
    calls.failing |= {"work": "not permitted when stream is capturing", "end": END_FAILED}
    with pytest.raises(CaptureFailedError, match="not permitted when stream is capturing"):
        graphs.capture(lambda: calls.note("work"), "a pool")
    assert calls[-5:] == [
        *["end", "on main", "synchronize", "_cuda_endAllocateToPool", "_cuda_releasePool"]
    ]
    assert len(cuda_graphs._ABANDONED) == 1, "torch has pointers to it"
    # The old state counts for the capture.
    assert calls.generator.state is not before
    assert torch.equal(calls.generator.get_state(), state)


def test_a_gpu_that_fails_during_a_capture_is_no_capture_that_fails(calls: Calls) -> None:
    graphs = CudaGraphs(torch.device("cpu"))

    def work() -> None:
        calls.failing["synchronize"] = "CUDA error: an illegal memory access was encountered"
        calls.note("synchronize")

    with pytest.raises(RuntimeError, match="illegal memory access"):
        graphs.capture(work, "a pool")
