"""Actions on the run under the cursor: resume, fork, stop, archive, delete, report."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from textual.widgets import Input, OptionList, Static

from fmnist_tui.protocol.commands import Stop
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.runs.folder import ARCHIVE_FOLDER, RunFolder
from fmnist_tui.runs.jsonl_reader import replay
from fmnist_tui.runs.log import CommandReader
from fmnist_tui.tui.base.dialogs import ChoiceDialog, PickerDialog, PromptDialog
from fmnist_tui.tui.screens.runs import screen as runs_screen
from fmnist_tui.tui.state.app_state import AppState
from tests.tui.conftest import OpenDashboard
from tests.tui.runs.support import (
    add_checkpoint,
    hold_lock,
    mark_stopped,
    record_calls,
    rows,
    wait_for_rows,
)
from tests.tui.support import CONFIG, make_run, record_toasts, screen_input, wait_until


async def test_a_stopped_run_is_resumed_with_its_config(
    open_dashboard: OpenDashboard, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(app_state.runs_dir, epochs=2, ended=False, change=mark_stopped)
    async with open_dashboard("runs") as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 1)
        resuming = record_calls(dashboard, "resume_run", monkeypatch)
        await pilot.press("u")
        await wait_until(pilot, lambda: bool(resuming))
        assert resuming == [(run, CONFIG, replay(run.events))]


async def test_a_run_is_resumed_though_the_user_leaves_while_its_history_is_read(
    open_dashboard: OpenDashboard, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(app_state.runs_dir, epochs=2, ended=False, change=mark_stopped)
    may_read = threading.Event()

    def read_late(path: Path) -> RunState:
        may_read.wait(60)
        return replay(path)

    monkeypatch.setattr("fmnist_tui.tui.screens.runs.actions.replay", read_late)
    async with open_dashboard("runs") as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 1)
        resuming = record_calls(dashboard, "resume_run", monkeypatch)
        await pilot.press("u", "1")
        may_read.set()
        await wait_until(pilot, lambda: bool(resuming))
        assert resuming == [(run, CONFIG, replay(run.events))]
        assert dashboard.current_mode == "data"


async def test_a_finished_run_is_resumed_only_for_more_epochs(
    open_dashboard: OpenDashboard, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(app_state.runs_dir)
    async with open_dashboard("runs") as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 1)
        resuming = record_calls(dashboard, "resume_run", monkeypatch)
        await pilot.press("u")
        for wrong, problem in (("3", "must be more than 4"), ("many", "whole number")):
            assert isinstance(dashboard.screen, PromptDialog)
            (await screen_input(dashboard, pilot)).value = wrong
            await pilot.press("enter")
            assert problem in str(dashboard.screen.query_one(Static).content)
        (await screen_input(dashboard, pilot)).value = "9"
        await pilot.press("enter")
        await wait_until(pilot, lambda: bool(resuming))
        assert resuming == [(run, CONFIG.changed(epochs=9), replay(run.events))]


async def test_a_live_run_is_followed_instead_of_resumed(
    open_dashboard: OpenDashboard, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(app_state.runs_dir, epochs=2, ended=False)
    with hold_lock(run):
        async with open_dashboard("runs") as (dashboard, pilot):
            await wait_for_rows(dashboard, pilot, 1)
            assert "● running" in rows(dashboard)[0]
            following, _ = (
                record_calls(dashboard, "follow_run", monkeypatch),
                record_calls(dashboard, "show", monkeypatch),
            )
            await pilot.press("u")
            assert isinstance(dashboard.screen, ChoiceDialog)
            await pilot.press("f")
            assert set(following) == {(run,)}
            assert app_state.selected_run == run


async def test_f_forks_from_a_checkpoint_with_changed_settings(
    open_dashboard: OpenDashboard, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(app_state.runs_dir)
    async with open_dashboard("runs") as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 1)
        forking, toasts = (
            record_calls(dashboard, "fork_run", monkeypatch),
            record_toasts(monkeypatch),
        )
        await pilot.press("f")
        await wait_until(pilot, lambda: bool(toasts))
        assert "no checkpoint" in toasts.pop()
        add_checkpoint(run, "last-0002", 80, 4)
        add_checkpoint(run, "last-0001", 60, 3)
        add_checkpoint(run, "best-0001", 60, 3)
        add_checkpoint(run, "step-20", 20, 1)
        await pilot.press("f")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, PickerDialog))
        names = [str(option.id) for option in dashboard.screen.query_one(OptionList).options]
        assert names == ["last-0002", "best-0001", "step-20"]
        await pilot.press("enter")
        field = dashboard.screen.query_one(Input)
        assert field.value == "epochs=8"
        field.value = "epochs=8 lr"
        await pilot.press("enter")
        problem = str(dashboard.screen.query_one(Static).content)
        assert problem == "lr: write a change as lr=0.001"
        (await screen_input(dashboard, pilot)).value = "epochs=8 lr=0.5"
        await pilot.press("enter")
        assert forking == [(run, "last-0002.pt", CONFIG.changed(epochs=8, lr=0.5))]


async def test_s_stops_a_live_run_of_any_process(
    open_dashboard: OpenDashboard, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(app_state.runs_dir, epochs=1, ended=False)
    heard = CommandReader(run.commands, interval=0.0)
    async with open_dashboard("runs") as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 1)
        toasts = record_toasts(monkeypatch)
        await pilot.press("s")
        assert "is not running" in toasts.pop()
        with hold_lock(run):
            runs_screen.RunsScreen.load(dashboard.screen)  # type: ignore[arg-type]
            await wait_until(pilot, lambda: "running" in rows(dashboard)[0])
            await pilot.press("s")
            await wait_until(pilot, lambda: bool(toasts))
        assert [type(command) for command in heard.poll()] == [Stop]


async def test_a_key_that_is_held_down_in_vain_says_so_once(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    make_run(app_state.runs_dir)
    async with open_dashboard("runs") as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 1)
        await pilot.press(*"ssss")  # held down
        await wait_until(pilot, lambda: bool(dashboard._notifications))
        (toast,) = dashboard._notifications
        assert "is not running" in toast.message


async def test_a_archives_a_run_after_asking(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    run = make_run(app_state.runs_dir)
    app_state.selected_run = run
    async with open_dashboard("runs") as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 1)
        for answer in ("enter", "y"):  # what changes nothing is preselected
            assert run.path.is_dir()
            await pilot.press(*"aaa")  # held down
            await wait_until(pilot, lambda: isinstance(dashboard.screen, ChoiceDialog))
            await pilot.press(answer)
            await wait_until(pilot, lambda: not isinstance(dashboard.screen, ChoiceDialog))
        await wait_for_rows(dashboard, pilot, 0)
        moved = app_state.runs_dir / ARCHIVE_FOLDER / run.name
        assert moved.is_dir()
        await wait_until(pilot, lambda: app_state.selected_run == RunFolder(moved))


async def test_x_deletes_a_run_after_asking_with_its_size(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    run = make_run(app_state.runs_dir)
    async with open_dashboard("runs") as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 1)
        for answer in ("n", "y"):
            await pilot.press("x")
            await wait_until(pilot, lambda: isinstance(dashboard.screen, ChoiceDialog))
            words = str(dashboard.screen.query_one(Static).content)
            assert run.name in words
            assert " kB with its checkpoints" in words
            assert run.path.is_dir()
            await pilot.press(answer)
        await wait_for_rows(dashboard, pilot, 0)
        assert not run.path.exists()


async def test_a_live_run_is_neither_archived_nor_deleted(
    open_dashboard: OpenDashboard, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(app_state.runs_dir, epochs=1, ended=False)
    with hold_lock(run):
        async with open_dashboard("runs") as (dashboard, pilot):
            await wait_for_rows(dashboard, pilot, 1)
            toasts = record_toasts(monkeypatch)
            await pilot.press("a", "x")
            assert [f"process {os.getpid()}" in line for line in toasts] == [True, True]
            assert run.path.is_dir()


async def test_capital_r_writes_a_report_into_the_run_folder(
    open_dashboard: OpenDashboard, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(app_state.runs_dir)
    async with open_dashboard("runs") as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 1)
        toasts, calls = (
            record_toasts(monkeypatch),
            record_calls(dashboard, "start_job", monkeypatch),
        )
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
        then({"missing": [{"what": "images"}]})
        assert str(page) in toasts[0]
        assert toasts[1].endswith("(without images)")
