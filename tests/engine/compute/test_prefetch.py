"""Batches from host memory: the same as from the device, gathered ahead, and in a safe order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from fmnist_tui.engine.compute import loader, prefetch
from fmnist_tui.engine.compute.loader import BatchOrder, DeviceSplit
from fmnist_tui.engine.compute.prefetch import DEPTH, Buffer, PrefetchedSplit
from fmnist_tui.engine.session.session import Session
from fmnist_tui.engine.training.trainer import Trainer
from fmnist_tui.protocol.commands import FindLearningRate, Stop
from fmnist_tui.protocol.events import FAILED, FINISHED, STOPPED, Alert, LrSearched, RunEnded
from tests.engine.support import FOREVER, PATIENCE, RICH, Harness, Listener, blobs, config, digest

CPU = torch.device("cpu")


@pytest.fixture
def host_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """No split is kept on the device."""
    monkeypatch.setattr(loader, "fits", lambda *_: False)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("batches")]


def make_split(count: int = 96, batch_size: int = 8) -> tuple[PrefetchedSplit, torch.Tensor]:
    """A split in host memory and the rows of its first epoch."""
    data = PrefetchedSplit(DeviceSplit(blobs(count).train, CPU), batch_size)
    return data, BatchOrder(count, batch_size, 0, data.index_device).epoch_indices(0)


def train(folder: Path, *, search_at: int = -1) -> Harness:
    harness = Harness(folder, blobs(96), **RICH)

    remaining = [FindLearningRate(0.0, 1e-5, 0.1, 20)]

    def on_tick() -> None:
        while remaining and harness.learner.step == search_at:
            harness.inbox.send(remaining.pop())

    harness.trainer.commands.on_tick = on_tick
    harness.trainer.run()
    harness.learner.close()
    return harness


@pytest.mark.parametrize("search_at", [-1, 4], ids=["alone", "with a search"])
def test_a_training_from_host_memory_has_the_same_weights_to_the_last_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, search_at: int
) -> None:
    resident = train(tmp_path / "resident")
    monkeypatch.setattr(loader, "fits", lambda *_: False)
    unexpected: list[torch.Tensor] = []
    gather = DeviceSplit.gather

    def count(data: DeviceSplit, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        unexpected.append(indices)
        return gather(data, indices)

    monkeypatch.setattr(DeviceSplit, "gather", count)
    host = train(tmp_path / "host", search_at=search_at)
    assert isinstance(host.learner.train, PrefetchedSplit)
    assert len(host.of(LrSearched)) == (search_at >= 0)
    assert digest(host.learner.model.state_dict()) == digest(resident.learner.model.state_dict())
    # All of the run's own batches were prefetched: the search goes on into later epochs.
    assert (len(unexpected) > 0) == (search_at >= 0)


def test_batches_are_those_of_the_split_in_any_order_they_are_asked_for() -> None:
    data, rows = make_split()
    plain = DeviceSplit(blobs(96).train, CPU)
    data.expect(rows)
    for index in (0, 1, 2, 5, 6, 3, 4, 5, 0, 11, 1):
        images, labels = data.gather(rows[index])
        expected_images, expected_labels = plain.gather(rows[index])
        assert torch.equal(images, expected_images) and torch.equal(labels, expected_labels)
    strange = torch.arange(5)
    assert torch.equal(data.gather(strange)[0], plain.gather(strange)[0])
    assert torch.equal(data.gather(rows[2])[0], plain.gather(rows[2])[0])
    data.close()
    assert torch.equal(data.gather(rows[3])[0], plain.gather(rows[3])[0])


class Recorder:
    """Stands in for the copies on a CUDA stream; notes the order of calls and checks it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._names: dict[int, str] = {}
        self._copying: set[int] = set()
        self._used: set[int] = set()

    def event(self) -> None:
        return None

    def start(self, buffer: Buffer) -> None:
        assert buffer.gathered.done(), "copied before it was gathered"
        assert id(buffer) not in self._used, "overwritten while a step may use it"
        self._note("start", buffer)
        self._copying.add(id(buffer))
        buffer.copy()

    def wait(self, buffer: Buffer) -> None:
        assert id(buffer) in self._copying
        self._note("wait", buffer)
        self._used.add(id(buffer))

    def finish_use(self, buffer: Buffer) -> None:
        self._note("used", buffer)
        self._used.remove(id(buffer))

    def finish_copy(self, buffer: Buffer) -> None:
        self._copying.discard(id(buffer))

    def _note(self, what: str, buffer: Buffer) -> None:
        name = self._names.setdefault(id(buffer), "abcdefgh"[len(self._names)])
        self.calls.append(f"{what} {name}")


