"""The Sweep screen: tables, plots, views and filters over a prepared study."""

from __future__ import annotations

import re
import socket
import threading
import time
from typing import Any, cast

import pytest

from fmnist_tui.protocol.events import EVENTS, FINISHED, SWEEP, RunEnded, RunStarted, TrialEnded
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.sweeps import spec as specs
from fmnist_tui.sweeps import storage
from fmnist_tui.sweeps.snapshot import MIN_IMPORTANCE_TRIALS, Snapshot, SnapshotReader
from fmnist_tui.sweeps.storage import StorageLocation
from fmnist_tui.sweeps.study import StudyLedger
from fmnist_tui.tui.base.dialogs import ChoiceDialog, PromptDialog
from fmnist_tui.tui.screens.sweep import screen as sweep_screen
from fmnist_tui.tui.screens.sweep import study_list
from fmnist_tui.tui.screens.sweep.plots import Plots
from fmnist_tui.tui.screens.sweep.space_plot import SpacePlot
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.widgets.charts.line_chart import LineChart
from fmnist_tui.tui.widgets.probability_bars import ProbabilityBars
from tests.tui.conftest import OpenDashboard
from tests.tui.support import make_run, wait_until
from tests.tui.sweep.support import (
    drawn_text,
    rows,
    table,
    table_text,
    trial_numbers,
    wait_for_rows,
)
from tests.unit.sweeps.support import join_study, make_spec, run_trial


async def test_the_focus_stays_visible_when_the_view_changes(
    open_dashboard: OpenDashboard, ledger: StudyLedger
) -> None:
    async with open_dashboard("sweep", size=(120, 36)) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 4)
        chart = dashboard.screen.query_one(LineChart)
        for _ in range(4):
            if chart.display:
                break
            await pilot.press("v")
            await pilot.pause()
        assert chart.display
        chart.focus()
        await wait_until(pilot, lambda: dashboard.focused is chart)
        await pilot.press("v")
        await wait_until(pilot, lambda: not chart.display)
        await pilot.press("down")
        assert dashboard.focused is not None and dashboard.focused.region.area


async def test_importances_of_another_study_are_ignored(
    open_dashboard: OpenDashboard, ledger: StudyLedger
) -> None:
    async with open_dashboard("sweep") as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 4)
        screen = cast(sweep_screen.SweepScreen, dashboard.screen)
        assert screen._selected is not None
        screen._show_importances((screen._selected[0], "another"), (("lr", 1.0),))
        assert ("lr", 1.0) not in (screen._importances or ())


async def test_the_importance_pane_shows_whether_trials_or_the_computation_are_missing(
    open_dashboard: OpenDashboard,
    ledger: StudyLedger,
    location: StorageLocation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    join_study(location, make_spec(name="newer"))
    for value in range(MIN_IMPORTANCE_TRIALS - 3):
        run_trial(ledger, [value / 100])
    may_end, plain = threading.Event(), SnapshotReader.importances

    def compute(*args: Any) -> Any:
        may_end.wait(30)
        return plain(*args)

    monkeypatch.setattr(SnapshotReader, "importances", compute)
    async with open_dashboard("sweep", size=(200, 60)) as (dashboard, pilot):
        bars = dashboard.screen.query_one(ProbabilityBars)
        await wait_until(pilot, lambda: len(rows(dashboard, "studies")) == 2)
        await wait_until(pilot, lambda: "too few trials (0 of 10)" in drawn_text(bars))
        table(dashboard, "studies").focus()
        await pilot.press("down")
        await wait_until(pilot, lambda: "computing" in drawn_text(bars))
        may_end.set()
        await wait_until(pilot, lambda: "lr" in drawn_text(bars))


async def test_the_plots_say_why_ended_trials_show_no_value(
    open_dashboard: OpenDashboard, location: StorageLocation, remote_workers: None
) -> None:
    ledger = join_study(location)
    for _ in range(6):
        ledger.end(ledger.claim(), "failed", why="the loss stopped being a number")
    async with open_dashboard("sweep", size=(200, 60)) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 6)
        assert "6/6" in rows(dashboard, "studies")[0]
        ended = "6 of 6 trials have ended, none of them complete"
        assert ended in drawn_text(dashboard.screen.query_one(LineChart))


async def test_a_chart_without_space_says_so_and_not_that_it_has_no_values(
    open_dashboard: OpenDashboard, ledger: StudyLedger
) -> None:
    async with open_dashboard("sweep", size=(120, 36)) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 4)
        chart = dashboard.screen.query_one(LineChart)
        assert "─" in drawn_text(chart)
        chart.styles.max_height = 6
        await wait_until(pilot, lambda: "not enough space" in drawn_text(chart))
        assert "complete" not in drawn_text(chart)


