"""The Runs screen: the table, filters, orders, marks, comparison; small and large terminals."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.protocol.events import EVENTS, Changed, RunStarted
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import EventReader
from fmnist_tui.tui.base.dialogs import ChoiceDialog
from fmnist_tui.tui.screens.runs import screen as runs_screen
from fmnist_tui.tui.screens.runs.compare_pane import ComparePane
from fmnist_tui.tui.screens.runs.run_index import RunIndex, RunList
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.widgets.charts.line_chart import LineChart
from tests.tui.conftest import OpenDashboard
from tests.tui.runs.support import (
    append_events,
    curve,
    curve_lines,
    hold_lock,
    is_displayed,
    page,
    record_calls,
    rows,
    table,
    wait_for_rows,
)
from tests.tui.support import CONFIG, make_run, record_toasts, wait_until


async def test_an_empty_list_shows_which_key_starts_a_run(open_dashboard: OpenDashboard) -> None:
    async with open_dashboard("runs") as (dashboard, pilot):
        await wait_until(pilot, lambda: "no runs yet" in table(dashboard).empty)
        for key in "uoacxsfv":
            await pilot.press(key)
        assert dashboard.screen.query_one("#page").display


async def test_a_key_for_a_run_says_that_the_runs_are_still_being_listed(
    open_dashboard: OpenDashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end = threading.Event()
    monkeypatch.setattr(RunIndex, "load", lambda _: may_end.wait(60) and RunList())
    toasts = record_toasts(monkeypatch)
    async with open_dashboard("runs") as (dashboard, pilot):
        for key in ("space", "x"):
            await pilot.press(key)
            assert "still being listed" in toasts.pop()
        may_end.set()
        await wait_until(pilot, lambda: "no runs yet" in table(dashboard).empty)
        await pilot.press("space")
        assert toasts == ["no run selected"]


async def test_runs_are_listed_with_their_states_and_results(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    finished = make_run(app_state.runs_dir)
    crashed = make_run(app_state.runs_dir, CONFIG.changed(recipe="second"), epochs=1, ended=False)
    async with open_dashboard("runs") as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 2)
        by_id = {line.split()[3]: line for line in rows(dashboard)}
        assert "✓ finished" in by_id[finished.id]
        assert "4/4" in by_id[finished.id]
        assert "98.01 %" in by_id[finished.id]
        assert "✗ crashed" in by_id[crashed.id]
        assert table(dashboard).has_focus


async def test_rows_end_before_the_scroll_bar(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    for _ in range(12):
        make_run(app_state.runs_dir, epochs=1, splits=())
    async with open_dashboard("runs", size=(80, 24)) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 12)
        assert table(dashboard).show_vertical_scrollbar
        for line in rows(dashboard):
            assert len(line) == table(dashboard).scrollable_content_region.width


async def test_space_marks_up_to_six_runs_and_c_clears_the_marks(
    open_dashboard: OpenDashboard, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(7):
        make_run(app_state.runs_dir, epochs=1, splits=())
    async with open_dashboard("runs") as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 7)
        toasts = record_toasts(monkeypatch)
        for _ in range(7):
            await pilot.press("space", "down")
        assert [line[:2] for line in rows(dashboard)] == [*(f"◆{n}" for n in range(1, 7)), "  "]
        assert "at most 6 runs" in toasts[0]
        await wait_until(pilot, lambda: curve_lines(dashboard) == 6)
        assert curve(dashboard)._lines[1].label.startswith("2 ")
        await pilot.press("home", "space")
        assert rows(dashboard)[0].startswith("  ")
        await pilot.press("c")
        assert not any("◆" in line for line in rows(dashboard))


async def test_two_marked_runs_are_compared_by_their_differing_settings(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    make_run(app_state.runs_dir, CONFIG.changed(lr=0.01))
    make_run(app_state.runs_dir, CONFIG.changed(lr=0.02))
    async with open_dashboard("runs") as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 2)
        await wait_until(pilot, lambda: "parameters" in page(dashboard))
        await pilot.press("space", "down", "space")
        await wait_until(pilot, lambda: "0.01" in page(dashboard) and "0.02" in page(dashboard))
        settings = {line.split()[0]: line.split()[1:] for line in page(dashboard).splitlines()}
        assert sorted(settings["lr"]) == ["0.01", "0.02"]
        assert "epochs" not in settings
        assert "±" in page(dashboard)


async def test_the_page_of_a_run_has_no_line_that_is_wrapped_to_below_the_names(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    def name_device(folder: RunFolder) -> None:
        started, *others = EventReader(folder.events).read()
        assert isinstance(started, RunStarted)
        started = replace(started, device_name="AMD EPYC", threads=1, cpus=2)
        lines = [EVENTS.encode(event) for event in (started, *others)]
        folder.events.write_text("\n".join(lines) + "\n")

    make_run(app_state.runs_dir, CONFIG.changed(label_smoothing=0.1), change=name_device)
    async with open_dashboard("runs", size=(120, 36)) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 1)
        await wait_until(pilot, lambda: "1 of 2 threads" in page(dashboard))
        *lines, _path = page(dashboard).splitlines()
        width = dashboard.screen.query_one("#figures").content_size.width
        assert [line for line in lines if len(line) > width] == []


async def test_v_cycles_through_the_curves_and_saves_the_choice(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    make_run(app_state.runs_dir)
    async with open_dashboard("runs") as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 1)
        curves = []
        for _ in range(3):
            curves.append(curve(dashboard).id)
            await pilot.press("v")
        assert curves == ["curve-val_accuracy", "curve-val_loss", "curve-train_loss"]
        assert app_state.settings.get("runs.curves") == "val_accuracy"
        await wait_until(pilot, lambda: curve_lines(dashboard) == 1)
        # The loss of single steps is the band of a smoothed line.
        assert [bool(chart._lines[0].low) for chart in dashboard.screen.query(LineChart)] == [
            False,
            False,
            True,
        ]


async def test_v_includes_the_settings_on_a_small_terminal(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    make_run(app_state.runs_dir)
    async with open_dashboard("runs", size=(80, 24)) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 1)
        assert not is_displayed(dashboard, "#page")
        assert len(rows(dashboard)[0]) <= table(dashboard).size.width
        await pilot.press("v", "v", "v")
        assert is_displayed(dashboard, "#page")
        await pilot.resize_terminal(160, 50)
        await pilot.pause()
        assert is_displayed(dashboard, "#page")
        await wait_until(pilot, lambda: curve_lines(dashboard) > 0)


async def test_the_compare_pane_is_on_the_right_on_a_large_terminal(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    make_run(app_state.runs_dir)
    async with open_dashboard("runs", size=(200, 60)) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 1)
        await wait_until(pilot, lambda: "two-conv" in rows(dashboard)[0])
        assert dashboard.screen.query_one(ComparePane).region.x > 100


async def test_enter_opens_a_run(
    open_dashboard: OpenDashboard, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(app_state.runs_dir)
    async with open_dashboard("runs") as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 1)
        opening = record_calls(dashboard, "open_run", monkeypatch)
        await pilot.press("enter")
        assert opening == [(run,)]


async def test_typing_filters_the_list_and_escape_clears_the_filter(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    for name in ("alpha", "beta7"):
        make_run(app_state.runs_dir, CONFIG.changed(recipe=name), splits=())
    async with open_dashboard("runs") as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 2)
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


async def test_o_changes_the_order_and_the_cursor_stays_on_its_run(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    good = make_run(app_state.runs_dir, CONFIG.changed(recipe="zeta"), splits=())
    make_run(app_state.runs_dir, CONFIG.changed(recipe="eta"), epochs=1, splits=())
    async with open_dashboard("runs") as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 2)
        table(dashboard).go_to(str(good.path))
        await pilot.pause()
        await pilot.press("o")
        assert "zeta" in rows(dashboard)[0]
        await pilot.press("o", "o")
        assert "zeta" in rows(dashboard)[1]
        assert table(dashboard).current == str(good.path)
        assert app_state.settings.get("runs.order") == "name"


async def test_a_live_run_is_refreshed_and_other_rows_stay(
    open_dashboard: OpenDashboard, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs_screen.RunsScreen, "REFRESH_SECONDS", 0.05)
    others = [make_run(app_state.runs_dir, splits=()) for _ in range(3)]
    run = make_run(app_state.runs_dir, epochs=1, ended=False, splits=())
    with hold_lock(run):
        async with open_dashboard("runs") as (dashboard, pilot):
            await wait_for_rows(dashboard, pilot, 4)
            table(dashboard).go_to(str(others[1].path))
            before = set(rows(dashboard))
            append_events(run, Changed(1_700_000_050.0, 20, "paused", "true"))
            await wait_until(pilot, lambda: any("paused" in line for line in rows(dashboard)))
            assert len(before - set(rows(dashboard))) == 1
            assert table(dashboard).current == str(others[1].path)
            make_run(app_state.runs_dir, splits=())
            await wait_for_rows(dashboard, pilot, 5)
            assert table(dashboard).current == str(others[1].path)


async def test_a_run_without_events_is_listed_as_broken(
    open_dashboard: OpenDashboard, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs_screen.RunsScreen, "REFRESH_SECONDS", 0.05)
    intact, damaged = (make_run(app_state.runs_dir) for _ in range(2))
    async with open_dashboard("runs", size=(200, 60)) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 2)
        toasts = record_toasts(monkeypatch)
        damaged.events.unlink()
        await wait_until(pilot, lambda: any("✗ broken" in line for line in rows(dashboard)))
        line = next(line for line in rows(dashboard) if "broken" in line)
        assert "it has no readable events" in line
        table(dashboard).go_to(str(damaged.path))
        await pilot.pause()
        await pilot.press("enter", "u", "f")
        assert all("broken" in message for message in toasts)
        assert len(toasts) == 3
        await pilot.press("space")
        table(dashboard).go_to(str(intact.path))
        await pilot.pause()
        await pilot.press("space")
        await wait_until(pilot, lambda: curve_lines(dashboard) == 1)


async def test_a_run_with_garbage_in_its_events_and_no_config_is_still_shown(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    def spoil(folder: RunFolder) -> None:
        folder.config.unlink()
        text = folder.events.read_bytes()
        folder.events.write_bytes(text.replace(b"\n", b"\n\xff\x00{]garbage\n", 5))

    make_run(app_state.runs_dir, change=spoil)
    async with open_dashboard("runs") as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 1)
        await wait_until(pilot, lambda: curve_lines(dashboard) == 1)
        assert "no such config file" in page(dashboard)


async def test_control_characters_in_names_are_escaped(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    hostile = "[red]x[/]\x1b]0;t\x07"
    make_run(
        app_state.runs_dir, RunConfig.model_construct(**{**CONFIG.model_dump(), "recipe": hostile})
    )
    async with open_dashboard("runs", size=(200, 60)) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 1)
        await wait_until(pilot, lambda: "[red]x[/]␛]0;t␇" in rows(dashboard)[0])
        await pilot.press("space", "v", "x")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, ChoiceDialog))


async def test_an_unreadable_runs_folder_is_reported_in_the_table(
    open_dashboard: OpenDashboard, app_state: AppState, tmp_path: Path
) -> None:
    app_state.runs_dir = tmp_path / "file"
    app_state.runs_dir.write_text("no folder")
    async with open_dashboard("runs") as (dashboard, pilot):
        await wait_until(pilot, lambda: "cannot read the runs" in table(dashboard).empty)
