"""The figures of a run as lines of text."""

from __future__ import annotations

from dataclasses import replace

from fmnist_tui.protocol.events import FAILED, FINISHED, STOPPED, RunEnded
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.tui.screens.train.outcome import describe_outcome
from fmnist_tui.tui.screens.train.progress import (
    epoch_position,
    machine_figures,
    training_figures,
    wrap_parts,
)
from fmnist_tui.tui.state.run_feed import RunFeed
from tests.tui.support import START, events
from tests.unit.support import changed, started, telemetry


def test_a_part_longer_than_a_line_is_broken_between_words() -> None:
    reason = "the loss never falls between 1e-06 and 0.073 (0.325 at first)"
    lines = wrap_parts(["step 3", reason, "enter uses it"], 30)
    assert max(map(len, lines)) <= 30
    assert " ".join(lines) == f"step 3 {reason}  enter uses it"


def test_the_figures_say_how_many_threads_are_used_and_what_others_use() -> None:
    state = RunState()
    state.apply(replace(started(), threads=2, cpus=2))
    assert "2 threads" in machine_figures(state)
    state.apply(telemetry())
    assert not any("others" in part or "sleep" in part for part in machine_figures(state))
    state.apply(replace(telemetry(), other_cpus=1.02, waits_briefly=True))
    assert {"others 102 %", "threads sleep to wait"} <= set(machine_figures(state))
    state.apply(changed("threads", "1"))
    assert "1 of 2 threads" in machine_figures(state)


def test_an_epoch_that_is_being_validated_is_not_over() -> None:
    state = RunState(step=248)
    assert epoch_position(state, 62, 620) == (5, 0)
    state.apply(changed("phase", "validating, 51 %"))
    assert epoch_position(state, 62, 620) == (4, 62)
    assert epoch_position(RunState(step=620), 62, 620) == (10, 62)
    assert epoch_position(RunState(step=250), 62, 620) == (5, 2)


def ended(*, epochs: int, reason: str = "", message: str = "") -> RunFeed:
    """A run that has finished, or ended for another reason after these epochs."""
    state = RunState()
    for event in events(epochs=epochs, ended=not reason):
        state.apply(event)
    if reason:
        state.apply(RunEnded(START + 9, state.step, epochs, reason, 9.0, message))
    return RunFeed(state)


def test_how_a_run_has_ended_is_told_with_its_figures_and_the_keys_that_go_on() -> None:
    finished = describe_outcome(ended(epochs=4))
    assert (finished.sign, finished.headline) == ("✓", "finished in 0:09")
    assert finished.lines[0] == "val ~98.01 % of 833 (epoch 4)"
    assert finished.lines[1].startswith("test ") and finished.lines[1].endswith(" of 300")
    assert "±" in finished.lines[1]
    assert finished.keys == (("3", "evaluate"), ("4", "errors"), ("space", "next run"))
    timed = ended(epochs=4)
    timed.state.apply(RunEnded(START + 9, 80, 4, FINISHED, 9.0, warm_seconds=7.0))
    assert describe_outcome(timed).headline == "finished in 0:07 warm, 0:09 in all"
    stopped = describe_outcome(ended(epochs=2, reason=STOPPED, message="stopped by key"))
    assert stopped.headline == "stopped after 0:09"
    assert stopped.lines[:2] == ("at step 40 of 80", "stopped by key")
    assert stopped.keys == (("u", "resumes from step 40"), ("space", "resume or new run"))
    failed = describe_outcome(ended(epochs=0, reason=FAILED, message="the disk is full"))
    assert failed.sign == "✗" and failed.lines == ("at step 0 of 80", "the disk is full")
    # There is no checkpoint to resume from.
    assert failed.keys == (("space", "new run"), ("n", "its settings"))
    crashed = describe_outcome(RunFeed(running_state()))
    assert "its process ended without saying why" in crashed.lines


def running_state() -> RunState:
    state = RunState()
    for event in events(epochs=1, ended=False):
        state.apply(event)
    return state


def test_a_resumed_run_tells_no_speed_of_an_earlier_session() -> None:
    state = running_state()
    assert "6,400 images/s" in training_figures(state, "training")
    again = state.started
    assert again is not None
    state.apply(replace(again, t=state.t + 60, step=state.step))
    figures = [*training_figures(state, "training"), *machine_figures(state)]
    assert not any("images/s" in part or "ms" in part for part in figures)
