"""The look of every screen: empty, during a training and after one.

`pytest tests/tui/snapshots --write-snapshots` updates the stored snapshots; check the
difference before you commit it.
"""

from __future__ import annotations

import difflib
import re
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Self

import pytest

from fmnist_tui.config.dataset_catalog import GARMENTS
from fmnist_tui.engine.run.training_handle import Training
from fmnist_tui.sweeps import storage
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.util.class_names import short_names
from tests.tui import support
from tests.tui.conftest import OpenDashboard
from tests.tui.fake_model import FakeModel
from tests.tui.snapshots.snapshots import screen_text
from tests.tui.support import events, make_run, screen_input, wait_until
from tests.unit.sweeps.support import join_study, run_trial

SNAPSHOTS = Path(__file__).parent / "kept"
SAMPLE = Path(__file__).parents[3] / "assets" / "samples" / "bag-cut-out.png"
SCREENS = ("data", "train", "evaluate", "errors", "predict", "runs", "sweep")


class FixedDatetime(datetime):
    """A `now` that never changes."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls(2023, 11, 14, 22, 13, 20, tzinfo=tz)


@pytest.fixture(autouse=True)
def fixed_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Fix the time, the time zone and the home folder."""
    monkeypatch.setattr(time, "time", lambda: support.START + 3_600.0)
    monkeypatch.setattr("fmnist_tui.runs.folder.datetime", FixedDatetime)
    monkeypatch.setenv("HOME", str(tmp_path))
    with monkeypatch.context() as zone:
        zone.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture(autouse=True)
def numbered_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Number the ids of runs."""
    numbers = iter(range(1, 1000))
    monkeypatch.setattr("fmnist_tui.runs.folder._new_id", lambda _: f"{next(numbers):04x}")


def empty(app_state: AppState) -> Iterator[None]:
    yield


def training(app_state: AppState) -> Iterator[None]:
    """A training after two epochs, and a finished run."""
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
    """A finished run, which is selected and shown on Train."""
    run = make_run(app_state.runs_dir)
    app_state.feed, app_state.selected_run = RunFeed.open(run), run
    app_state.settings.save("dataset", "sketches")
    yield


STATES: dict[str, Callable[[AppState], Iterator[None]]] = {
    "empty": empty,
    "training": training,
    "finished": finished,
}


def make_study(app_state: AppState) -> None:
    """A study with complete, pruned and failed trials in a journal beside the runs."""
    ledger = join_study(storage.parse_location(None, app_state.runs_dir))
    for values in ([0.5, 0.6, 0.62], [0.55, 0.7, 0.81], [0.3, 0.4, 0.6], [0.6, 0.75, 0.8]):
        run_trial(ledger, values)
    pruned = ledger.claim()
    ledger.report(pruned, 1, 0.2)
    ledger.end(pruned, "pruned")
    ledger.end(ledger.claim(), "failed", why="the loss stopped being a number")


@pytest.mark.parametrize("size", [(80, 24), (120, 36)], ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("screen", SCREENS)
async def test_a_screen_matches_its_snapshot(
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
        make_study(app_state)
    snapshot = SNAPSHOTS / f"{screen}-{state}-{size[0]}x{size[1]}.txt"
    async with open_dashboard(screen, size=size) as (dashboard, pilot):
        if screen == "predict" and state == "finished":
            shutil.copy(SAMPLE, Path.home())
            await pilot.press("enter")
            (await screen_input(dashboard, pilot)).value = f"~/{SAMPLE.name}"
            await pilot.press("enter")
        text = previous = ""
        unchanged = 0

        def is_stable() -> bool:
            nonlocal text, previous, unchanged
            previous, text = text, screen_text(dashboard)
            # Studies are reloaded all the time: a busy machine is rarely idle five times in a row.
            idle = all(worker.is_finished for worker in dashboard.workers)
            # The fetch of the welcome is no worker; it fails, but may take a while.
            idle = idle and "is on its way" not in text
            unchanged = unchanged + idle if text == previous else 0
            return unchanged >= 5

        await wait_until(pilot, is_stable)
    next(prepared, None)
    if request.config.getoption("--write-snapshots"):
        snapshot.parent.mkdir(exist_ok=True)
        snapshot.write_text(text, encoding="utf-8")
    assert snapshot.is_file(), f"{snapshot.name} is missing: --write-snapshots writes it"
    stored = snapshot.read_text(encoding="utf-8")
    difference = difflib.unified_diff(
        stored.splitlines(), text.splitlines(), "stored", "current", lineterm=""
    )
    assert text == stored, "\n".join(difference)


def test_no_class_name_is_cut_inside_a_word_at_120_columns() -> None:
    names = {*GARMENTS, *short_names(GARMENTS, 8)}
    beginnings = {name[:end] for name in names for end in range(2, len(name))} - names
    cut = re.compile(rf"(?<![\w/-])(?:{'|'.join(map(re.escape, beginnings))})(?![\w/-]| boot)")
    assert cut.search("Ankle b") and cut.search("T-sh…") and not cut.search("T-shirt → Ankle boot")
    for snapshot in SNAPSHOTS.glob("*-120x36.txt"):
        found = [line for line in snapshot.read_text("utf-8").splitlines() if cut.search(line)]
        assert not found, f"{snapshot.name}: {found[0]}"
