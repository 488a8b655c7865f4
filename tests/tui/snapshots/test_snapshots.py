"""Every screen, empty, in the middle of a training and after one, as it looks.

`pytest tests/tui/snapshots --write-snapshots` writes anew what is kept; look at
the difference before you keep it.
"""

from __future__ import annotations

import difflib
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Self

import pytest
from textual.widgets import Input

from fmnist_tui.engine.run.training_handle import Training
from fmnist_tui.sweeps import storage
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.state.run_feed import RunFeed
from tests.tui import support
from tests.tui.conftest import OpenDashboard
from tests.tui.fake_model import FakeModel
from tests.tui.snapshots.snapshots import picture
from tests.tui.support import events, make_run, wait_until
from tests.unit.sweeps.support import join_study, run_trial

KEPT = Path(__file__).parent / "kept"
SAMPLE = Path(__file__).parents[3] / "assets" / "samples" / "bag-cut-out.png"
SCREENS = ("data", "train", "evaluate", "errors", "predict", "runs", "sweep")


class Day(datetime):
    """Always the same."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls(2023, 11, 14, 22, 13, 20, tzinfo=tz)


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The same day, the same home and the same run names each time."""
    monkeypatch.setattr(time, "time", lambda: support.START + 3_600.0)
    monkeypatch.setattr("fmnist_tui.runs.folder.datetime", Day)
    monkeypatch.setenv("HOME", str(tmp_path))
    with monkeypatch.context() as zone:
        zone.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture(autouse=True)
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids that count up."""
    numbers = iter(range(1, 1000))
    monkeypatch.setattr("fmnist_tui.runs.folder._new_id", lambda _: f"{next(numbers):04x}")


def nothing(app_state: AppState) -> Iterator[None]:
    yield


def training(app_state: AppState) -> Iterator[None]:
    """A run of this process two epochs from its beginning, and one that has ended."""
    done = make_run(app_state.runs_dir)
    run = Training(support.CONFIG)
    run.folder = make_run(app_state.runs_dir, epochs=2, ended=False)
    run.events.extend(events(epochs=2, ended=False, run=run.folder.name))
    app_state.feed = RunFeed.of(run)
    app_state.selected_run = done
    app_state.settings.save("dataset", "sketches")
    yield
    run.finish()


def finished(app_state: AppState) -> Iterator[None]:
    """A run that has ended, in hand and on the bench."""
    run = make_run(app_state.runs_dir)
    app_state.feed, app_state.selected_run = RunFeed.open(run), run
    app_state.settings.save("dataset", "sketches")
    yield


STATES: dict[str, Callable[[AppState], Iterator[None]]] = {
    "empty": nothing,
    "training": training,
    "finished": finished,
}


def searched(app_state: AppState) -> None:
    """A study that has ended well, in a journal beside the runs."""
    book = join_study(storage.parse_location(None, app_state.runs_dir))
    for values in ([0.5, 0.6, 0.62], [0.55, 0.7, 0.81], [0.3, 0.4, 0.6], [0.6, 0.75, 0.8]):
        run_trial(book, values)
    poor = book.claim()
    book.report(poor, 1, 0.2)
    book.end(poor, "pruned")
    book.end(book.claim(), "failed", why="the loss stopped being a number")


@pytest.mark.parametrize("size", [(80, 24), (120, 36)], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("screen", SCREENS)
async def test_a_screen_looks_as_it_did(
    open_dashboard: OpenDashboard,
    app_state: AppState,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    screen: str,
    state: str,
    size: tuple[int, int],
) -> None:
    model = FakeModel()
    monkeypatch.setattr(app_state.session, "predict", model.predict)
    monkeypatch.setattr(app_state.session, "classify", model.classify)
    prepared = STATES[state](app_state)
    next(prepared)
    monkeypatch.setenv(storage.VARIABLE, f"journal:{app_state.runs_dir}/studies.log")
    if screen == "sweep" and state != "empty":
        searched(app_state)
    kept = KEPT / f"{screen}-{state}-{size[0]}x{size[1]}.txt"
    async with open_dashboard(screen, size=size) as (dashboard, pilot):
        if screen == "predict" and state == "finished":
            shutil.copy(SAMPLE, Path.home())
            await pilot.press("enter")
            dashboard.screen.query_one(Input).value = f"~/{SAMPLE.name}"
            await pilot.press("enter")
        now = before = ""
        same = 0

        def steady() -> bool:
            nonlocal now, before, same
            before, now = now, picture(dashboard)
            idle = all(worker.is_finished for worker in dashboard.workers)
            same = same + 1 if now == before and idle else 0
            return same >= 5

        await wait_until(pilot, steady)
    next(prepared, None)
    if request.config.getoption("--write-snapshots"):
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(now, encoding="utf-8")
    assert kept.is_file(), f"there is no {kept.name}: --write-snapshots writes it"
    wanted = kept.read_text(encoding="utf-8")
    difference = difflib.unified_diff(
        wanted.splitlines(), now.splitlines(), "as it was", "as it is", lineterm=""
    )
    assert now == wanted, "\n".join(difference)
