"""A run on several devices: the dashboard starts its processes, follows them and leaves them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from fmnist_tui.config.plans import Plan, TrainStep
from fmnist_tui.protocol.commands import Stop
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.handover import Launch
from fmnist_tui.runs.lock import RunLock
from fmnist_tui.runs.log import CommandReader
from fmnist_tui.tui import launch
from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.base.dialogs import QuitDialog
from fmnist_tui.tui.jobs import apart
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.util.errors import UserError
from tests.tui.conftest import OpenDashboard
from tests.tui.support import CONFIG, make_run, record_toasts, wait_until


class FakeProcesses:
    """Takes the place of `DetachedTraining`: the test says which runs begin."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.plan: Plan | None = None
        self.process, self.is_alive, self.is_stopped = 4711, True, False
        self._runs: list[RunFolder] = []
        self._changed = threading.Condition()

    def begin(self, words: list[str], *_: Any, launch: Launch) -> FakeProcesses:
        self.words = words
        assert "--nproc-per-node=2" in launch.command
        self.plan = Plan.from_file(Path(words[1].partition("=")[2]))
        return self

    def add_run(self, folder: RunFolder) -> None:
        with self._changed:
            self._runs.append(folder)
            self._changed.notify()

    def await_run(self, *_: Callable[..., Any]) -> RunFolder:
        with self._changed:
            self._changed.wait_for(lambda: self._runs or not self.is_alive)
            if not self._runs:
                raise UserError("no memory")
            return self._runs.pop()

    def stop(self) -> None:
        with self._changed:
            self.is_stopped, self.is_alive = True, False
            self._changed.notify()

    def close(self) -> None: ...


@pytest.fixture
def processes(monkeypatch: pytest.MonkeyPatch) -> FakeProcesses:
    fake = FakeProcesses()
    monkeypatch.setattr(apart, "DetachedTraining", fake.begin)
    return fake


CONFIG_OF_TWO = CONFIG.changed(devices=2, device="cpu")


async def begin(dashboard: Dashboard, pilot: Pilot[int], folder: RunFolder) -> None:
    await wait_until(
        pilot,
        lambda: dashboard.app_state.feed is not None and dashboard.app_state.feed.folder == folder,
    )


async def test_a_run_on_two_devices_is_started_followed_and_left_as_the_dialog_says(
    open_dashboard: OpenDashboard,
    processes: FakeProcesses,
    app_state: AppState,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with open_dashboard("train", size=(120, 36)) as (dashboard, pilot):
        assert dashboard.start_run(CONFIG_OF_TWO)
        feed = app_state.feed
        assert feed is not None and feed.is_live and not feed.is_own
        assert feed.status == "preparing"
        folder = make_run(app_state.runs_dir, CONFIG_OF_TWO, ended=False, splits=())
        with RunLock.acquire(folder.path):
            processes.add_run(folder)
            await begin(dashboard, pilot, folder)
            assert processes.plan is not None
            assert processes.plan.steps == (TrainStep("", CONFIG_OF_TWO),)
            commands = CommandReader(folder.commands)
            await pilot.press("s")
            (command,) = commands.poll()
            assert isinstance(command, Stop)
            await pilot.press("ctrl+q")
            await wait_until(pilot, lambda: isinstance(dashboard.screen, QuitDialog))
            await pilot.press("g")
            await wait_until(pilot, lambda: not dashboard.is_running)
            launch._finish_run(app_state)
    assert f"goes on; `fmnist-tui attach {folder.id}` shows it" in capsys.readouterr().err
    assert processes.is_alive and not processes.is_stopped


async def test_quitting_waits_for_the_end_of_a_run_that_begins_while_it_is_stopped(
    open_dashboard: OpenDashboard,
    processes: FakeProcesses,
    app_state: AppState,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with open_dashboard("train", size=(120, 36)) as (dashboard, pilot):
        assert dashboard.start_run(CONFIG_OF_TWO)
        await pilot.press("ctrl+q")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, QuitDialog))
        await pilot.press("s")
        await wait_until(pilot, lambda: not dashboard.is_running)
        folder = make_run(app_state.runs_dir, CONFIG_OF_TWO)
        processes.add_run(folder)
        assert app_state.feed is not None and app_state.feed.background is not None
        app_state.feed.background.wait(10)
        launch._finish_run(app_state)
    assert f" finished: {folder.path}" in capsys.readouterr().err


async def test_the_steps_of_a_plan_are_followed_one_after_another(
    open_dashboard: OpenDashboard, processes: FakeProcesses, app_state: AppState
) -> None:
    steps = tuple(TrainStep(name, CONFIG_OF_TWO) for name in ("first", "second"))
    async with open_dashboard("train", size=(120, 36)) as (dashboard, pilot):
        assert dashboard.start_plan(Plan("two", steps))
        for heading in ("stage 1 of 2: first", "stage 2 of 2: second"):
            folder = make_run(app_state.runs_dir, CONFIG_OF_TWO)
            processes.add_run(folder)
            await begin(dashboard, pilot, folder)
            assert app_state.feed is not None and app_state.feed.heading == heading


async def test_why_processes_have_not_begun_is_said_and_stopping_ends_them(
    open_dashboard: OpenDashboard,
    processes: FakeProcesses,
    app_state: AppState,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with open_dashboard("train", size=(120, 36)) as (dashboard, pilot):
        toasts = record_toasts(monkeypatch)
        assert dashboard.start_run(CONFIG_OF_TWO)
        await pilot.press("space")  # a pause
        assert "its processes are starting" in toasts[-1]
        await pilot.press("s")
        await wait_until(pilot, lambda: "stopped before it began" in toasts[-1])
        assert processes.is_stopped
        assert app_state.feed is not None and app_state.feed.status == "not started"
        assert not dashboard.start_run(CONFIG.changed(devices=2, device="cuda:1"))
        assert "cuda:1 is one device" in toasts[-1]
