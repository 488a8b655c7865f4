"""Ensembles: made from the Runs screen, and shown on every screen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from rich.style import Style

from fmnist_tui.protocol.events import ENSEMBLE, EVENTS, Alert, Evaluated, RunStarted
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import EventReader
from fmnist_tui.tui.base.dialogs import ChoiceDialog, PromptDialog
from fmnist_tui.tui.screens.evaluate.confusion_table import ConfusionTable
from fmnist_tui.tui.screens.train import progress
from fmnist_tui.tui.screens.train.form import Form
from fmnist_tui.tui.screens.train.screen import TrainScreen
from fmnist_tui.tui.shared.run_names import ensemble_summary
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.widgets.gallery import Gallery
from fmnist_tui.util.formatting import NO_VALUE
from tests.tui.conftest import OpenDashboard
from tests.tui.runs.support import RecordedJobs, hold_lock, page, rows, wait_for_rows
from tests.tui.support import CONFIG, make_run, predictions, record_toasts, wait_until


async def test_m_makes_an_ensemble_of_the_marked_runs_and_selects_it(
    open_dashboard: OpenDashboard, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [make_run(app_state.runs_dir, CONFIG.changed(lr=lr)) for lr in (0.01, 0.02)]
    async with open_dashboard("runs") as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 2)
        jobs, toasts = RecordedJobs(dashboard, monkeypatch), record_toasts(monkeypatch)
        await pilot.press("space", "m")
        assert "mark at least two runs" in toasts.pop()
        first = RunFolder(Path(next(iter(dashboard.screen._marks))))  # type: ignore[attr-defined]
        (second,) = [run for run in runs if run != first]
        await pilot.press("down", "space", "m")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, ChoiceDialog))
        await pilot.press("f")
        (words,) = jobs.words
        assert words[:4] == ["ensemble", str(first.path), str(second.path), "--tta=flip"]
        assert words[4:] == [f"--runs={app_state.runs_dir}", f"--data={app_state.data_dir}"]
        ensemble = make_run(app_state.runs_dir, CONFIG.changed(recipe="ensemble"))
        evaluation = {"accuracy": 0.9, "count": 833}
        document = {"path": str(ensemble.path), "val": evaluation, "test": None}
        jobs.on_done[0](document)
        assert app_state.selected_run == ensemble
        assert toasts == [ensemble_summary(document)]
        assert toasts[0] == f"ensemble {ensemble.id}: val 90.00 % of 833; now selected"
        await wait_for_rows(dashboard, pilot, 3)


async def test_a_marked_group_of_seeds_gives_all_its_runs_and_flips_are_not_offered_for_digits(
    open_dashboard: OpenDashboard, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in (0, 1):
        make_run(app_state.runs_dir, CONFIG.changed(seed=seed, dataset="mnist"))
    async with open_dashboard("runs") as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 1)
        jobs = RecordedJobs(dashboard, monkeypatch)
        await pilot.press("space", "m")
        assert jobs.words[0][3] == "--tta=none"


def convert_to_ensemble(folder: RunFolder) -> None:
    """Rewrite the events as those of an ensemble: no training, two members, two evaluations."""
    events = EventReader(folder.events).read()
    started, tested, ended = events[0], events[-2], events[-1]
    assert isinstance(started, RunStarted) and isinstance(tested, Evaluated)
    model = "2 × two-conv"
    started = replace(started, kind=ENSEMBLE, model=model, epochs=0, steps_per_epoch=0)
    notes = [Alert(started.t, "note", f"member {number}: run {number}") for number in (1, 2)]
    evaluations = [
        replace(tested, split=split, checkpoint="best", step=0) for split in ("val", "test")
    ]
    lines = [EVENTS.encode(event) for event in (started, *notes, *evaluations, ended)]
    folder.events.write_text("\n".join(lines) + "\n")


async def test_the_page_of_an_ensemble_lists_its_members_and_no_epochs(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    make_run(app_state.runs_dir, change=convert_to_ensemble)
    async with open_dashboard("runs", size=(200, 60)) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 1)
        await wait_until(pilot, lambda: "member 2: run 2" in page(dashboard))
        shown = page(dashboard)
        assert "2 × two-conv\n" in shown and "225,034 parameters" in shown
        assert "member 1: run 1" in shown
        (val,) = [line for line in shown.splitlines() if line.startswith("val")]
        (test,) = [line for line in shown.splitlines() if line.startswith("test")]
        assert val.split()[1:] == test.split()[1:] and "of 300" in val
        assert "epochs" not in shown and "tta" in shown
        assert f" {NO_VALUE} " in rows(dashboard)[0]


async def test_an_ensemble_is_not_compared_by_the_settings_of_its_first_member(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    make_run(app_state.runs_dir, CONFIG.changed(lr=0.01))
    make_run(app_state.runs_dir, CONFIG.changed(lr=0.02))
    ensemble = CONFIG.changed(lr=0.03, tta="flip", seed=5)
    make_run(app_state.runs_dir, ensemble, change=convert_to_ensemble)
    async with open_dashboard("runs", size=(200, 60)) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 3)
        await pilot.press("space", "down", "space", "down", "space")
        await wait_until(pilot, lambda: "flip" in page(dashboard) and "0.02" in page(dashboard))
        shown = {line.split()[0]: line.split()[1:] for line in page(dashboard).splitlines()}
        assert sorted(shown["lr"]) == ["0.01", "0.02", NO_VALUE]
        assert sorted(shown["tta"]) == ["flip", "none", "none"]
        assert "seed" not in shown


async def test_evaluate_and_errors_show_an_ensemble_like_any_run(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir, change=convert_to_ensemble)
    async with open_dashboard("evaluate", size=(160, 50)) as (dashboard, pilot):
        await wait_until(pilot, lambda: not dashboard.screen.has_class("-no-results"))
        matrix = dashboard.screen.query_one(ConfusionTable)
        await wait_until(pilot, lambda: bool(matrix.region.area))
        await pilot.press("4")
        await wait_until(pilot, lambda: not dashboard.screen.has_class("-no-results"))
        gallery = dashboard.screen.query_one(Gallery)
        wrong = predictions("test").evaluation().wrong
        await wait_until(pilot, lambda: gallery.count == wrong)


async def test_train_shows_an_ensemble_without_bars(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    run = make_run(app_state.runs_dir, change=convert_to_ensemble)
    async with open_dashboard("train") as (dashboard, pilot):
        dashboard.follow_run(run)
        await wait_until(pilot, lambda: app_state.feed is not None)
        assert app_state.feed is not None
        parts = progress.training_figures(app_state.feed.state, "finished")
        assert parts[:3] == ["finished", "2 × two-conv", "225,034 parameters"]
        assert [part.split()[0] for part in parts[3:]] == ["val", "test"]
        bars = dashboard.screen.query_one(progress.RunProgress)
        strips = bars.paint(100, 4, Style())
        assert strips and not any("epoch" in strip.text for strip in strips)
        # Its config is that of a member, and is said to be.
        form = dashboard.screen.query_one(Form)
        assert form.draft.config() != CONFIG
        await pilot.press("n")
        await wait_until(pilot, lambda: form.draft.config() == CONFIG)
        assert "a member of ensemble" in str(form.border_subtitle)


async def test_an_ensemble_is_neither_resumed_nor_forked(
    open_dashboard: OpenDashboard, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(app_state.runs_dir, change=convert_to_ensemble)
    async with open_dashboard("runs") as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 1)
        toasts = record_toasts(monkeypatch)
        await pilot.press("u", "f")
        assert ["is an ensemble and cannot be" in line for line in toasts] == [True, True]
        assert not isinstance(dashboard.screen, (PromptDialog, ChoiceDialog))


def start_ensemble(folder: RunFolder) -> None:
    """Rewrite the events as those of an ensemble that is being built."""
    convert_to_ensemble(folder)
    lines = folder.events.read_text().splitlines()
    folder.events.write_text(lines[0] + "\n")


async def test_an_ensemble_in_progress_is_neither_stopped_nor_paused_by_a_command(
    open_dashboard: OpenDashboard, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(app_state.runs_dir, change=start_ensemble)
    with hold_lock(run):
        async with open_dashboard("runs") as (dashboard, pilot):
            await wait_until(pilot, lambda: any("running" in row for row in rows(dashboard)))
            toasts = record_toasts(monkeypatch)
            await pilot.press("s")
            await wait_until(pilot, lambda: len(toasts) == 1)
            dashboard.follow_run(run)
            await wait_until(pilot, lambda: app_state.feed is not None)
            dashboard.show("train")
            await wait_until(pilot, lambda: isinstance(dashboard.screen, TrainScreen))
            await pilot.press("s", "space")
            await wait_until(pilot, lambda: len(toasts) == 3)
    assert all("is an ensemble: cancel its job (E)" in toast for toast in toasts)
    assert not run.commands.exists()