async def test_an_empty_list_shows_which_key_starts_a_sweep(open_dashboard: OpenDashboard) -> None:
    async with open_dashboard("sweep") as (dashboard, pilot):
        await wait_until(pilot, lambda: "press n to start one" in table_text(dashboard))
        for key in "wxspvo":
            await pilot.press(key)
        assert not isinstance(dashboard.screen, (PromptDialog, ChoiceDialog))


async def test_a_study_shows_its_trials_newest_first_and_the_best_marked(
    open_dashboard: OpenDashboard, ledger: StudyLedger
) -> None:
    async with open_dashboard("sweep", size=(160, 40)) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 4)
        assert trial_numbers(dashboard) == [3, 2, 1, 0]
        failed, _, best, _ = rows(dashboard)
        assert "failed" in failed and "the loss" in failed
        assert best.startswith("◆") and "80.00 %" in best and "█" in best
        assert "search" in rows(dashboard, "studies")[0] and "4/6" in rows(dashboard, "studies")[0]
        assert "best 80.00 % (trial 1)" in str(table(dashboard).border_title)
        assert str(table(dashboard).border_subtitle) == "order: newest"


async def test_trials_are_refreshed_while_remote_workers_run(
    open_dashboard: OpenDashboard, ledger: StudyLedger
) -> None:
    async with open_dashboard("sweep", size=(120, 36)) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 4)
        trial = ledger.claim()
        await wait_for_rows(dashboard, pilot, 5)
        assert "● running" in rows(dashboard)[0] and "1 running" in str(
            table(dashboard).border_title
        )
        ledger.report(trial, 1, 0.65)
        await wait_until(pilot, lambda: "65.00 %" in rows(dashboard)[0])
        ledger.end(trial, "complete", 0.95)
        await wait_until(pilot, lambda: "✓ complete" in rows(dashboard)[0])
        assert rows(dashboard)[0].startswith("◆")


async def test_a_running_trial_ticks_at_every_size(
    open_dashboard: OpenDashboard,
    ledger: StudyLedger,
    app_state: AppState,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = make_run(app_state.runs_dir, epochs=1, ended=False)
    ledger.record_run(ledger.claim(), str(run.path))
    now = time.time()
    monkeypatch.setattr("fmnist_tui.sweeps.snapshot.time.time", lambda: now)
    async with open_dashboard("sweep", size=(80, 24)) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 5)
        now += 65
        await wait_until(pilot, lambda: "1:05" in rows(dashboard)[0])
        await pilot.resize_terminal(120, 36)
        await wait_until(pilot, lambda: "1:05" in rows(dashboard)[0])
        # What is done of its epochs, as the run's events say.
        await wait_until(pilot, lambda: re.search(r" \d\.\d/3 ", rows(dashboard)[0]) is not None)


async def test_a_hidden_screen_does_not_load(
    open_dashboard: OpenDashboard, ledger: StudyLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_dashboard("sweep", size=(120, 36)) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 4)
        await pilot.press("1")
        await pilot.pause(0.2)
        loads: list[int] = []
        monkeypatch.setattr(study_list.StudyWatcher, "load", lambda *_, **__: loads.append(1))
        await pilot.pause(0.3)
        assert loads == []


async def test_a_storage_is_never_read_on_the_ui_thread(
    open_dashboard: OpenDashboard, ledger: StudyLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    readers: set[int] = set()
    read = SnapshotReader.read

    def watched(self: SnapshotReader, where: StorageLocation, name: str) -> Snapshot:
        readers.add(threading.get_ident())
        return read(self, where, name)

    monkeypatch.setattr(SnapshotReader, "read", watched)
    async with open_dashboard("sweep", size=(120, 36)) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 4)
        assert readers and threading.get_ident() not in readers


