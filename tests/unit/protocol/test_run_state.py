"""The state of a run, from its events."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given

from fmnist_tui.protocol.checkpoint_record import MAX_CHECKPOINTS
from fmnist_tui.protocol.events import EVENTS, Event
from fmnist_tui.protocol.run_state import (
    MAX_ALERTS,
    MAX_EPOCHS,
    MAX_MARKERS,
    Marker,
    RunState,
)
from tests.unit.support import (
    ANY_EVENTS,
    PROPERTY,
    changed,
    ended,
    epoch_ended,
    evaluated,
    glance,
    note,
    progress,
    saved,
    started,
    telemetry,
)


def state_after(*events: Event) -> RunState:
    state = RunState()
    for event in events:
        state.apply(event)
    return state


@PROPERTY
@given(ANY_EVENTS)
def test_the_same_events_give_equal_states_also_when_decoded(events: list[Event]) -> None:
    read = [EVENTS.decode(EVENTS.encode(event)) for event in events]
    assert state_after(*events) == state_after(*read)


@PROPERTY
@given(ANY_EVENTS)
def test_any_sequence_of_events_is_handled(events: list[Event]) -> None:
    state = state_after(*events)
    assert 0 <= state.fraction <= 1
    for name in state.curves:
        state.series(name)
    for split in ("val", "test"):
        state.evaluation(split)
    assert state.eta_seconds is None or not state.eta_seconds < 0
    repr((state.seconds, state.epochs_done, state.mean_images_per_second, state.end_reason))


def test_states_of_different_events_differ() -> None:
    state = state_after(started(), progress(1), progress(2))
    assert state != state_after(started(), progress(1))
    assert state != state_after(started(), progress(1), progress(2, loss=0.1))
    assert state != state_after(started(), progress(1), progress(2), note("x"))
    assert state != state_after(started(), progress(1), progress(2), glance(2))
    assert state != "a state"


def test_a_complete_run() -> None:
    state = state_after(
        started(),
        changed("phase", "training"),
        progress(100),
        telemetry(),
        epoch_ended(1, 0.8),
        saved(100),
        note("look"),
        evaluated(0.9, step=100),
        ended("finished", message="stopped early"),
    )
    assert state.started == started()
    assert (state.phase, state.step, state.epoch, state.epochs_done) == ("training", 100, 1, 1)
    assert state.series("train_loss") == [(100, 0.5)]
    assert state.series("train_accuracy") == [(100, 0.8)]
    assert state.series("lr") == [(100, 0.01)]
    assert state.series("val_loss") == [(100, 0.3)]
    assert state.series("val_accuracy") == [(100, 0.8)]
    assert state.best == epoch_ended(1, 0.8)
    assert state.checkpoints == {"best-0001.pt": saved(100)}
    assert list(state.alerts) == [note("look")]
    assert state.telemetry == telemetry()
    assert state.evaluation("test") == evaluated(0.9, step=100) and state.evaluation("val") is None
    assert (state.end_reason, state.message, state.seconds) == ("finished", "stopped early", 60.0)
    assert state.fraction == 0.2


def test_mixed_labels_leave_the_accuracy_curve_out() -> None:
    state = state_after(started(), dataclasses.replace(progress(1), accuracy=None))
    assert state.series("train_accuracy") == [] and len(state.series("train_loss")) == 1


def test_the_best_epoch_is_the_last_one_marked_best() -> None:
    state = state_after(
        started(), epoch_ended(1, 0.8), epoch_ended(2, 0.9), epoch_ended(3, 0.7, best=False)
    )
    assert state.best == epoch_ended(2, 0.9)


def test_a_resume_removes_everything_after_its_step() -> None:
    before: list[Event] = [started(), progress(100), epoch_ended(1, 0.8), progress(150)]
    lost: list[Event] = [
        progress(200),
        epoch_ended(2, 0.9),
        changed("lr", "0.5", step=200),
        saved(200),
    ]
    state = state_after(*before, *lost, ended("failed"), started(t=2000.0, step=150))
    assert state.series("train_loss") == [(100, 0.5), (150, 0.5)]
    assert state.series("val_accuracy") == [(100, 0.8)]
    assert [epoch.epoch for epoch in state.epochs] == [1]
    assert state.best == epoch_ended(1, 0.8)
    assert list(state.markers) == [Marker(2000.0, 150, "resumed", "")]
    assert (state.end_reason, state.message) == (None, "")
    assert (state.step, state.sessions, state.progress) == (150, 2, None)
    assert state.started == started(t=2000.0, step=150)


def test_a_resume_from_a_step_keeps_the_best_epoch_before_it() -> None:
    state = state_after(
        started(), epoch_ended(1, 0.9), epoch_ended(2, 0.8, best=False), started(step=200)
    )
    assert state.best == epoch_ended(1, 0.9)
    assert state.epoch == 2 and state.lr == 0.01


def test_the_newest_preview_is_kept_until_a_resume_before_it() -> None:
    history: list[Event] = [started(), glance(100), glance(150, 0.6)]
    assert state_after(*history).glance == glance(150, 0.6)
    assert state_after(*history, ended("detached"), started(step=150)).glance == glance(150, 0.6)
    assert state_after(*history, ended("failed"), started(step=149)).glance is None
    assert state_after(started()).glance is None


def test_a_pause_and_a_new_learning_rate_are_recorded() -> None:
    state = state_after(started(), changed("paused", "true"), changed("lr", "0.002", step=70))
    assert state.paused and state.lr == 0.002
    assert list(state.markers) == [Marker(1050.0, 70, "lr", "0.002")]
    again = state_after(started(), changed("paused", "true"), changed("paused", "false"))
    assert not again.paused
    state.apply(changed("lr", "much", step=80))
    assert state.lr == 0.002 and len(state.markers) == 1


def test_a_run_that_ends_while_paused_is_not_paused() -> None:
    assert not state_after(started(), changed("paused", "true"), ended()).paused


def test_the_time_left_follows_the_speed_of_the_events() -> None:
    # 500 steps in all, ten a second.
    steps = [progress(step) for step in range(1, 101)]
    assert state_after(started(), *steps).eta_seconds == pytest.approx(40.0)
    assert state_after(started()).eta_seconds is None
    assert state_after(started(), *steps, ended()).eta_seconds is None


def test_a_pause_does_not_count_into_the_time_left() -> None:
    first = [progress(step) for step in range(1, 51)]
    later = [progress(step, t=4000.0 + step / 10) for step in range(51, 101)]
    pause = [changed("paused", "true", t=1005.0), changed("paused", "false", t=4005.0)]
    assert state_after(started(), *first, *pause, *later).eta_seconds == pytest.approx(40.0)


def test_a_slowdown_changes_the_time_left() -> None:
    fast = [progress(step) for step in range(1, 101)]
    slow = [progress(step, t=1010.0 + (step - 100) * 60) for step in range(101, 201)]
    assert state_after(started(), *fast, *slow).eta_seconds == pytest.approx(300 * 60, rel=0.02)


def test_a_clock_set_back_does_not_break_the_time_left() -> None:
    steps = [progress(step) for step in range(1, 51)]
    odd = [progress(51, t=3.0), progress(52, t=math.nan), progress(53, t=math.inf)]
    assert state_after(started(), *steps, *odd).eta_seconds == pytest.approx(44.7)


def test_repeated_steps_count_once_in_training_time_and_speed() -> None:
    state = state_after(started(), progress(100), progress(200))
    assert state.train_seconds == pytest.approx(20.0)
    assert state.mean_images_per_second == pytest.approx(640.0)
    state.apply(started(t=2000.0, step=150))
    assert state.train_seconds == pytest.approx(15.0)
    state.apply(progress(200))
    assert state.train_seconds == pytest.approx(20.0)
    assert state.mean_images_per_second == pytest.approx(640.0)


def test_the_speed_of_a_fork_counts_only_its_own_steps() -> None:
    fork: list[Event] = [started(step=300), progress(400)]
    state = state_after(*fork)
    assert (state.step, state.time.train_steps) == (400, 100)
    assert state.train_seconds == pytest.approx(10.0)
    assert state.mean_images_per_second == pytest.approx(640.0)
    state.apply(started(t=2000.0, step=350))
    assert state.time.train_steps == 50 and state.train_seconds == pytest.approx(5.0)
    assert state.mean_images_per_second == pytest.approx(640.0)
    # further back than it ever trained
    assert state_after(*fork, started(t=2000.0, step=100)).time.train_steps == 0


def test_memory_is_bounded() -> None:
    state = state_after(started())
    for number in range(5000):
        state.apply(epoch_ended(number))
        state.apply(note(str(number)))
        state.apply(changed("lr", "0.1", step=number))
        state.apply(saved(number, "step", f"step-{number}.pt"))
        state.apply(evaluated(0.5, checkpoint=f"step-{number}"))
    assert len(state.epochs) == MAX_EPOCHS and len(state.alerts) == MAX_ALERTS
    assert len(state.markers) == MAX_MARKERS and len(state.checkpoints) == MAX_CHECKPOINTS
    assert len(state.record.evaluations) == 64
    assert state.alerts[-1] == note("4999") and "step-4999.pt" in state.checkpoints
    assert state.epochs_done == 4999


def test_figures_of_other_classes_than_the_runs_are_no_figures() -> None:
    classes = len(started().classes)
    good = tuple((1,) * classes for _ in range(classes))
    for confusion in ((), good[1:], (good[0][1:], *good[1:]), (*good, good[0])):
        state = state_after(started(), dataclasses.replace(evaluated(0.9), confusion=confusion))
        assert state.evaluation("test") is None
        assert state.alerts[-1].message == "damaged figures on test"
    samples = glance(2)
    for wrong in (
        {"labels": (0, classes)},
        {"said": (-1, 0)},
        {"shares": ()},
        {"confusion": ((1,),)},
    ):
        assert state_after(started(), dataclasses.replace(samples, **wrong)).glance is None
    state = state_after(started(), evaluated(0.9), samples)
    assert state.evaluation("test") is not None and state.glance == samples


def test_a_number_of_threads_that_is_none_is_ignored() -> None:
    for value in ("²", "9" * 5000, "-1", ""):
        assert state_after(started(), changed("threads", value)).thread_changes == 0
