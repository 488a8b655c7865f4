"""`y` copies what a screen shows, or the command that repeats it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fmnist_tui.cli.main import build_parser
from fmnist_tui.runs.listing import summarise_run
from fmnist_tui.sweeps.snapshot import StudySummary
from fmnist_tui.sweeps.storage import parse_location
from fmnist_tui.tui.base.copying import MOST_BYTES, CopyTable, ToCopy
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.screens.predict.results import Result
from fmnist_tui.tui.screens.predict.to_copy import prediction_to_copy
from fmnist_tui.tui.screens.runs.to_copy import runs_to_copy
from fmnist_tui.tui.screens.sweep.to_copy import study_to_copy
from fmnist_tui.tui.screens.train.to_copy import training_to_copy
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.state.config_draft import ConfigDraft
from fmnist_tui.tui.state.run_feed import RunFeed
from tests.tui.conftest import OpenDashboard
from tests.tui.support import make_run, record_toasts, wait_until
from tests.tui.sweep.support import make_study


def parsed(to_copy: ToCopy) -> list[str]:
    """The command, which the command line must understand."""
    words = [str(word) for word in to_copy.command]
    build_parser(words[0]).parse_args(words)
    return words


def test_a_table_is_copied_between_tabs_or_as_markdown() -> None:
    table = CopyTable(("class", "F1"), [("a|b\n", 0.5), ("c\td", 1)])
    assert table.to_tsv() == "class\tF1\na|b␊\t0.5\nc␉d\t1"
    assert table.to_markdown().split("\n")[:3] == [
        "| class | F1 |",
        "| --- | --- |",
        "| a\\|b␊ | 0.5 |",
    ]


async def test_the_screens_about_a_run_give_what_they_show(
    open_dashboard: OpenDashboard, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run(app_state.runs_dir)
    app_state.feed = RunFeed.open(folder)
    async with open_dashboard("evaluate") as (dashboard, pilot):

        def to_copy() -> ToCopy:
            assert isinstance(dashboard.screen, DashboardScreen)
            return dashboard.screen.to_copy()

        await wait_until(pilot, lambda: bool(to_copy().command))
        matrix = to_copy()
        assert matrix.value.startswith("true Shirt → predicted T-shirt/top:")
        assert matrix.table is not None and len(matrix.table.rows) == 10
        assert parsed(matrix)[:3] == ["evaluate", folder.id, "--split=test"]
        assert f"--runs={app_state.runs_dir}" in matrix.command
        dashboard.screen.query_one("#scores").focus()
        await pilot.pause()
        assert to_copy().value.startswith("Shirt: precision")
        dashboard.show("train")
        await pilot.pause()
        assert parsed(to_copy())[:2] == ["train", f"--config={folder.config}"]
        dashboard.show("runs")
        await wait_until(pilot, lambda: bool(to_copy().value))
        toasts = record_toasts(monkeypatch)
        await pilot.press("y", "v")
        await wait_until(pilot, lambda: bool(toasts), 5)
        assert dashboard.clipboard == folder.name
        assert toasts == [f"copied, if the terminal allows it: {folder.name}"]
        too_much = ToCopy("x" * (MOST_BYTES + 1))
        monkeypatch.setattr(dashboard.screen, "to_copy", lambda: too_much)
        await pilot.press("y", "v")
        await wait_until(pilot, lambda: toasts[-1].startswith("not copied: the value has"))
        monkeypatch.setattr(dashboard.screen, "to_copy", ToCopy)
        await pilot.press("y")
        await pilot.pause()
        assert toasts[-1] == "nothing to copy here yet"


def test_commands_of_runs_train_predict_and_sweep_are_understood(
    app_state: AppState, tmp_path: Path
) -> None:
    summary = summarise_run(make_run(app_state.runs_dir))
    shown = runs_to_copy(app_state, [summary], summary, [summary, summary])
    assert parsed(shown)[:4] == ["runs", "compare", summary.run.name, summary.run.name]
    assert shown.table is not None and shown.table.rows[0][0] == summary.run.name

    draft = ConfigDraft()
    draft.set("lr", "0.02")
    draft.set("flip", "yes")
    training = training_to_copy(app_state, draft, "lr")
    assert training.value == "lr = 0.02"
    assert parsed(training)[:4] == ["train", "two-conv", "--lr=0.02", "--flip=yes"]

    image = tmp_path / "a b.png"
    result = Result(image, (("Coat", 0.9), ("Bag", 0.1)))
    predicted = prediction_to_copy(summary.run.path, result, {image: result}, None)
    assert predicted.value == "Coat, 90.0 %"
    assert parsed(predicted) == ["predict", str(summary.run.path), str(image)]

    study = make_study(4)
    where = StudySummary("search", parse_location(None, app_state.runs_dir))
    swept = study_to_copy(app_state, where, study, study.trials, study.trials[1])
    assert parsed(swept)[:3] == ["sweep", "show", "search"]
    assert "--optimizer=sgd" in swept.value