async def test_an_unreachable_storage_is_a_row_and_is_not_read_again_at_once(
    open_dashboard: OpenDashboard,
    ledger: StudyLedger,
    monkeypatch: pytest.MonkeyPatch,
    app_state: AppState,
) -> None:
    folder = RunFolder.create(app_state.runs_dir, "far", "sketches")
    (folder.path / "trials").mkdir()
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setattr(storage, "CONNECT_SECONDS", 0.2)
        monkeypatch.setattr(study_list, "RETRY_SECONDS", 600.0)
        far = f"postgresql+psycopg://me@127.0.0.1:{silent.getsockname()[1]}/x"
        folder.config.write_text(specs.to_toml(make_spec(name="far"), {"storage": far}))
        async with open_dashboard("sweep", size=(120, 36)) as (dashboard, pilot):
            await wait_until(pilot, lambda: len(rows(dashboard, "studies")) == 2)
            assert (
                "✗" in rows(dashboard, "studies")[1] and "storage" in rows(dashboard, "studies")[1]
            )
            await wait_for_rows(dashboard, pilot, 4)
            reads: list[StorageLocation] = []

            def connect(where: StorageLocation) -> object:
                reads.append(where)
                return storage.connect(where)

            monkeypatch.setattr("fmnist_tui.sweeps.snapshot.connect", connect)
            await pilot.pause(0.5)
            assert reads == []


async def test_another_study_is_shown_when_the_cursor_moves_to_it(
    open_dashboard: OpenDashboard, ledger: StudyLedger, location: StorageLocation
) -> None:
    run_trial(join_study(location, make_spec(name="newer")), [0.3])
    async with open_dashboard("sweep", size=(120, 36)) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 1)
        table(dashboard, "studies").focus()
        await pilot.press("down")
        await wait_for_rows(dashboard, pilot, 4)
        await pilot.press("enter")
        assert dashboard.screen.focused is table(dashboard)


