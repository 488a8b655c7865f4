"""Bursts of random keys while screens, sizes and runs change: nothing may end the dashboard."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from textual.events import Key, Paste, Resize
from textual.geometry import Size

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.run.training_handle import Training
from fmnist_tui.protocol.events import FINISHED, Event, RunEnded
from fmnist_tui.tui.app import SCREENS, Dashboard
from fmnist_tui.tui.state.app_state import AppState
from tests.tui.conftest import OpenDashboard, wait_for_idle
from tests.tui.support import events, make_run
from tests.tui.train.support import FakeTraining, probes

# Without the keys that quit.
KEYS = [
    *"1234567abcefghijklmnoprstuvwxyzCDEFLMRSTW/[]?,.+-=0!<> ",
    *("up", "down", "left", "right", "tab", "shift+tab", "pageup", "pagedown", "home", "end"),
    *("backspace", "delete", "enter", "enter", "enter", *["escape"] * 6, *["ctrl+p"] * 3),
]
NAMES = [screen.NAME for screen in SCREENS]
TURNS = 60


class Run:
    """Fake trainings of the dashboard's session, one at a time, and their next events."""

    def __init__(self) -> None:
        self._training: Training | None = None
        self._events: Iterator[Event] = iter(())

    def start(self, config: RunConfig) -> Training:
        self._events = events(config, ended=False)
        self._training = FakeTraining(config)
        return self._training

    def search(self, config: RunConfig) -> Training:
        self._events = iter([*events(config, epochs=0, ended=False), *probes()])
        self._training = FakeTraining(config)
        return self._training

    def go_on(self, count: int) -> None:
        """Append the next events; after the last the training ends."""
        for _ in range(count if self._training is not None else 0):
            assert self._training is not None
            event = next(self._events, None)
            if event is None:
                self._training.events.append(RunEnded(0.0, 20, 1, FINISHED, 1.0))
                self._training.finish()
                self._training = None
                return
            self._training.events.append(event)


@pytest.fixture
def run(app_state: AppState, monkeypatch: pytest.MonkeyPatch) -> Run:
    run = Run()

    def start_other(folder: object, *rest: Any) -> Training:
        return run.start(rest[-1])

    monkeypatch.setattr(app_state.session, "train", run.start)
    monkeypatch.setattr(app_state.session, "find_lr", run.search)
    monkeypatch.setattr(app_state.session, "resume", start_other)
    monkeypatch.setattr(app_state.session, "fork", start_other)
    monkeypatch.setattr(Dashboard, "start_job", lambda self, title, *rest: self.notify(title))
    return run


def delay_threads(monkeypatch: pytest.MonkeyPatch, rng: random.Random) -> None:
    """Results of threads arrive up to forty turns of the event loop later, in another order."""
    to_thread = asyncio.to_thread

    async def late(work: Callable[..., Any], *args: Any) -> Any:
        result = await to_thread(work, *args)
        await turns(rng.choice([0, 0, 1, 5, 40]))
        return result

    monkeypatch.setattr(asyncio, "to_thread", late)


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def press(dashboard: Dashboard, key: str) -> None:
    """The key arrives; nothing waits until it is handled."""
    dashboard.post_message(Key(key, key if len(key) == 1 else None))


@pytest.mark.parametrize("seed", range(2))
async def test_random_keys_while_screens_and_runs_change_do_not_end_the_dashboard(
    open_dashboard: OpenDashboard,
    app_state: AppState,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
) -> None:
    rng = random.Random(seed)
    delay_threads(monkeypatch, rng)
    folders = [make_run(app_state.runs_dir), make_run(app_state.runs_dir, ended=False)]

    def resize(dashboard: Dashboard) -> None:
        size = Size(
            rng.choice([1, 2, 20, rng.randint(40, 200)]), rng.choice([1, 3, rng.randint(10, 60)])
        )
        dashboard._driver._size = size  # type: ignore[union-attr]
        dashboard.post_message(Resize(size, size))

    def remove_run(_: Dashboard) -> None:
        # The keys may have deleted it before.
        if rng.random() < 0.2 and folders:
            shutil.rmtree(folders.pop().path, ignore_errors=True)

    def open_run(dashboard: Dashboard) -> None:
        if folders:
            dashboard.open_run(rng.choice(folders))

    async with open_dashboard(rng.choice(NAMES)) as (dashboard, _):
        changes: list[Callable[[Dashboard], object]] = [
            resize,
            remove_run,
            lambda app: app.show(rng.choice(NAMES)),
            lambda app: app.select_run(rng.choice([*folders, None])),
            open_run,
            lambda app: run.go_on(rng.choice([1, 10, 50])),
            lambda app: app.post_message(Paste(rng.choice(["evalu", "/tmp", "0.1"]))),
        ]
        press(dashboard, rng.choice("S "))
        for _ in range(TURNS):
            for _ in range(rng.choice([1, 1, 2, 3, 8, 20])):
                press(dashboard, rng.choice(KEYS))
            await turns(rng.choice([0, 0, 1, 5, 60]))
            for _ in range(rng.choice([0, 1, 2])):
                rng.choice(changes)(dashboard)
            if rng.random() < 0.4:
                await wait_for_idle()
        await wait_for_idle()
        dashboard.show("runs")
        await wait_for_idle()
        assert dashboard.is_running and dashboard.current_mode == "runs"
