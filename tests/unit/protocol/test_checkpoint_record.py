"""The checkpoints of a run and their figures: which are the run's own."""

from __future__ import annotations

from dataclasses import replace

from fmnist_tui.protocol.events import EVENTS, CheckpointSaved, Evaluated, Event
from fmnist_tui.protocol.run_state import RunState
from tests.unit.support import ended, epoch_ended, evaluated, saved, started


def state_after(*events: Event) -> RunState:
    state = RunState()
    for event in events:
        state.apply(event)
    return state


def best(step: int, number: int) -> CheckpointSaved:
    return replace(saved(step, "best", f"best-{number:04d}.pt"), sha256=f"{number}" * 64)


def figures_of(checkpoint: CheckpointSaved, accuracy: float, name: str = "best") -> Evaluated:
    return replace(evaluated(accuracy, checkpoint.step, checkpoint=name), sha256=checkpoint.sha256)


def test_two_generations_of_last_and_best_are_listed_and_every_step() -> None:
    state = RunState()
    for number in range(1, 6):
        state.apply(saved(number, "last", f"last-{number:04d}.pt"))
        state.apply(saved(number, "step", f"step-{number}.pt"))
    last = ["last-0004.pt", "last-0005.pt"]
    assert sorted(state.checkpoints) == last + [f"step-{number}.pt" for number in range(1, 6)]
    assert [marker.what for marker in state.markers] == ["step"] * 5


def test_figures_of_another_checkpoint_do_not_become_the_headline() -> None:
    own = figures_of(best(200, 2), 0.9)
    state = state_after(started(), best(100, 1), best(200, 2), own)
    state.apply(figures_of(best(100, 1), 0.8, "best-0001"))
    state.apply(evaluated(0.7, 500, checkpoint="last"))
    assert state.evaluation("test") == own
    assert state.record.evaluations["test", "best-0001"].accuracy == 0.8
    assert state.record.readings == {"test": 3}


def test_figures_of_a_best_that_is_beaten_are_kept_under_its_file() -> None:
    first = figures_of(best(100, 1), 0.8)
    state = state_after(started(), best(100, 1), first, best(200, 2))
    assert state.evaluation("test") is None
    assert state.record.evaluations["test", "best-0001"] == first


def test_a_run_without_a_best_checkpoint_has_the_figures_of_its_last() -> None:
    last = evaluated(0.7, checkpoint="last")
    assert (
        state_after(started(), saved(500, "last", "last-0001.pt"), last).evaluation("test") == last
    )
    with_best = state_after(started(), epoch_ended(1, 0.9), saved(100), last)
    assert with_best.evaluation("test") is None


def test_an_old_record_that_calls_every_best_the_best_has_the_newest_as_headline() -> None:
    own, older = evaluated(0.9, 200), evaluated(0.8, 100)
    lines = [
        EVENTS.encode(event).replace(',"sha256":""', "").encode()
        for event in (started(), best(100, 1), best(200, 2), own, older)
    ]
    state = state_after(*map(EVENTS.decode, lines))
    assert state.evaluation("test") == own
    assert state.record.evaluations["test", "best-0001"] == older


def test_a_resume_forgets_the_best_of_steps_that_are_trained_again() -> None:
    history: list[Event] = [
        started(),
        epoch_ended(1, 0.8),
        best(100, 1),
        best(200, 2),
        epoch_ended(2, 0.9),
        figures_of(best(200, 2), 0.9),
        ended("failed"),
    ]
    # `last` was saved at the end of epoch 2, before that epoch was validated.
    resumed = replace(started(step=200), best_step=100)
    state = state_after(*history, resumed)
    assert state.best == epoch_ended(1, 0.8)
    assert list(state.checkpoints) == ["best-0001.pt"]
    assert [mark.step for mark in state.markers if mark.what == "best"] == [100]
    assert state.record.evaluations == {}
    assert state_after(*history, started(step=200)).best == epoch_ended(2, 0.9)