async def test_a_cursor_that_is_held_down_has_one_thread_and_leads_to_the_study_at_the_cursor(
    open_dashboard: OpenDashboard, location: StorageLocation, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(8):
        join_study(location, make_spec(name=f"study-{number}"))
    storage_answers, calls, at_once = threading.Event(), 0, [0]
    storage_answers.set()
    load = study_list.StudyWatcher.load

    def load_slowly(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        at_once.append(at_once[-1] + 1)
        storage_answers.wait(60)
        at_once.append(at_once[-1] - 1)
        return load(*args, **options)

    monkeypatch.setattr(study_list.StudyWatcher, "load", load_slowly)
    async with open_dashboard("sweep") as (dashboard, pilot):
        await wait_until(pilot, lambda: len(rows(dashboard, "studies")) == 8)
        screen = cast(sweep_screen.SweepScreen, dashboard.screen)
        table(dashboard, "studies").focus()
        storage_answers.clear()
        calls = 0
        await pilot.press(*["down"] * 7)
        storage_answers.set()
        await wait_until(
            pilot, lambda: screen._selected is not None and screen._selected[1] == "study-0"
        )
        await wait_until(pilot, lambda: "study-0" in str(table(dashboard).border_title))
    assert max(at_once) == 1 and calls <= 4


async def test_a_refresh_leaves_the_list_of_sweeps_where_the_user_has_scrolled_it(
    open_dashboard: OpenDashboard,
    ledger: StudyLedger,
    location: StorageLocation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(6):
        join_study(location, make_spec(name=f"other-{number}"))
    monkeypatch.setattr(sweep_screen.SweepScreen, "tick", lambda _: None)
    async with open_dashboard("sweep", size=(120, 36)) as (dashboard, pilot):
        studies = table(dashboard, "studies")
        await wait_until(pilot, lambda: len(studies.rows) == 7)
        studies.styles.height = studies.styles.max_height = 6
        await wait_until(pilot, lambda: studies.size.height == 4)
        studies.move_cursor(0)
        studies.scroll_to(y=4, animate=False)
        studies.hover = 5
        screen = cast(sweep_screen.SweepScreen, dashboard.screen)
        await wait_until(pilot, lambda: screen._selected is not None and not screen._is_loading)
        screen.draw()
        assert (studies.scroll_offset.y, studies.hover) == (4, 5)
        screen._selected = study_list.study_key(screen._listing.studies[2])
        screen.draw()
        assert studies.cursor == 2 and studies.scroll_offset.y <= 2


async def test_enter_on_a_sweep_in_runs_opens_it_here(
    open_dashboard: OpenDashboard,
    ledger: StudyLedger,
    location: StorageLocation,
    app_state: AppState,
) -> None:
    run_trial(join_study(location, make_spec(name="newer")), [0.3])
    folder = RunFolder.create(app_state.runs_dir, "search", "sketches")
    (folder.path / "trials").mkdir()
    folder.config.write_text(specs.to_toml(make_spec(), {"storage": location.public_url}))
    best = TrialEnded(1.0, 1, "complete", 0.8, (("lr", "0.1"),), 2, 3.0, 4, 0.8, "x", "")
    started = RunStarted(
        0.0, folder.name, "search", "sketches", "linear", 0, "cpu", "", "auto", 0, 6, 1, 64,
        0, 0, 0, (), kind=SWEEP,
    )  # fmt: skip
    with folder.events.open("w") as file:
        for event in (started, best, RunEnded(2.0, 4, 0, FINISHED, 2.0)):
            file.write(EVENTS.encode(event) + "\n")
    async with open_dashboard("runs", size=(200, 60)) as (dashboard, pilot):
        await wait_until(pilot, lambda: len(table(dashboard, "table").rows) == 1)
        (row,) = rows(dashboard, "table")
        assert "sweep search" in row and "4/6" in row and "80.00 %" in row
        figures = dashboard.screen.query_one("#figures")
        await wait_until(pilot, lambda: "0.0001 … 0.1, log" in str(figures.render()))
        table(dashboard, "table").focus()
        await pilot.press("enter")
        await wait_until(pilot, lambda: getattr(dashboard.screen, "NAME", "") == "sweep")
        await wait_for_rows(dashboard, pilot, 4)
        assert "search" in str(table(dashboard).border_title)


async def test_v_cycles_through_the_plots_on_a_small_terminal(
    open_dashboard: OpenDashboard, ledger: StudyLedger, app_state: AppState
) -> None:
    async with open_dashboard("sweep", size=(80, 24)) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 4)
        seen = []
        for _ in range(4):
            (shown,) = (part for part in dashboard.screen.query_one(Plots).children if part.display)
            view = shown.view if isinstance(shown, SpacePlot) else shown.id
            seen.append(view)
            await pilot.press("v")
        assert seen == ["course", "slices", "parallel", "importance"]
        assert app_state.settings.get("sweep.view") == "course"


@pytest.mark.parametrize(
    ("size", "shown"),
    [((120, 36), {"course", "importance"}), ((200, 60), {"course", "importance", "space"})],
)
async def test_plots_are_side_by_side_where_they_fit(
    open_dashboard: OpenDashboard, ledger: StudyLedger, size: tuple[int, int], shown: set[str]
) -> None:
    async with open_dashboard("sweep", size=size) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 4)
        assert {
            part.id for part in dashboard.screen.query_one(Plots).children if part.display
        } == shown
        bars = dashboard.screen.query_one(ProbabilityBars)
        await wait_until(pilot, lambda: "too few trials (3 of 10)" in drawn_text(bars))
        assert "best so far" in drawn_text(dashboard.screen.query_one(LineChart))


async def test_slices_and_parallel_lines_highlight_the_trial_under_the_cursor(
    open_dashboard: OpenDashboard, ledger: StudyLedger, app_state: AppState
) -> None:
    app_state.settings.save("sweep.view", "slices")
    async with open_dashboard("sweep", size=(120, 36)) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 4)
        plot = dashboard.screen.query_one(SpacePlot)
        assert (
            "lr (log)" in drawn_text(plot)
            and "optimizer" in drawn_text(plot)
            and "◆" in drawn_text(plot)
        )
        assert "◉" not in drawn_text(plot)  # the trial under the cursor failed and has no value
        await pilot.press("down")
        await wait_until(pilot, lambda: "◉" in drawn_text(plot))
        await pilot.press("v")
        await wait_until(pilot, lambda: "value" in drawn_text(plot) and "│" in drawn_text(plot))


async def test_o_changes_the_order_and_saves_it(
    open_dashboard: OpenDashboard, ledger: StudyLedger, app_state: AppState
) -> None:
    async with open_dashboard("sweep", size=(120, 36)) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 4)
        await pilot.press("o")
        assert trial_numbers(dashboard) == [1, 2, 0, 3]
        await pilot.press("o")
        assert trial_numbers(dashboard) == [0, 1, 2, 3]
        await pilot.press("o")
        assert trial_numbers(dashboard) == [2, 1, 0, 3]
        assert app_state.settings.get("sweep.order") == "state"


async def test_slash_filters_the_trials_and_escape_shows_all(
    open_dashboard: OpenDashboard, ledger: StudyLedger
) -> None:
    async with open_dashboard("sweep", size=(120, 36)) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 4)
        await pilot.press("slash", *"failed")
        await wait_for_rows(dashboard, pilot, 1)
        await pilot.press("enter")
        assert dashboard.screen.focused is table(dashboard)
        assert "filter: failed" in str(table(dashboard).border_subtitle)
        await pilot.press("escape")
        await wait_for_rows(dashboard, pilot, 4)