def test_a_copy_starts_when_its_images_are_there_and_nobody_uses_its_buffer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, rows = make_split()
    recorder = Recorder()
    monkeypatch.setattr(data, "_copying", recorder)
    data.expect(rows)
    for buffer in data._filled:
        buffer.gathered.result(PATIENCE)
    data.gather(rows[0])
    # The copies of all that is gathered run while the first step computes.
    started = [f"start {name}" for name in "abcdefgh"[:DEPTH]]
    assert recorder.calls == [*started, "wait a"]
    data.gather(rows[1])
    assert recorder.calls[DEPTH + 1] == "used a"
    assert recorder.calls[-1] == "wait b"
    for row in rows[2:]:
        data.gather(row)
    data.close()
    assert recorder.calls.count("wait a") == len(rows) // DEPTH


def test_a_buffer_is_not_filled_while_it_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    data, rows = make_split()
    finished: list[Buffer] = []
    monkeypatch.setattr(data._copying, "finish_copy", finished.append, raising=False)
    data.expect(rows)
    taken = data._filled[0]
    data.gather(rows[0])
    finished.clear()
    submit = data._thread.submit

    def check(*args: object) -> object:
        assert finished[-1] is taken, "the thread gathers into a buffer that is being copied"
        return submit(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(data._thread, "submit", check)
    data.gather(rows[1])
    assert finished == [taken]
    data.close()


def test_only_the_wait_for_images_counts_as_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    data, rows = make_split()
    gates = [threading.Event() for _ in rows]
    gather, numbers = prefetch.gather, iter(range(len(rows)))

    def gated(*args: object) -> None:
        assert gates[next(numbers)].wait(PATIENCE)
        gather(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(prefetch, "gather", gated)
    gates[0].set()
    data.expect(rows)
    data._filled[0].gathered.result(PATIENCE)
    data.gather(rows[0])
    ready = data.fetch_seconds
    threading.Timer(0.05, gates[1].set).start()
    data.gather(rows[1])
    assert ready < 0.04 < data.fetch_seconds
    for gate in gates:
        gate.set()
    data.close()


def refuse(_: Trainer) -> None:
    raise RuntimeError("a defect in the program")


@pytest.mark.usefixtures("host_path")
@pytest.mark.parametrize("end", [FINISHED, STOPPED, FAILED])
def test_the_thread_ends_with_the_run_however_it_ends(
    session: Session, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    seen: list[list[str]] = []
    execute: Callable[[Trainer], None] = Trainer._execute_commands

    def look(trainer: Trainer) -> None:
        seen.append(threads())
        if trainer.learner.step == 3 and end == FAILED:
            refuse(trainer)
        if trainer.learner.step == 3 and end == STOPPED:
            trainer._inbox.send(Stop(0.0))
        execute(trainer)

    monkeypatch.setattr(Trainer, "_execute_commands", look)
    epochs = 2 if end == FINISHED else FOREVER
    listener = Listener(session.train(config(epochs=epochs)))
    assert listener.wait_for_end().reason == end
    assert seen[-1] == ["batches_0"]
    assert threads() == []
    notes = [event.message for event in listener.events if isinstance(event, Alert)]
    assert [note for note in notes if "host memory" in note] == [
        "the images (50 kB) stay in host memory"
    ]
    assert isinstance(listener.events[-1], RunEnded)


def test_gathering_fills_the_given_arrays() -> None:
    source = np.arange(24, dtype=np.uint8).reshape(6, 2, 2)
    target = np.zeros((2, 2, 2), np.uint8)
    prefetch.gather((source,), np.array([4, 1]), (target,))
    assert target.tolist() == source[[4, 1]].tolist()
