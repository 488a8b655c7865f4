"""Evaluate: new evaluations, and the notice where there are no scores."""

from __future__ import annotations

import shutil
import threading
from typing import Any

import pytest

from fmnist_tui.protocol.events import EVENTS, STOPPED, RunEnded
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.tui.screens.evaluate.screen import EvaluateScreen
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.state.evaluation_cache import LoadedEvaluation
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.util.errors import UserError
from tests.tui.conftest import OpenDashboard
from tests.tui.evaluate.support import FakeSession, wait_for_scores
from tests.tui.support import (
    events,
    headline,
    make_run,
    notice,
    predictions,
    record_toasts,
    wait_until,
)


async def test_e_evaluates_and_shows_the_scores(
    app_state: AppState, open_dashboard: OpenDashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir, splits=())
    session = FakeSession(monkeypatch, app_state)
    async with open_dashboard("evaluate") as (dashboard, pilot):
        await wait_until(pilot, lambda: "evaluate best @ step 80" in notice(dashboard))
        assert "the 833 images of val" in notice(dashboard)
        await pilot.press("e", "e")
        assert session.requests == [(app_state.selected_run, "val")]
        await wait_until(pilot, lambda: "Evaluating tiny" in notice(dashboard))
        session.answer()
        await wait_for_scores(dashboard, pilot, "best @ step 40")
        # It is not written to disk, but kept in memory for Errors.
        assert app_state.evaluations.get(app_state.selected_run, "val") is not None


async def test_a_damaged_best_is_named_beside_the_scores_of_the_one_that_serves(
    app_state: AppState, open_dashboard: OpenDashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    session = FakeSession(monkeypatch, app_state)
    async with open_dashboard("evaluate") as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot)
        await pilot.press("e")
        await wait_until(pilot, lambda: bool(session.futures))
        session.answer(notes=("best-0003.pt: damaged; best-0002.pt (step 60) serves instead",))
        await wait_until(pilot, lambda: "best-0002.pt (step 60) serves" in headline(dashboard))


async def test_a_new_evaluation_is_reported_beside_the_old_scores(
    app_state: AppState, open_dashboard: OpenDashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    session = FakeSession(monkeypatch, app_state)
    async with open_dashboard("evaluate") as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot)
        await pilot.press("e")
        await wait_until(pilot, lambda: "evaluating test now" in headline(dashboard))
        session.futures[-1].set_exception(UserError("best-0003.pt: the checkpoint is gone"))
        await wait_until(
            pilot, lambda: "✗ best-0003.pt: the checkpoint is gone" in headline(dashboard)
        )
        assert "accuracy" in headline(dashboard)


async def test_data_that_has_changed_is_said_beside_the_new_scores(
    app_state: AppState, open_dashboard: OpenDashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir, splits=())
    session = FakeSession(monkeypatch, app_state)
    async with open_dashboard("evaluate") as (dashboard, pilot):
        await wait_until(pilot, lambda: "evaluate best" in notice(dashboard))
        await pilot.press("e")
        session.answer(notes=("folder:x has changed: 2 images added",))
        await wait_for_scores(dashboard, pilot, "folder:x has changed: 2 images added")


async def test_a_failed_evaluation_is_reported_in_the_notice(
    app_state: AppState, open_dashboard: OpenDashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir, splits=())
    session = FakeSession(monkeypatch, app_state)
    async with open_dashboard("evaluate") as (dashboard, pilot):
        await wait_until(pilot, lambda: "No predictions" in notice(dashboard))
        await pilot.press("e")
        session.futures[-1].set_exception(RuntimeError("out of\nmemory"))
        await wait_until(pilot, lambda: "✗" in notice(dashboard))
        assert "RuntimeError: out of memory" in notice(dashboard)
        assert "evaluate best" in notice(dashboard)


async def test_reading_test_of_an_unfinished_run_shows_a_warning(
    app_state: AppState, open_dashboard: OpenDashboard
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir, epochs=2, ended=False, splits=())
    app_state.evaluations.choose_split(app_state.selected_run, "test")
    async with open_dashboard("evaluate") as (dashboard, pilot):
        await wait_until(pilot, lambda: "read once" in notice(dashboard))
        await pilot.press("p")
        await wait_until(pilot, lambda: "train" in notice(dashboard))
        assert "read once" not in notice(dashboard)


async def test_without_a_checkpoint_the_notice_explains_how_to_save_one(
    app_state: AppState, open_dashboard: OpenDashboard
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir, epochs=0, ended=False, splits=())
    async with open_dashboard("evaluate") as (dashboard, pilot):
        await wait_until(pilot, lambda: "No checkpoint saved yet" in notice(dashboard))


