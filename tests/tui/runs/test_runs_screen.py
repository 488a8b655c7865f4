"""The Runs screen: every key once, live and broken runs, small and large terminals."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.protocol.commands import Stop
from fmnist_tui.protocol.events import EVENTS, STOPPED, Changed, RunEnded
from fmnist_tui.runs.folder import ARCHIVE, RunFolder
from fmnist_tui.runs.lock import RunLock
from fmnist_tui.runs.log import CommandReader
from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.base.dialogs import ChoiceDialog, PickerDialog, PromptDialog
from fmnist_tui.tui.screens.runs import screen as runs_screen
from fmnist_tui.tui.screens.runs.compare_pane import ComparePane
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.widgets.line_chart import LineChart
from fmnist_tui.tui.widgets.line_table import LineTable
from tests.tui.conftest import Opened
from tests.tui.scripted import CONFIG, make_run, settled


def table(dashboard: Dashboard) -> LineTable:
    return dashboard.screen.query_one("#table", LineTable)


def rows(dashboard: Dashboard) -> list[str]:
    """The lines of the table as they read."""
    shown = table(dashboard)
    return [shown.get_row_at(place)[0].plain for place in range(shown.row_count)]


def page(dashboard: Dashboard) -> str:
    return str(dashboard.screen.query_one("#figures", Static).content)


def curve(dashboard: Dashboard) -> LineChart:
    return next(chart for chart in dashboard.screen.query(LineChart) if chart.display)


def is_shown(dashboard: Dashboard, selector: str) -> bool:
    return bool(dashboard.screen.query_one(selector).display)


async def listed(dashboard: Dashboard, pilot: Pilot[int], count: int) -> None:
    await settled(pilot, lambda: table(dashboard).row_count == count)
    await pilot.pause()


def told(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the dashboard says in toasts from now on."""
    said: list[str] = []
    monkeypatch.setattr(dashboard, "notify", lambda message, *_, **__: said.append(message))
    return said


