"""The dashboard on hostile names: every screen, dialog and toast is looked at."""

from __future__ import annotations

import os
from collections.abc import Callable
from unittest.mock import patch

from textual.events import Paste
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from fmnist_tui.engine.session.session import Session
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.screens.data.browser import DatasetBrowser
from fmnist_tui.tui.screens.predict.image_list import ImageList
from fmnist_tui.tui.screens.predict.path_input import PathInput
from fmnist_tui.tui.screens.predict.predictor import Predictor
from fmnist_tui.tui.screens.predict.result_pane import ResultPane
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.state.job import FAILED, BackgroundJob
from fmnist_tui.tui.state.settings import Settings
from fmnist_tui.tui.widgets.line_table import LineTable
from tests.soak.names.checks import find_in_line, recorded_markup
from tests.soak.names.world import World
from tests.tui.conftest import wait_for_idle
from tests.tui.support import wait_until

SIZES = ((120, 36), (80, 24))
Lose = Callable[[str, str], None]


class Visitor:
    """Opens one thing after another and looks at what is drawn."""

    def __init__(self, app: Dashboard, pilot: Pilot[int], world: World, lose: Lose) -> None:
        self.app, self.pilot, self.world, self._lose = app, pilot, world, lose

    def look(self, where: str) -> None:
        width = self.app.size.width
        for strip in self.app.screen._compositor.render_strips():
            if problem := find_in_line(list(strip), width):
                self._lose(where, problem)
                return

    async def press(self, *keys: str, where: str = "") -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()
        if where:
            self.look(where)

    async def ask(self, key: str, where: str) -> None:
        """Press a key that opens a dialog, or is refused in a toast; look and close it."""
        self.app.clear_notifications()
        await self.press(key)
        app = self.app
        await wait_until(
            self.pilot, lambda: len(app.screen_stack) > 1 or len(app._notifications) > 0
        )
        self.look(where)
        while len(app.screen_stack) > 1:
            await self.press("escape")

    async def visit(self) -> None:
        await self.data()
        await self.runs()
        for index, run in enumerate(self.world.runs[::10]):
            await self.open_run(run, *("342" if index == 0 else "34"[index % 2]))
        await self.predict()
        await self.sweep()
        await self.palette()
        await self.toasts_and_jobs()

    async def data(self) -> None:
        await self.press("1")
        self.app.screen.load_dataset(f"folder:{self.world.dataset}")  # type: ignore[attr-defined]
        browser = self.app.screen.query_one(DatasetBrowser)
        await wait_until(self.pilot, lambda: browser.view is not None)
        self.look("data")
        for key in ("down", "right", "m"):
            await self.press(key, where=f"data, {key}")
        await self.ask("i", "about the data")
        await self.ask("s", "datasets")

    async def runs(self) -> None:
        await self.press("6")
        await wait_until(self.pilot, lambda: len(self.app.screen.query_one(LineTable).rows) > 0)
        for index in range(len(self.world.runs) + 1):
            await self.press("space" if index < 6 else "down", where="runs")
            if index % 3 == 0:
                await self.ask("xafe"[index % 4], f"a dialog of run {index}")
            await self.press("down")
        await self.press("v", where="runs, curves")
        await self.ask("m", "runs, ensemble")
        await self.paste_into_filter("runs")

    async def open_run(self, run: RunFolder, *keys: str) -> None:
        self.app.open_run(run)
        await self.pilot.pause()
        for key in keys:
            await self.press(key)
            await self.pilot.pause(0.05)
            where = f"{self.app.current_mode} of {ascii(run.name)[:60]}"
            self.look(where)
            if self.app.current_mode == "errors":
                await self.ask("c", f"pairs, {where}")

    async def predict(self) -> None:
        self.app.select_run(self.world.trained)
        await self.press("5")
        await self.paste(str(self.world.images))
        table = self.app.screen.query_one(ImageList)
        await wait_until(self.pilot, lambda: len(table.rows) == len(set(self.world.names)))
        await wait_until(self.pilot, lambda: not self._predictor.is_busy)
        for _ in self.world.names:
            await self.press("down", where="predict, a file of a folder")
        for image in sorted(self.world.images.iterdir())[::3]:
            await self.paste(f"{str(image)!r}" if image.name.isprintable() else str(image))
            await wait_until(self.pilot, lambda: not self._predictor.is_busy)
            self.look(f"predict, pasted {ascii(image.name)[:60]}")
        for name in self.world.names:
            field = self.app.screen.query_one(PathInput)
            field.value = ""
            field.focus()
            await self.pilot.pause()
            await self.paste(name)
            self.look(f"predict, pasted into the path {ascii(name)[:60]}")
        await self.press("enter", where="predict, typed")
        await wait_until(self.pilot, lambda: not self._predictor.is_busy)
        self.app.screen.query_one(ResultPane).focus()
        await self.pilot.pause()
        await self.ask("w", "models")

    @property
    def _predictor(self) -> Predictor:
        return self.app.screen._predictor  # type: ignore[attr-defined, no-any-return]

    async def paste(self, text: str) -> None:
        self.app.post_message(Paste(text))
        await self.pilot.pause()

    async def sweep(self) -> None:
        await self.press("7")
        await self.pilot.pause(0.3)
        self.look("sweep")
        await self.press("enter", where="sweep, enter")

    async def palette(self) -> None:
        for text in ("", "ZQ", "recipe"):
            await self.press("ctrl+p")
            await wait_until(self.pilot, lambda: bool(self.app.screen.query(OptionList)))
            if text:
                self.app.screen.query_one(Input).value = text
                await self.pilot.pause(0.2)
            self.look(f"palette {text}")
            await self.press("end", where=f"palette {text}, end")
            await self.press("escape")

    async def toasts_and_jobs(self) -> None:
        for name in self.world.names:
            self.app.notify(f"{name}: done")
            self.app.screen.notify_error(name)  # type: ignore[attr-defined]
            job = BackgroundJob(name, ["report", name])
            job._parse_line(name)
            job.status = FAILED
            self.app.app_state.jobs.append(job)
            await self.pilot.pause()
            self.look("toasts")
            self.app.clear_notifications()
        await self.press("E", where="jobs")
        await self.press("enter", where="job")

    async def paste_into_filter(self, where: str) -> None:
        await self.press("slash")
        for name in self.world.names:
            field = self.app.screen.query_one("#filter", Input)
            field.value = ""
            field.focus()
            await self.pilot.pause()
            await self.paste(name)
            self.look(f"{where}, pasted {ascii(name)[:60]}")
        await self.press("escape")
        await self.press("escape")


async def visit(world: World, lose: Lose, size: tuple[int, int] = SIZES[0]) -> None:
    """Show the world in the dashboard; `lose` is told where and what."""
    session = Session(world.runs_dir, world.data_dir)
    environment = {"FMNIST_TUI_CONFIGS": str(world.recipes), "FMNIST_TUI_STORAGE": world.storage}
    try:
        with (
            patch.dict(os.environ, environment),
            patch("textual.app.wait_for_idle", wait_for_idle),
            patch("textual.pilot.wait_for_idle", wait_for_idle),
            recorded_markup() as texts,
        ):
            app = Dashboard(AppState(world.runs_dir, world.data_dir, session, Settings()), "runs")
            async with app.run_test(size=size) as pilot:
                await Visitor(app, pilot, world, lose).visit()
        for text in texts:
            lose("dashboard", text)
    finally:
        session.close()