async def test_a_newer_best_checkpoint_of_a_live_run_is_reported(
    app_state: AppState, open_dashboard: OpenDashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run(app_state.runs_dir, epochs=2, ended=False, splits=())
    session = FakeSession(monkeypatch, app_state)
    app_state.feed = RunFeed.open(folder)
    async with open_dashboard("evaluate") as (dashboard, pilot):
        await wait_until(pilot, lambda: "best @ step 40" in notice(dashboard))
        await pilot.press("e")
        session.answer(step=40)
        await wait_for_scores(dashboard, pilot)
        assert "best checkpoint is now" not in headline(dashboard)
        later = list(events(epochs=3, ended=False))
        with folder.events.open("a") as file:
            for event in later[len(list(events(epochs=2, ended=False))) :]:
                file.write(EVENTS.encode(event) + "\n")
        await wait_until(
            pilot, lambda: "the best checkpoint is now at step 60" in headline(dashboard)
        )


async def test_the_end_of_a_run_brings_its_scores(
    app_state: AppState, open_dashboard: OpenDashboard
) -> None:
    folder = make_run(app_state.runs_dir, epochs=2, ended=False, splits=())
    app_state.feed = RunFeed.open(folder)
    async with open_dashboard("evaluate") as (dashboard, pilot):
        await wait_until(pilot, lambda: "No predictions" in notice(dashboard))
        predictions("val").save(folder.predictions / "val.npz")
        with folder.events.open("a") as file:
            file.write(EVENTS.encode(RunEnded(1.0, 40, 2, STOPPED, 1.0)) + "\n")
        await wait_for_scores(dashboard, pilot, "val (300)")


async def test_damaged_predictions_are_reported_and_can_be_replaced(
    app_state: AppState, open_dashboard: OpenDashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    (app_state.selected_run.predictions / "test.npz").write_bytes(b"PK\x03\x04 nonsense")
    session = FakeSession(monkeypatch, app_state)
    async with open_dashboard("evaluate") as (dashboard, pilot):
        await wait_until(pilot, lambda: "damaged" in notice(dashboard))
        await pilot.press("e")
        session.answer()
        await wait_for_scores(dashboard, pilot)


async def test_a_deleted_folder_is_reported(
    monkeypatch: pytest.MonkeyPatch, app_state: AppState, open_dashboard: OpenDashboard
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with open_dashboard("evaluate") as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot)
        shutil.rmtree(app_state.selected_run.path)
        await pilot.press("p")
        await wait_until(pilot, lambda: "no longer exists" in notice(dashboard))
        toasts = record_toasts(monkeypatch)
        await pilot.press("w")
        await wait_until(pilot, lambda: "no runs" in "".join(toasts))


async def test_scores_that_load_late_are_not_shown_without_a_run(
    monkeypatch: pytest.MonkeyPatch, app_state: AppState, open_dashboard: OpenDashboard
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir, ended=False)
    asked, loaded, delivered = threading.Event(), threading.Event(), threading.Event()
    load, deliver = app_state.evaluations.load, EvaluateScreen._deliver

    def load_slowly(folder: RunFolder, split: str) -> LoadedEvaluation | None:
        asked.set()
        assert loaded.wait(60)
        return load(folder, split)

    async def deliver_and_note(screen: EvaluateScreen, *work: Any) -> None:
        await deliver(screen, *work)
        delivered.set()

    monkeypatch.setattr(app_state.evaluations, "load", load_slowly)
    monkeypatch.setattr(EvaluateScreen, "_deliver", deliver_and_note)
    async with open_dashboard("evaluate") as (dashboard, pilot):
        try:
            await wait_until(pilot, asked.is_set)
            dashboard.select_run(None)
            await wait_until(pilot, lambda: "No run selected" in notice(dashboard))
        finally:
            loaded.set()
        await wait_until(pilot, delivered.is_set)
        assert "No run selected" in notice(dashboard)


async def test_a_damaged_event_log_leaves_the_scores(
    app_state: AppState, open_dashboard: OpenDashboard
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    app_state.selected_run.events.write_bytes(b"\xff\x00garbage\n{}\n")
    async with open_dashboard("evaluate") as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot)
        assert app_state.selected_run.id in headline(dashboard)


async def test_a_half_deleted_folder_shows_what_is_left(
    app_state: AppState, open_dashboard: OpenDashboard
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    app_state.selected_run.events.unlink()
    app_state.selected_run.config.unlink()
    async with open_dashboard("evaluate") as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot, "test (300)")
        shutil.rmtree(app_state.selected_run.predictions)
        await pilot.press("p", "p")
        await wait_until(pilot, lambda: "No predictions" in notice(dashboard))
        assert app_state.selected_run.id in notice(dashboard)
