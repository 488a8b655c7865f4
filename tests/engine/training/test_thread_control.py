"""The number of CPU threads changes beside other programs, and a resumed run repeats it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from fmnist_tui.engine import device as device_module
from fmnist_tui.engine.checkpoints.checkpoint import Payload
from fmnist_tui.engine.session.session import Session
from fmnist_tui.engine.training import thread_control
from fmnist_tui.engine.training.thread_control import RecordedThreads, ThreadControl
from fmnist_tui.protocol.events import EVENTS, THREADS, Alert, Changed, Progress
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.runs.jsonl_reader import replay
from tests.engine.support import FOREVER, RICH, Harness, Listener, blobs, config, digest
from tests.unit.support import changed, progress, started


class Sharing:
    """Advises a number of threads for each step, from a script."""

    limit = 2
    others: float | None = 1.0

    def __init__(self, script: list[int]) -> None:
        self._script, self.threads = iter(script), 2

    def update(self) -> None:
        self.threads = next(self._script, self.threads)

    def are_contended(self, threads: int) -> bool:
        return False


@pytest.fixture(autouse=True)
def _not_fixed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(thread_control, "CHECK_SECONDS", 0.0)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def advise(script: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    sharing = Sharing(script)
    monkeypatch.setattr(device_module, "SHARING", sharing)
    monkeypatch.setattr(thread_control, "SHARING", sharing)


def harness(
    folder: Path,
    script: list[int],
    monkeypatch: pytest.MonkeyPatch,
    recorded: RecordedThreads | None = None,
    threads: int | None = None,
) -> Harness:
    advise(script, monkeypatch)
    made = Harness(folder, blobs(96), **{**RICH, "batch_size": 32, "threads": threads})
    made.trainer._threads = ThreadControl(made.learner.device, made.events.append, recorded)
    return made


def weights(harness: Harness) -> str:
    payload, _, _ = harness.store.load("last")
    return digest(payload["model"]) + digest(payload["weights"])


def changes(events: list[Any]) -> list[tuple[int, str]]:
    return [(e.step, e.value) for e in events if isinstance(e, Changed) and e.what == "threads"]


def test_every_change_is_an_event_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first is the choice at the start.
    run = harness(tmp_path, [2, 2, 1, 1, 2], monkeypatch)
    run.trainer.run()
    assert changes(run.events) == [(1, "1"), (3, "2")]
    notes = [event.message for event in run.events if isinstance(event, Alert)]
    assert notes[0] == "1 thread from step 1 on: other programs use 1.0 CPUs"


def test_a_number_that_the_user_chose_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = harness(tmp_path / "setting", [1, 1, 1], monkeypatch, threads=2)
    run.trainer.run()
    assert (run.learner.device.threads, changes(run.events)) == (2, [])
    monkeypatch.setenv("OMP_NUM_THREADS", "2,1")
    run = harness(tmp_path / "variable", [1, 1, 1], monkeypatch)
    run.trainer.run()
    assert (run.learner.device.threads, changes(run.events)) == (2, [])


def test_a_run_killed_after_changes_becomes_the_same_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = [2, 2, 2, 1, 1, 2, 1, 1, 2]
    whole = harness(tmp_path / "whole", script, monkeypatch)
    saved: list[Payload] = []

    def on_tick() -> None:
        if whole.learner.step == 4 and not saved:
            saved.append(copy.deepcopy(whole.learner.full_payload()))

    whole.trainer.commands.on_tick = on_tick
    whole.trainer.run()
    assert changes(whole.events) == [(2, "1"), (4, "2"), (5, "1"), (7, "2")]

    # Killed after step 8, with a checkpoint of step 4; then the machine is idle.
    recorded = RecordedThreads()
    for event in (*whole.events, progress(8)):
        recorded.add(event)
    resumed = harness(tmp_path / "resumed", [2] * 20, monkeypatch, recorded)
    resumed.learner.restore(saved[0], "step-4")
    resumed.trainer.run()
    assert changes(resumed.events) == changes(whole.events)[1:]
    assert weights(resumed) == weights(whole)


def test_a_session_reads_the_recorded_changes_before_it_adds_its_own(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    advise([2], monkeypatch)
    training = session.train(config(epochs=FOREVER, threads=None))
    listener = Listener(training)
    listener.wait_for(Progress)
    training.stop()
    listener.wait_for_end()
    folder = training.folder
    assert folder is not None
    last = replay(folder.events).step
    # As if it had been killed 20 steps later, after a change at the tenth of them.
    with folder.events.open("a") as file:
        for event in (changed(THREADS, "1", step=last + 10), progress(last + 20)):
            file.write(EVENTS.encode(event) + "\n")
    resumed = Listener(session.resume(folder, training.config.changed(epochs=FOREVER)))
    resumed.wait_for(Progress)
    while not any(isinstance(e, Progress) and e.step > last + 20 for e in resumed.drain()):
        resumed.wait_for(Progress)
    resumed.training.stop()
    resumed.wait_for_end()
    assert (last + 10, "1") in changes(resumed.events)


def test_the_state_of_a_run_has_its_number_of_threads() -> None:
    state = RunState()
    state.apply(replace(started(), threads=2, cpus=2))
    assert (state.threads, state.thread_changes) == (2, 0)
    state.apply(changed(THREADS, "1"))
    assert (state.threads, state.thread_changes) == (1, 1)