def called(dashboard: Dashboard, name: str, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """With what the dashboard's method is called from now on; it does nothing."""
    calls: list[Any] = []

    def call(*arguments: Any) -> bool:
        calls.append(arguments)
        return False

    monkeypatch.setattr(dashboard, name, call)
    return calls


def append(folder: RunFolder, *events: Any) -> None:
    with folder.events.open("a") as file:
        for event in events:
            file.write(EVENTS.encode(event) + "\n")


def stopped(folder: RunFolder) -> None:
    append(folder, RunEnded(1_700_000_100.0, 40, 2, STOPPED, 9.0))


def checkpoint(folder: RunFolder, name: str, step: int, epoch: int) -> None:
    (folder.checkpoints / f"{name}.pt").write_bytes(b"weights")
    (folder.checkpoints / f"{name}.json").write_text(
        json.dumps({"step": step, "epoch": epoch, "size": 7})
    )


@contextmanager
def live(folder: RunFolder) -> Iterator[None]:
    """Somebody trains the run."""
    with RunLock.acquire(folder.path):
        yield


async def test_an_empty_shelf_says_what_to_press(opened: Opened) -> None:
    async with opened("runs") as (dashboard, pilot):
        await settled(pilot, lambda: "press 2" in table(dashboard).empty)
        for key in "uoacxsfv":
            await pilot.press(key)
        assert dashboard.screen.query_one("#page").display


async def test_runs_are_listed_with_their_states_and_figures(
    opened: Opened, app_state: AppState
) -> None:
    finished = make_run(app_state.runs_dir)
    crashed = make_run(app_state.runs_dir, CONFIG.changed(recipe="second"), epochs=1, ended=False)
    async with opened("runs") as (dashboard, pilot):
        await listed(dashboard, pilot, 2)
        by_id = {line.split()[3]: line for line in rows(dashboard)}
        assert "✓ finished" in by_id[finished.id]
        assert "4/4" in by_id[finished.id]
        assert "98.01 %" in by_id[finished.id]
        assert "✗ crashed" in by_id[crashed.id]
        assert table(dashboard).has_focus


async def test_lines_end_before_the_scroll_bar(opened: Opened, app_state: AppState) -> None:
    for _ in range(12):
        make_run(app_state.runs_dir, epochs=1, splits=())
    async with opened("runs", size=(80, 24)) as (dashboard, pilot):
        await listed(dashboard, pilot, 12)
        assert table(dashboard).show_vertical_scrollbar
        for line in rows(dashboard):
            assert len(line) == table(dashboard).scrollable_content_region.width


async def test_space_marks_up_to_six_runs_and_c_clears(
    opened: Opened, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(7):
        make_run(app_state.runs_dir, epochs=1, splits=())
    async with opened("runs") as (dashboard, pilot):
        await listed(dashboard, pilot, 7)
        said = told(dashboard, monkeypatch)
        for _ in range(7):
            await pilot.press("space", "down")
        assert [line[:2] for line in rows(dashboard)] == [*(f"◆{n}" for n in range(1, 7)), "  "]
        assert "at most 6 runs" in said[0]
        await settled(pilot, lambda: len(curve(dashboard)._lines) == 6)
        assert curve(dashboard)._lines[1].label.startswith("2 ")
        await pilot.press("home", "space")
        assert rows(dashboard)[0].startswith("  ")
        await pilot.press("c")
        assert not any("◆" in line for line in rows(dashboard))


async def test_two_marked_runs_are_compared_by_what_differs(
    opened: Opened, app_state: AppState
) -> None:
    make_run(app_state.runs_dir, CONFIG.changed(lr=0.01))
    make_run(app_state.runs_dir, CONFIG.changed(lr=0.02))
    async with opened("runs") as (dashboard, pilot):
        await listed(dashboard, pilot, 2)
        await settled(pilot, lambda: "parameters" in page(dashboard))
        await pilot.press("space", "down", "space")
        await settled(pilot, lambda: "0.02" in page(dashboard))
        settings = {line.split()[0]: line.split()[1:] for line in page(dashboard).splitlines()}
        assert sorted(settings["lr"]) == ["0.01", "0.02"]
        assert "epochs" not in settings
        assert "±" in page(dashboard)


async def test_v_goes_through_the_curves_and_remembers(opened: Opened, app_state: AppState) -> None:
    make_run(app_state.runs_dir)
    async with opened("runs") as (dashboard, pilot):
        await listed(dashboard, pilot, 1)
        found = []
        for _ in range(3):
            found.append(curve(dashboard).id)
            await pilot.press("v")
        assert found == ["curve-val_accuracy", "curve-val_loss", "curve-train_loss"]
        assert app_state.settings.get("runs.curves") == "val_accuracy"
        await settled(pilot, lambda: len(curve(dashboard)._lines) == 1)


async def test_on_a_small_screen_v_reaches_the_settings_too(
    opened: Opened, app_state: AppState
) -> None:
    make_run(app_state.runs_dir)
    async with opened("runs", size=(80, 24)) as (dashboard, pilot):
        await listed(dashboard, pilot, 1)
        assert not is_shown(dashboard, "#page")
        assert len(rows(dashboard)[0]) <= table(dashboard).size.width
        await pilot.press("v", "v", "v")
        assert is_shown(dashboard, "#page")
        await pilot.resize_terminal(160, 50)
        await pilot.pause()
        assert is_shown(dashboard, "#page")
        assert curve(dashboard).display


async def test_it_opens_on_a_large_screen(opened: Opened, app_state: AppState) -> None:
    make_run(app_state.runs_dir)
    async with opened("runs", size=(200, 60)) as (dashboard, pilot):
        await listed(dashboard, pilot, 1)
        await settled(pilot, lambda: "two-conv" in rows(dashboard)[0])
        assert dashboard.screen.query_one(ComparePane).region.x > 100


async def test_enter_opens_a_run(
    opened: Opened, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(app_state.runs_dir)
    async with opened("runs") as (dashboard, pilot):
        await listed(dashboard, pilot, 1)
        opening = called(dashboard, "open_run", monkeypatch)
        await pilot.press("enter")
        assert opening == [(run,)]


async def test_a_stopped_run_is_resumed_as_it_was(
    opened: Opened, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(app_state.runs_dir, epochs=2, ended=False, change=stopped)
    async with opened("runs") as (dashboard, pilot):
        await listed(dashboard, pilot, 1)
        resuming = called(dashboard, "resume_run", monkeypatch)
        await pilot.press("u")
        assert resuming == [(run, CONFIG)]


async def test_a_finished_run_is_resumed_for_more_epochs_only(
    opened: Opened, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(app_state.runs_dir)
    async with opened("runs") as (dashboard, pilot):
        await listed(dashboard, pilot, 1)
        resuming = called(dashboard, "resume_run", monkeypatch)
        await pilot.press("u")
        for wrong, problem in (("3", "must be more than 4"), ("many", "whole number")):
            assert isinstance(dashboard.screen, PromptDialog)
            dashboard.screen.query_one(Input).value = wrong
            await pilot.press("enter")
            assert problem in str(dashboard.screen.query_one(Static).content)
        dashboard.screen.query_one(Input).value = "9"
        await pilot.press("enter")
        assert resuming == [(run, CONFIG.changed(epochs=9))]


async def test_a_live_run_is_not_resumed_but_followed(
    opened: Opened, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(app_state.runs_dir, epochs=2, ended=False)
    with live(run):
        async with opened("runs") as (dashboard, pilot):
            await listed(dashboard, pilot, 1)
            assert "● running" in rows(dashboard)[0]
            following, _ = (
                called(dashboard, "follow_run", monkeypatch),
                called(dashboard, "show", monkeypatch),
            )
            await pilot.press("u")
            assert isinstance(dashboard.screen, ChoiceDialog)
            await pilot.press("f")
            assert following == [(run,)]
            assert app_state.selected_run == run


async def test_f_forks_from_a_checkpoint_with_changes(
    opened: Opened, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(app_state.runs_dir)
    async with opened("runs") as (dashboard, pilot):
        await listed(dashboard, pilot, 1)
        forking, said = called(dashboard, "fork_run", monkeypatch), told(dashboard, monkeypatch)
        await pilot.press("f")
        await settled(pilot, lambda: bool(said))
        assert "no checkpoint" in said.pop()
        checkpoint(run, "last-0002", 80, 4)
        checkpoint(run, "last-0001", 60, 3)
        checkpoint(run, "best-0001", 60, 3)
        checkpoint(run, "step-20", 20, 1)
        await pilot.press("f")
        await settled(pilot, lambda: isinstance(dashboard.screen, PickerDialog))
        names = [str(option.id) for option in dashboard.screen.query_one(OptionList).options]
        assert names == ["last-0002", "best-0001", "step-20"]
        await pilot.press("enter")
        field = dashboard.screen.query_one(Input)
        assert field.value == "epochs=8"
        field.value = "epochs=8 lr"
        await pilot.press("enter")
        problem = str(dashboard.screen.query_one(Static).content)
        assert problem == "lr: write a change as lr=0.001"
        dashboard.screen.query_one(Input).value = "epochs=8 lr=0.5"
        await pilot.press("enter")
        assert forking == [(run, "last-0002.pt", CONFIG.changed(epochs=8, lr=0.5))]


async def test_s_stops_a_live_run_of_any_process(
    opened: Opened, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(app_state.runs_dir, epochs=1, ended=False)
    heard = CommandReader(run.commands, interval=0.0)
    async with opened("runs") as (dashboard, pilot):
        await listed(dashboard, pilot, 1)
        said = told(dashboard, monkeypatch)
        await pilot.press("s")
        assert "is not running" in said.pop()
        with live(run):
            runs_screen.RunsScreen.load(dashboard.screen)  # type: ignore[arg-type]
            await settled(pilot, lambda: "running" in rows(dashboard)[0])
            await pilot.press("s")
            await settled(pilot, lambda: bool(said))
        assert [type(command) for command in heard.poll()] == [Stop]


async def test_a_archives_after_a_question(opened: Opened, app_state: AppState) -> None:
    run = make_run(app_state.runs_dir)
    app_state.selected_run = run
    async with opened("runs") as (dashboard, pilot):
        await listed(dashboard, pilot, 1)
        for answer in ("escape", "a"):
            assert run.path.is_dir()
            await pilot.press("a")
            await settled(pilot, lambda: isinstance(dashboard.screen, ChoiceDialog))
            await pilot.press(answer)
            await settled(pilot, lambda: not isinstance(dashboard.screen, ChoiceDialog))
        await listed(dashboard, pilot, 0)
        moved = app_state.runs_dir / ARCHIVE / run.name
        assert moved.is_dir()
        assert app_state.selected_run == RunFolder(moved)


async def test_x_deletes_after_a_question_that_says_how_much(
    opened: Opened, app_state: AppState
) -> None:
    run = make_run(app_state.runs_dir)
    async with opened("runs") as (dashboard, pilot):
        await listed(dashboard, pilot, 1)
        for answer in ("n", "y"):
            await pilot.press("x")
            await settled(pilot, lambda: isinstance(dashboard.screen, ChoiceDialog))
            words = str(dashboard.screen.query_one(Static).content)
            assert run.name in words
            assert " kB with its checkpoints" in words
            assert run.path.is_dir()
            await pilot.press(answer)
        await listed(dashboard, pilot, 0)
        assert not run.path.exists()


async def test_a_live_run_is_neither_archived_nor_deleted(
    opened: Opened, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(app_state.runs_dir, epochs=1, ended=False)
    with live(run):
        async with opened("runs") as (dashboard, pilot):
            await listed(dashboard, pilot, 1)
            said = told(dashboard, monkeypatch)
            await pilot.press("a", "x")
            assert [f"process {os.getpid()}" in line for line in said] == [True, True]
            assert run.path.is_dir()


async def test_the_filter_narrows_by_typing_and_escape_clears_it(
    opened: Opened, app_state: AppState
) -> None:
    for name in ("alpha", "beta7"):
        make_run(app_state.runs_dir, CONFIG.changed(recipe=name), splits=())
    async with opened("runs") as (dashboard, pilot):
        await listed(dashboard, pilot, 2)
        await pilot.press("slash", *"ta7")
        assert dashboard.current_mode == "runs"
        assert len(rows(dashboard)) == 1
        assert "beta7" in rows(dashboard)[0]
        await pilot.press("enter")
        assert table(dashboard).has_focus
        await pilot.press("slash", *"zzz")
        assert "no run matches" in table(dashboard).empty
        await pilot.press("escape")
        assert len(rows(dashboard)) == 2
        assert table(dashboard).has_focus


async def test_o_orders_and_keeps_the_cursor_on_its_run(
    opened: Opened, app_state: AppState
) -> None:
    good = make_run(app_state.runs_dir, CONFIG.changed(recipe="zeta"), splits=())
    make_run(app_state.runs_dir, CONFIG.changed(recipe="eta"), epochs=1, splits=())
    async with opened("runs") as (dashboard, pilot):
        await listed(dashboard, pilot, 2)
        table(dashboard).go_to(str(good.path))
        await pilot.pause()
        await pilot.press("o")
        assert "zeta" in rows(dashboard)[0]
        await pilot.press("o", "o")
        assert "zeta" in rows(dashboard)[1]
        assert table(dashboard).current == str(good.path)
        assert app_state.settings.get("runs.order") == "name"


async def test_a_live_run_ticks_and_nothing_else_moves(
    opened: Opened, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs_screen.RunsScreen, "REFRESH_SECONDS", 0.05)
    others = [make_run(app_state.runs_dir, splits=()) for _ in range(3)]
    run = make_run(app_state.runs_dir, epochs=1, ended=False, splits=())
    with live(run):
        async with opened("runs") as (dashboard, pilot):
            await listed(dashboard, pilot, 4)
            table(dashboard).go_to(str(others[1].path))
            before = set(rows(dashboard))
            append(run, Changed(1_700_000_050.0, 20, "paused", "true"))
            await settled(pilot, lambda: any("paused" in line for line in rows(dashboard)))
            assert len(before - set(rows(dashboard))) == 1
            assert table(dashboard).current == str(others[1].path)
            make_run(app_state.runs_dir, splits=())
            await listed(dashboard, pilot, 5)
            assert table(dashboard).current == str(others[1].path)


async def test_a_half_deleted_run_is_told_and_the_rest_goes_on(
    opened: Opened, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs_screen.RunsScreen, "REFRESH_SECONDS", 0.05)
    whole, half = (make_run(app_state.runs_dir) for _ in range(2))
    async with opened("runs", size=(200, 60)) as (dashboard, pilot):
        await listed(dashboard, pilot, 2)
        said = told(dashboard, monkeypatch)
        half.events.unlink()
        await settled(pilot, lambda: any("✗ broken" in line for line in rows(dashboard)))
        line = next(line for line in rows(dashboard) if "broken" in line)
        assert "it has no record" in line
        table(dashboard).go_to(str(half.path))
        await pilot.pause()
        await pilot.press("enter", "u", "f")
        assert all("broken" in message for message in said)
        assert len(said) == 3
        await pilot.press("space")
        table(dashboard).go_to(str(whole.path))
        await pilot.pause()
        await pilot.press("space")
        await settled(pilot, lambda: len(curve(dashboard)._lines) == 1)


async def test_garbage_in_a_record_and_a_config_gone_are_no_obstacle(
    opened: Opened, app_state: AppState
) -> None:
    def spoil(folder: RunFolder) -> None:
        folder.config.unlink()
        text = folder.events.read_bytes()
        folder.events.write_bytes(text.replace(b"\n", b"\n\xff\x00{]garbage\n", 5))

    make_run(app_state.runs_dir, change=spoil)
    async with opened("runs") as (dashboard, pilot):
        await listed(dashboard, pilot, 1)
        await settled(pilot, lambda: len(curve(dashboard)._lines) == 1)
        assert "no such config file" in page(dashboard)


async def test_names_from_a_record_steer_nothing(opened: Opened, app_state: AppState) -> None:
    hostile = "[red]x[/]\x1b]0;t\x07"
    make_run(
        app_state.runs_dir, RunConfig.model_construct(**{**CONFIG.model_dump(), "recipe": hostile})
    )
    async with opened("runs", size=(200, 60)) as (dashboard, pilot):
        await listed(dashboard, pilot, 1)
        await settled(pilot, lambda: "[red]x[/]␛]0;t␇" in rows(dashboard)[0])
        await pilot.press("space", "v", "x")
        await settled(pilot, lambda: isinstance(dashboard.screen, ChoiceDialog))


async def test_runs_that_cannot_be_listed_are_said_in_place(
    opened: Opened, app_state: AppState, tmp_path: Path
) -> None:
    app_state.runs_dir = tmp_path / "file"
    app_state.runs_dir.write_text("no folder")
    async with opened("runs") as (dashboard, pilot):
        await settled(pilot, lambda: "cannot read the runs" in table(dashboard).empty)


async def test_capital_r_has_a_page_written_into_the_runs_folder(
    opened: Opened, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(app_state.runs_dir)
    async with opened("runs") as (dashboard, pilot):
        await listed(dashboard, pilot, 1)
        said, calls = told(dashboard, monkeypatch), called(dashboard, "start_job", monkeypatch)
        await pilot.press("R")
        [(title, words, then)] = calls
        page = run.path / "report.html"
        assert title == f"report {run.id}"
        assert words == [
            "report",
            str(run.path),
            f"--out={page}",
            "--force",
            f"--data={app_state.data_dir}",
        ]
        then({"missing": []})
        then({"missing": [{"what": "pictures"}]})
        assert str(page) in said[0]
        assert said[1].endswith("(without pictures)")
