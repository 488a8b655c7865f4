"""Exports and ensembles from the list of runs: the questions, the errands, what is said of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.style import Style
from textual.widgets import Input, OptionList

from fmnist_tui.protocol.events import ENSEMBLE, EVENTS, Alert, Evaluated, RunStarted
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import EventReader
from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.base.dialogs import ChoiceDialog, PromptDialog
from fmnist_tui.tui.screens.evaluate.confusion_table import ConfusionTable
from fmnist_tui.tui.screens.runs.export import export_summary
from fmnist_tui.tui.screens.train import progress
from fmnist_tui.tui.shared.job_results import ensemble_summary
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.widgets.gallery import Gallery
from fmnist_tui.util.formatting import NO_VALUE
from tests.tui.conftest import Opened
from tests.tui.runs.test_runs_screen import checkpoint, listed, page, rows, told
from tests.tui.scripted import CONFIG, make_run, predictions, settled


class Errands:
    """What the dashboard is asked to have done; nothing is."""

    def __init__(self, dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> None:
        self.titles: list[str] = []
        self.words: list[list[str]] = []
        self.then: list[Any] = []
        monkeypatch.setattr(dashboard, "start_job", self)

    def __call__(self, title: str, words: list[str], then: Any = None) -> None:
        self.titles.append(title)
        self.words.append(words)
        self.then.append(then)


EXPORTED = {
    "file": "/there/m.onnx",
    "size": 2_782_137,
    "parity": {
        "split": "test",
        "count": 10_000,
        "same_labels": 10_000,
        "largest_difference": 1.4e-06,
    },
    "latency_ms": {"torch": {"1": 0.171, "64": 2.0}, "onnxruntime": {"1": 0.064, "64": 1.9}},
}


async def test_e_asks_for_form_and_file_and_has_the_run_exported(
    opened: Opened, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(app_state.runs_dir, change=lambda folder: checkpoint(folder, "best-0001", 20, 1))
    async with opened("runs") as (dashboard, pilot):
        await listed(dashboard, pilot, 1)
        errands, said = Errands(dashboard, monkeypatch), told(dashboard, monkeypatch)
        await pilot.press("e")
        await settled(pilot, lambda: isinstance(dashboard.screen, ChoiceDialog))
        names = [str(option.prompt) for option in dashboard.screen.query_one(OptionList).options]
        assert [name.split()[1] for name in names] == ["onnx", "safetensors", "pth"]
        await pilot.press("o")
        await settled(pilot, lambda: isinstance(dashboard.screen, PromptDialog))
        assert dashboard.screen.query_one(Input).value == str(run.exports / f"{run.id}.onnx")
        await pilot.press("enter")
        assert errands.words == [
            ["export", str(run.path), "--to=onnx", f"--data={app_state.data_dir}"]
        ]
        errands.then[0](EXPORTED)
        assert said[-1] == export_summary(EXPORTED)


async def test_a_file_that_is_there_is_overwritten_after_a_question(
    opened: Opened, app_state: AppState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(app_state.runs_dir, change=lambda folder: checkpoint(folder, "last-0001", 20, 1))
    out = tmp_path / "mine.pth"
    out.write_bytes(b"before")
    async with opened("runs") as (dashboard, pilot):
        await listed(dashboard, pilot, 1)
        errands = Errands(dashboard, monkeypatch)
        for answer in ("n", "y"):
            await pilot.press("e")
            await settled(pilot, lambda: isinstance(dashboard.screen, ChoiceDialog))
            await pilot.press("p")
            await settled(pilot, lambda: isinstance(dashboard.screen, PromptDialog))
            dashboard.screen.query_one(Input).value = str(out)
            await pilot.press("enter")
            await settled(pilot, lambda: isinstance(dashboard.screen, ChoiceDialog))
            await pilot.press(answer)
            await settled(pilot, lambda: not isinstance(dashboard.screen, ChoiceDialog))
        (words,) = errands.words
        assert words[-2:] == [f"--out={out}", "--force"]
    assert out.read_bytes() == b"before"


async def test_there_must_be_something_to_export(
    opened: Opened, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(app_state.runs_dir)
    async with opened("runs") as (dashboard, pilot):
        await listed(dashboard, pilot, 1)
        said = told(dashboard, monkeypatch)
        await pilot.press("e")
        await settled(pilot, lambda: bool(said))
        assert "no checkpoint to export" in said[0]
        for step in ("escape", "o"):
            await pilot.press(step)
        assert not isinstance(dashboard.screen, ChoiceDialog)


def test_an_export_is_told_in_one_line() -> None:
    assert export_summary(EXPORTED) == (
        "/there/m.onnx: 2.8 MB, same class for 10,000 of 10,000 test images, probabilities within"
        " 1.4e-06; torch 0.17 ms for 1 image, 2.0 ms for 64, onnxruntime 0.06 ms for 1 image,"
        " 1.9 ms for 64"
    )


async def test_m_makes_an_ensemble_of_the_marked_runs_and_takes_it_in_hand(
    opened: Opened, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [make_run(app_state.runs_dir, CONFIG.changed(seed=seed)) for seed in (0, 1)]
    async with opened("runs") as (dashboard, pilot):
        await listed(dashboard, pilot, 2)
        errands, said = Errands(dashboard, monkeypatch), told(dashboard, monkeypatch)
        await pilot.press("space", "m")
        assert "mark at least two runs" in said.pop()
        first = RunFolder(next(iter(dashboard.screen._marks)))  # type: ignore[attr-defined]
        (second,) = [run for run in runs if run != first]
        await pilot.press("down", "space", "m")
        await settled(pilot, lambda: isinstance(dashboard.screen, ChoiceDialog))
        await pilot.press("f")
        (words,) = errands.words
        assert words[:4] == ["ensemble", str(first.path), str(second.path), "--tta=flip"]
        assert words[4:] == [f"--runs={app_state.runs_dir}", f"--data={app_state.data_dir}"]
        made = make_run(app_state.runs_dir, CONFIG.changed(recipe="ensemble"))
        verdict = {"accuracy": 0.9, "count": 833}
        document = {"path": str(made.path), "val": verdict, "test": None}
        errands.then[0](document)
        assert app_state.selected_run == made
        assert said == [ensemble_summary(document)]
        assert said[0] == f"ensemble {made.id}: val 90.00 % of 833; now selected"
        await listed(dashboard, pilot, 3)


async def test_digits_are_not_offered_mirrored(
    opened: Opened, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in (0, 1):
        make_run(app_state.runs_dir, CONFIG.changed(seed=seed, dataset="mnist"))
    async with opened("runs") as (dashboard, pilot):
        await listed(dashboard, pilot, 2)
        errands = Errands(dashboard, monkeypatch)
        await pilot.press("space", "down", "space", "m")
        assert errands.words[0][3] == "--tta=none"


def as_ensemble(folder: RunFolder) -> None:
    """Make the record that of an ensemble: nothing trained, two members, two verdicts."""
    told = EventReader(folder.events).read()
    started, tested, ended = told[0], told[-2], told[-1]
    assert isinstance(started, RunStarted) and isinstance(tested, Evaluated)
    model = "2 × two-conv"
    begun = replace(started, kind=ENSEMBLE, model=model, epochs=0, steps_per_epoch=0)
    notes = [Alert(started.t, "note", f"member {number}: run {number}") for number in (1, 2)]
    verdicts = [
        replace(tested, split=split, checkpoint="best", step=0) for split in ("val", "test")
    ]
    lines = [EVENTS.encode(event) for event in (begun, *notes, *verdicts, ended)]
    folder.events.write_text("\n".join(lines) + "\n")


async def test_the_page_of_an_ensemble_tells_its_members_and_no_epochs(
    opened: Opened, app_state: AppState
) -> None:
    make_run(app_state.runs_dir, change=as_ensemble)
    async with opened("runs", size=(200, 60)) as (dashboard, pilot):
        await listed(dashboard, pilot, 1)
        await settled(pilot, lambda: "member 2: run 2" in page(dashboard))
        shown = page(dashboard)
        assert "2 × two-conv, 225,034 parameters" in shown and "member 1: run 1" in shown
        (val,) = [line for line in shown.splitlines() if line.startswith("val")]
        (test,) = [line for line in shown.splitlines() if line.startswith("test")]
        assert val.split()[1:] == test.split()[1:] and "of 300" in val
        assert "epochs" not in shown and "tta" in shown
        assert f" {NO_VALUE} " in rows(dashboard)[0]


async def test_evaluate_and_errors_show_an_ensemble_like_any_run(
    opened: Opened, app_state: AppState
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir, change=as_ensemble)
    async with opened("evaluate", size=(160, 50)) as (dashboard, pilot):
        await settled(pilot, lambda: not dashboard.screen.has_class("-nothing"))
        matrix = dashboard.screen.query_one(ConfusionTable)
        await settled(pilot, lambda: bool(matrix.region.area))
        await pilot.press("4")
        await settled(pilot, lambda: not dashboard.screen.has_class("-nothing"))
        gallery = dashboard.screen.query_one(Gallery)
        wrong = predictions("test").evaluation().wrong
        await settled(pilot, lambda: gallery.count == wrong)


async def test_train_shows_an_ensemble_without_bars(opened: Opened, app_state: AppState) -> None:
    run = make_run(app_state.runs_dir, change=as_ensemble)
    async with opened("train") as (dashboard, pilot):
        dashboard.follow_run(run)
        await settled(pilot, lambda: app_state.feed is not None)
        assert app_state.feed is not None
        parts = progress.training_figures(app_state.feed.state, "finished")
        assert parts[:3] == ["finished", "2 × two-conv", "225,034 parameters"]
        assert [part.split()[0] for part in parts[3:]] == ["val", "test"]
        bars = dashboard.screen.query_one(progress.RunProgress)
        strips = bars.paint(100, 4, Style())
        assert strips and not any("epoch" in strip.text for strip in strips)


async def test_an_ensemble_is_neither_resumed_nor_forked_from_the_list(
    opened: Opened, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(app_state.runs_dir, change=as_ensemble)
    async with opened("runs") as (dashboard, pilot):
        await listed(dashboard, pilot, 1)
        said = told(dashboard, monkeypatch)
        await pilot.press("u", "f")
        assert ["is an ensemble and cannot be" in line for line in said] == [True, True]
        assert not isinstance(dashboard.screen, (PromptDialog, ChoiceDialog))
