"""The rows of the Runs screen: seeds of one config, small curves, names and tags, lost runs."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import partial

import pytest
from textual.widgets import OptionList, Static

from fmnist_tui.protocol.events import EVENTS, Evaluated
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import EventReader
from fmnist_tui.runs.listing import summarise_run
from fmnist_tui.runs.notes import change_notes, read_notes
from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.base.dialogs import ChoiceDialog
from fmnist_tui.tui.screens.runs.table import RunRow, RunTableFormatter, find_bests, row_key
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.theme import TableColours
from tests.tui.conftest import OpenDashboard
from tests.tui.runs.support import curve, curve_lines, page, rows, table, wait_for_rows
from tests.tui.support import CONFIG, START, make_run, record_toasts, screen_input, wait_until


def is_shown(dashboard: Dashboard, text: str) -> bool:
    return text in "\n".join((*rows(dashboard), page(dashboard)))


COLOURS = TableColours("bench-dark", {}, {"cyan": "#00ffff"})


async def test_seeds_of_one_config_are_a_row_that_opens_and_can_be_marked(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    for seed in (1, 2, 3):
        make_run(app_state.runs_dir, CONFIG.changed(seed=seed), splits=())
    other = make_run(app_state.runs_dir, CONFIG.changed(lr=0.02), epochs=2, splits=())
    async with open_dashboard("runs", size=(120, 36)) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 2)
        table(dashboard).move_cursor(
            next(n for n, row in enumerate(rows(dashboard)) if "seeds" in row)
        )
        await wait_until(pilot, lambda: "mean ± sd of 3 seeds" in page(dashboard))
        group = table(dashboard).rows[str(table(dashboard).current)].plain
        assert "▸ 3 seeds" in group and "98.01 ±0.00 %" in group
        assert "seed 2" in page(dashboard)
        (line,) = curve(dashboard)._lines
        assert line.label == "tiny, 3 seeds, mean ± sd"
        assert len(line.low) == len(line.high) == len(line.xs) == 4
        await wait_until(pilot, lambda: all("▁" in row for row in rows(dashboard)))
        await pilot.press("enter")
        assert len(rows(dashboard)) == 5 and any("▾ 3 seeds" in row for row in rows(dashboard))
        await pilot.press("space", "enter")
        assert len(rows(dashboard)) == 2
        table(dashboard).go_to(str(other.path))
        await pilot.press("space")
        await wait_until(
            pilot, lambda: curve_lines(dashboard) == 2 and "sd of 3" in page(dashboard)
        )
        await pilot.press("g")
        assert len(rows(dashboard)) == 4
        assert app_state.settings.get("runs.grouping") == "off"
        assert [row[:2] for row in rows(dashboard)].count("◆2") == 1


async def test_keys_name_tag_and_note_a_run_and_the_filter_finds_them(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    run, _ = (make_run(app_state.runs_dir, CONFIG.changed(lr=lr)) for lr in (0.01, 0.02))
    async with open_dashboard("runs", size=(160, 50)) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 2)
        table(dashboard).go_to(str(run.path))
        for key, refused, text in (
            ("n", "a/b", "Final one"),
            ("T", "[x]", "good base"),
            ("N", "x" * 501, "ran on a busy machine"),
        ):
            await pilot.press(key)
            (await screen_input(dashboard, pilot)).value = refused
            await pilot.press("enter")
            assert str(dashboard.screen.query_one(Static).content)
            (await screen_input(dashboard, pilot)).value = text
            await pilot.press("enter")
            await wait_until(pilot, partial(is_shown, dashboard, text.split()[0]))
        assert read_notes(run).tags == ("good", "base")
        # Another program's change is seen too.
        change_notes(run, lambda notes: notes.with_tags(["theirs"]))
        dashboard.screen.load()  # type: ignore[attr-defined]
        await wait_until(pilot, partial(is_shown, dashboard, "#theirs"))
        for words in ("#theirs", "final", "busy"):
            await pilot.press("slash", *words)
            assert len(rows(dashboard)) == 1 and f"Final one {run.id}" in rows(dashboard)[0]
            await pilot.press("escape")


async def test_a_run_that_is_gone_loses_its_mark_and_a_key_says_so(
    open_dashboard: OpenDashboard, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, kept = (make_run(app_state.runs_dir, CONFIG.changed(lr=lr)) for lr in (0.01, 0.02))
    async with open_dashboard("runs") as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 2)
        table(dashboard).go_to(str(lost.path))
        await pilot.press("space")
        assert "1 marked" in str(table(dashboard).border_subtitle)
        shutil.rmtree(lost.path)
        toasts = record_toasts(monkeypatch)
        await pilot.press("f")
        await wait_until(pilot, lambda: bool(toasts))
        assert "is gone: deleted, archived or moved" in toasts[0]
        await wait_for_rows(dashboard, pilot, 1)
        assert "marked" not in str(table(dashboard).border_subtitle)
        await wait_until(
            pilot, lambda: kept.id in str(dashboard.screen.query_one("#page").border_title)
        )


async def test_enter_keeps_a_run_in_the_dialog_that_deletes(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    run = make_run(app_state.runs_dir)
    async with open_dashboard("runs") as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 1)
        await pilot.press("x")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, ChoiceDialog))
        await wait_until(pilot, lambda: dashboard.screen.query_one(OptionList).highlighted == 0)
        await pilot.press("enter")
        await wait_until(pilot, lambda: not isinstance(dashboard.screen, ChoiceDialog))
        assert run.path.is_dir()


async def test_a_click_on_a_head_orders_by_its_column_and_again_reverses(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    for name in ("beta", "alpha"):
        make_run(app_state.runs_dir, CONFIG.changed(recipe=name), splits=())
    async with open_dashboard("runs", size=(120, 36)) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 2)
        for first, subtitle in (("alpha", "order: name"), ("beta", "order: name, reversed")):
            await pilot.click(
                "#table", offset=(table(dashboard)._header.plain.index("name") + 1, 1)
            )
            await pilot.pause()
            assert first in rows(dashboard)[0]
            assert str(table(dashboard).border_subtitle) == subtitle
        await pilot.press("O")
        assert "alpha" in rows(dashboard)[0]
        assert app_state.settings.get("runs.order") == "name"


def test_the_difference_to_the_best_is_of_runs_on_the_same_images(app_state: AppState) -> None:
    def make(dataset: str, accuracy: float) -> RunFolder:
        folder = make_run(app_state.runs_dir, CONFIG.changed(dataset=dataset), splits=())
        events = EventReader(folder.events).read()
        tested = next(event for event in events if isinstance(event, Evaluated))
        lines = [*events, replace(tested, split="val", accuracy=accuracy)]
        folder.events.write_text("".join(EVENTS.encode(event) + "\n" for event in lines))
        return folder

    runs = [summarise_run(make("sketches", 0.9)), summarise_run(make("sketches", 0.925))]
    runs.append(summarise_run(make("fashion", 0.8)))
    bests = find_bests(runs, {})
    cells = {
        row_key(run): RunRow(run, best=bests[run.run.path], curve=(0.1, 0.2, 0.3)) for run in runs
    }
    for width in (76, 116, 200):
        lines = [line.plain for _, line in RunTableFormatter().format(cells, width, COLOURS, START)]
        assert {len(line) for line in lines} <= {len(lines[0])} and len(lines[0]) <= width
        assert "−2.50" in lines[0] and " best " in lines[1] and " best " in lines[2]
    assert "▁" in lines[0] and "two-conv" in lines[0]


async def test_two_marked_runs_get_a_verdict_that_names_split_count_and_test(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    for lr in (0.01, 0.02):
        make_run(app_state.runs_dir, CONFIG.changed(lr=lr))
    async with open_dashboard("runs", size=(120, 36)) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 2)
        verdict = dashboard.screen.query_one("#verdict", Static)
        assert not verdict.display
        await pilot.press("space", "down", "space")
        await wait_until(pilot, lambda: verdict.display)
        assert str(verdict.content).splitlines() == [
            "2 − 1: +0.00 points on test, within the error",
            "McNemar's test on the same 300 images, of which each alone has right 0 and 0, p 1.00",
        ]
        await pilot.press("c")
        await wait_until(pilot, lambda: not verdict.display)


async def test_the_chart_of_a_run_of_one_epoch_is_by_step(
    open_dashboard: OpenDashboard, app_state: AppState
) -> None:
    make_run(app_state.runs_dir, CONFIG.changed(epochs=1), splits=())
    async with open_dashboard("runs", size=(120, 36)) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 1)
        await wait_until(pilot, lambda: curve_lines(dashboard) == 2)
        train, val = curve(dashboard)._lines
        assert train.label.endswith(" train") and val.label.endswith(" val")
        assert len(train.xs) == 20 and max(train.xs) == 20 and list(val.xs) == [20]
        assert curve(dashboard)._xlabel == "step"
