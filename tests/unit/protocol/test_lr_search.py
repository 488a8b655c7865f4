"""The state of a learning-rate search, from its events."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest

from fmnist_tui.protocol.events import (
    FAILED,
    FINISHED,
    LRFIND,
    STOPPED,
    Event,
    LrProbed,
    LrSearched,
    RunStarted,
    run_title,
)
from fmnist_tui.protocol.lr_curve import MAX_STEPS, RateRange
from fmnist_tui.protocol.lr_search import LrSearch, format_search_result
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import summarise_run
from tests.unit.support import changed, ended, progress, started, write_events

FOUND = LrSearched(1050.0, 40, FINISHED, 0.0024, 0.0003, 0.01)


def probes(count: int, of: int = 20, step: int = 40, t: float = 1000.0) -> list[LrProbed]:
    """The first probes of a search that takes a second for each."""
    rates = RateRange(steps=of)
    return [
        LrProbed(t + index, step, index + 1, of, rates.rate_at(index), 2.0 - index / 100)
        for index in range(count)
    ]


def state_after(*events: Event) -> RunState:
    state = RunState()
    for event in events:
        state.apply(event)
    return state


def search_of(state: RunState) -> LrSearch:
    assert state.search is not None
    return state.search


def search_run(steps: int = 20) -> RunStarted:
    return dataclasses.replace(started(epochs=1, steps=steps), kind=LRFIND)


def test_a_search_does_not_change_the_progress_of_a_training() -> None:
    state = state_after(started(), progress(40), *probes(5))
    search = search_of(state)
    assert (state.step, search.step, search.probes, len(search.points)) == (40, 40, 20, 5)
    assert search.end is None and state.lr == 0.01
    assert search.points[0] == pytest.approx((1e-6, 2.0))


def test_in_a_search_run_the_probes_are_the_steps() -> None:
    state = state_after(search_run(), *probes(5, step=0))
    assert (state.step, state.fraction) == (5, 0.25)
    assert state.lr == pytest.approx(RateRange(steps=20).rate_at(4))
    assert state.eta_seconds == pytest.approx(15.0)


def test_the_time_of_a_search_does_not_count_as_training_time() -> None:
    steps: list[Event] = [started(), progress(10, t=1001.0), progress(20, t=1002.0)]
    plain = state_after(*steps, progress(30, t=1003.0))
    looked = state_after(
        *steps,
        *probes(20, t=1002.0),
        dataclasses.replace(FOUND, t=1102.0),
        progress(30, t=1103.0),
    )
    assert plain.eta_seconds == pytest.approx(looked.eta_seconds)


def test_a_search_in_a_paused_run_does_not_resume_its_timer() -> None:
    state = state_after(
        started(),
        progress(10, t=1001.0),
        changed("paused", "true", t=1001.0),
        *probes(20, t=1002.0),
        dataclasses.replace(FOUND, t=1022.0),
        changed("paused", "false", t=1500.0),
        progress(20, t=1501.0),
    )
    assert state.eta_seconds == pytest.approx(48 * 1.0)


def test_a_second_search_replaces_the_first() -> None:
    state = state_after(started(), *probes(20), FOUND, *probes(3, t=1100.0))
    assert search_of(state).end is None and len(search_of(state).points) == 3
    assert search_of(state).started == 1100.0


def test_a_refused_search_does_not_end_one_that_has_ended() -> None:
    refused = LrSearched(1200.0, 40, FAILED, message="too few")
    state = state_after(started(), *probes(20), FOUND, refused)
    assert search_of(state).end == refused and not search_of(state).points


def test_a_search_ends_with_its_run_at_the_latest() -> None:
    state = state_after(search_run(), *probes(3), ended("stopped", message="requested"))
    end = search_of(state).end
    assert end is not None and (end.reason, end.message) == (STOPPED, "requested")
    state = state_after(search_run(), *probes(20), FOUND, ended())
    assert search_of(state).end == FOUND


def test_a_resumed_run_has_no_search() -> None:
    assert state_after(started(), *probes(3), started(t=2000.0, step=40)).search is None


def test_the_time_left_is_known_from_the_second_probe_on() -> None:
    assert search_of(state_after(started(), *probes(1))).eta_seconds is None
    assert search_of(state_after(started(), *probes(11))).eta_seconds == pytest.approx(9.0)
    assert search_of(state_after(started(), *probes(20), FOUND)).eta_seconds is None


def test_the_span_is_known_from_the_second_probe_on() -> None:
    assert search_of(state_after(started(), *probes(1))).span is None
    assert search_of(state_after(started(), *probes(2))).span == pytest.approx((1e-6, 10.0))
    odd = [LrProbed(0.0, 0, index, 10**9, lr, 1.0) for index, lr in ((1, 1e-300), (2, 1e300))]
    assert search_of(state_after(*odd)).span is None


def test_the_points_of_a_search_are_bounded() -> None:
    endless = [LrProbed(0.0, 0, index, 5, 0.1, math.nan) for index in range(2, MAX_STEPS + 50)]
    assert len(search_of(state_after(*endless)).points) == MAX_STEPS


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (FOUND, "suggests lr 0.0024, where the loss falls fastest (it falls from 0.0003 to 0.01)"),
        (LrSearched(0.0, 0, FINISHED, 0.1), "suggests lr 0.1, where the loss falls fastest"),
        (LrSearched(0.0, 0, FINISHED, message="it never falls"), "it never falls"),
        (LrSearched(0.0, 0, STOPPED), "the search was cancelled"),
    ],
)
def test_the_result_of_a_search_is_one_line(event: LrSearched, message: str) -> None:
    assert format_search_result(event) == message


def test_a_search_run_is_listed_with_its_kind(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, "two-conv-lrfind", "fashion")
    end = ended(message=format_search_result(FOUND))
    write_events(run.events, [search_run(), *probes(20), FOUND, end])
    summary = summarise_run(run)
    assert (summary.kind, summary.title, summary.state) == (LRFIND, "lrfind two-conv", "finished")
    assert (summary.epochs_total, summary.best_val_accuracy, summary.test_accuracy) == (
        0,
        None,
        None,
    )
    assert "suggests lr 0.0024" in summary.reason


def test_a_title_has_the_kind_unless_it_is_a_training_or_in_the_recipe() -> None:
    assert run_title("train", "fast") == "fast"
    assert run_title("ensemble", "ensemble") == "ensemble"
    assert run_title("lrfind", "fast") == "lrfind fast"
