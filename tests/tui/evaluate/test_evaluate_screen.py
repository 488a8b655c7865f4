"""Evaluate: the scores of the selected run, and every key."""

from __future__ import annotations

import pytest
from textual.widgets import Static

from fmnist_tui.analysis.metrics import Evaluation
from fmnist_tui.analysis.predictions import Predictions
from fmnist_tui.config.dataset_catalog import GARMENTS
from fmnist_tui.runs.notes import change_notes
from fmnist_tui.tui.base.dialogs import PickerDialog
from fmnist_tui.tui.screens.errors.screen import ErrorsScreen
from fmnist_tui.tui.screens.evaluate.confusion_table import ConfusionTable
from fmnist_tui.tui.screens.evaluate.score_tables import ClassScores, ConfusedPairs
from fmnist_tui.tui.screens.evaluate.screen import EvaluateScreen
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.widgets.charts.line_chart import LineChart
from tests.tui.conftest import OpenDashboard
from tests.tui.evaluate.support import wait_for_scores
from tests.tui.support import (
    drawn_text,
    headline,
    images_title,
    make_run,
    notice,
    predictions,
    record_toasts,
    screen_input,
    wait_until,
)


async def test_without_a_run_the_notice_names_the_keys(
    monkeypatch: pytest.MonkeyPatch, open_dashboard: OpenDashboard
) -> None:
    async with open_dashboard("evaluate") as (dashboard, pilot):
        assert "No run selected" in notice(dashboard) and "w" in notice(dashboard)
        toasts = record_toasts(monkeypatch)
        await pilot.press("w")
        await wait_until(pilot, lambda: "no runs" in "".join(toasts))
        assert isinstance(dashboard.screen, EvaluateScreen)
        # Keys that have nothing to act on are hidden.
        bindings = dashboard.screen.active_bindings
        assert not {"e", "n", "o", "p"} & {key for key, at in bindings.items() if at.enabled}


async def test_the_test_split_comes_first(
    app_state: AppState, open_dashboard: OpenDashboard
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with open_dashboard("evaluate") as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot)
        evaluation = predictions("test").evaluation()
        text = headline(dashboard)
        assert f"tiny {app_state.selected_run.id}" in text and "SYNTHETIC" in text
        assert "best @ step 80" in text and "test (300)" in text
        assert f"accuracy {100 * evaluation.accuracy:.2f} %" in text and "(95 %)" in text
        for score in ("macro F1", "ECE", f"loss {evaluation.loss:.4f}"):
            assert score in text
        assert dashboard.screen.focused is dashboard.screen.query_one(ConfusionTable)


async def test_p_shows_the_next_split(app_state: AppState, open_dashboard: OpenDashboard) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with open_dashboard("evaluate") as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot)
        await pilot.press("p")
        await wait_until(pilot, lambda: "predictions of" in notice(dashboard))
        assert "train" in notice(dashboard) and "e" in notice(dashboard)
        await pilot.press("p")
        await wait_for_scores(dashboard, pilot, "val (300)")
        await pilot.press("p")
        await wait_for_scores(dashboard, pilot, "test (300)")


async def test_tables_that_were_hidden_show_the_scores_of_the_split(
    app_state: AppState, open_dashboard: OpenDashboard
) -> None:
    of_val = predictions("val", seed=3)
    app_state.selected_run = make_run(
        app_state.runs_dir, change=lambda folder: of_val.save(folder.predictions / "val.npz")
    )
    async with open_dashboard("evaluate") as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot)
        scores = dashboard.screen.query_one(ClassScores)
        pairs = dashboard.screen.query_one(ConfusedPairs)

        async def wait_for_rows_of(evaluation: Evaluation) -> None:
            recall = f"{100 * evaluation.macro_recall:.1f}"
            await wait_until(pilot, lambda: recall in scores.rows[""].plain)
            confused = [f"{true}>{wrong}" for true, wrong, _ in evaluation.most_confused(200)]
            await wait_until(pilot, lambda: list(pairs.rows) == confused)

        await wait_for_rows_of(predictions("test").evaluation())
        await pilot.press("p")
        # There are no predictions of the training images.
        await wait_until(pilot, lambda: not scores.region and not pairs.region)
        await pilot.press("p")
        await wait_for_scores(dashboard, pilot, "val (300)")
        await wait_for_rows_of(of_val.evaluation())


async def test_the_cell_at_the_cursor_is_described_and_opened(
    app_state: AppState, open_dashboard: OpenDashboard
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with open_dashboard("evaluate") as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot)
        table = dashboard.screen.query_one(ConfusionTable)
        confusion = predictions("test").evaluation().confusion
        # The cursor starts at the most frequent confusion.
        assert table.cursor == (6, 0)
        scores, pairs = (dashboard.screen.query_one(kind) for kind in (ClassScores, ConfusedPairs))
        await wait_until(pilot, lambda: (scores.current, pairs.current) == ("6", "6>0"))
        assert f"{GARMENTS[6]} → predicted {GARMENTS[0]}: {confusion[6][0]} of" in str(
            table.border_subtitle
        )
        await pilot.press("up", "right", "right", "down", "down", "left", "k", "j", "h", "l")
        assert table.cursor == (7, 1)
        await pilot.press("end", "pageup")
        assert table.cursor == (0, 9)
        await pilot.press("home", "pagedown", "right")
        assert table.cursor == (9, 1)
        # The tables highlight the same class, and the same pair if it is listed.
        await wait_until(pilot, lambda: (scores.current, pairs.current) == ("9", "9>1"))
        scores.focus()
        await pilot.press("home", "down", "down")
        await wait_until(
            pilot, lambda: table.cursor[0] == 2 and str(pairs.current).startswith("2>")
        )
        pairs.focus()
        await pilot.press("home")
        await wait_until(pilot, lambda: table.cursor == (6, 0) and scores.current == "6")
        table.focus()
        table.cursor = (9, 1)
        await pilot.press("enter")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, ErrorsScreen))
        await wait_until(pilot, lambda: f"{GARMENTS[9]} → {GARMENTS[1]}" in images_title(dashboard))


async def test_a_cell_of_the_diagonal_opens_too(
    app_state: AppState, open_dashboard: OpenDashboard
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with open_dashboard("evaluate") as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot)
        table = dashboard.screen.query_one(ConfusionTable)
        table.cursor = (3, 3)
        assert "Dress, correct" in str(table.border_subtitle)
        await pilot.press("enter")
        await wait_until(pilot, lambda: "Dress, correct" in images_title(dashboard))


async def test_n_shows_counts_then_shares_of_the_row_then_of_the_column(
    app_state: AppState, open_dashboard: OpenDashboard
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with open_dashboard("evaluate") as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot)
        table = dashboard.screen.query_one(ConfusionTable)
        evaluation = predictions("test").evaluation()
        row, column = evaluation.confusion[0], [row[0] for row in evaluation.confusion]

        def shirts() -> str:
            return next(
                text
                for y in range(table.size.height)
                if "T-shirt" in (text := table.render_line(y).text) and y
            )

        assert f" {row[0]} " in shirts()
        await pilot.press("n")
        assert f"{100 * row[0] / sum(row):.1f}" in shirts()
        assert "row %" in str(table.border_title)
        await pilot.press("n")
        assert f"{100 * row[0] / sum(column):.1f}" in shirts()
        assert " predictions (" in str(table.border_subtitle)
        await pilot.press("n")
        assert f" {row[0]} " in shirts()


async def test_the_mouse_moves_the_cursor_and_opens(
    app_state: AppState, open_dashboard: OpenDashboard
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with open_dashboard("evaluate") as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot)
        table = dashboard.screen.query_one(ConfusionTable)
        # Inside the frame: 13 cells of names, two lines of headings.
        await pilot.click(table, offset=(1 + 13 + 1, 1 + 2))
        assert table.cursor == (0, 0)
        await pilot.click(table, offset=(2, 3))
        assert table.cursor == (0, 0)
        await pilot.click(table, offset=(1 + 13 + 1, 5), times=2)
        await wait_until(pilot, lambda: isinstance(dashboard.screen, ErrorsScreen))


async def test_o_sorts_by_the_lowest_score(
    app_state: AppState, open_dashboard: OpenDashboard
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with open_dashboard("evaluate") as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot)
        table = dashboard.screen.query_one(ClassScores)
        assert list(table.rows)[:2] == ["0", "1"]
        for measure in ("precision", "recall", "f1"):
            await pilot.press("o")
            scores = [getattr(score, measure) for score in predictions("test").evaluation().classes]
            rows = [int(name) for name in table.rows if name]
            assert [scores[row] for row in rows] == sorted(scores)
        await pilot.press("o")
        assert list(table.rows)[:2] == ["0", "1"]
        # The means stay last.
        assert list(table.rows)[-1] == ""


async def test_a_row_of_a_table_opens_its_images(
    app_state: AppState, open_dashboard: OpenDashboard
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with open_dashboard("evaluate") as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot)
        dashboard.screen.query_one(ClassScores).focus()
        await pilot.press("end", "enter")
        assert isinstance(dashboard.screen, EvaluateScreen)
        await pilot.press("home", "down", "enter")
        await wait_until(pilot, lambda: "Trouser → any" in images_title(dashboard))
        await pilot.press("3")
        dashboard.screen.query_one(ConfusedPairs).focus()
        await pilot.press("home", "enter")
        await wait_until(pilot, lambda: "Shirt → T-shirt/top" in images_title(dashboard))


async def test_w_selects_another_run(app_state: AppState, open_dashboard: OpenDashboard) -> None:
    first, second = make_run(app_state.runs_dir), make_run(app_state.runs_dir)
    app_state.selected_run = first
    change_notes(second, lambda notes: notes.renamed("narrow one"))
    async with open_dashboard("evaluate") as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot)
        await pilot.press("w")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, PickerDialog))
        (await screen_input(dashboard, pilot)).value = second.id
        await pilot.press("enter")
        await wait_for_scores(dashboard, pilot, second.id)
        assert app_state.selected_run == second
        await wait_until(pilot, lambda: f"narrow one {second.id}" in headline(dashboard))


async def test_fit_and_reliability_are_shown(
    app_state: AppState, open_dashboard: OpenDashboard
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with open_dashboard("evaluate", size=(160, 50)) as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot)
        fit = str(dashboard.screen.query_one("#fit-text", Static).content)
        assert any(word in fit for word in ("good", "fitting", "early"))
        assert "val loss" in fit and "0.4000" in fit
        chart = dashboard.screen.query_one(LineChart)
        assert len(chart._lines[1].xs) > 3
        assert "confidence ≥ 90 %" in str(chart.border_subtitle)


async def test_at_80_by_24_tab_reaches_every_pane(
    app_state: AppState, open_dashboard: OpenDashboard
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with open_dashboard("evaluate", size=(80, 24)) as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot)
        seen = []
        for _ in range(5):
            focused = dashboard.screen.focused
            assert focused is not None and focused.display
            assert focused.region.height >= 4 and focused.region.bottom <= 23
            seen.append(focused.id)
            await pilot.press("tab")
            await pilot.pause()
        assert seen == ["matrix", "pairs", "scores", "fit", "reliability"]
        assert dashboard.screen.focused is dashboard.screen.query_one("#matrix")
        await pilot.press("shift+tab")
        await pilot.pause()
        assert dashboard.screen.focused is dashboard.screen.query_one("#reliability")


@pytest.mark.parametrize("size", [(50, 14), (80, 24), (200, 60)])
async def test_every_size_shows_ten_classes_or_scrolls(
    app_state: AppState, open_dashboard: OpenDashboard, size: tuple[int, int]
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with open_dashboard("evaluate", size=size) as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot)
        table = dashboard.screen.query_one(ConfusionTable)
        if size[0] >= 80 and size[1] >= 24:
            heads = [name[:5].strip() for name in GARMENTS]

            def all_visible() -> bool:
                drawn = (table.render_line(y).text[1:6].strip() for y in range(table.size.height))
                return [head for head in drawn if head in heads] == heads

            await wait_until(pilot, all_visible)
        other = (60, 20) if size[0] > 100 else (170, 50)
        await pilot.resize_terminal(*other)
        await wait_until(pilot, lambda: 0 < table.region.right <= other[0])
        assert table.region.bottom <= other[1]


async def test_control_characters_and_markup_in_class_names_are_escaped(
    app_state: AppState, open_dashboard: OpenDashboard
) -> None:
    names = ("[red]\x1b[31mx", "\u202eevil", "衬衫", *GARMENTS[3:])
    usual = predictions("test")
    hostile = Predictions("test", usual.logits, usual.labels, usual.indices, names, "\x1b[2J")
    app_state.selected_run = make_run(app_state.runs_dir)
    hostile.save(app_state.selected_run.predictions / "test.npz")
    async with open_dashboard("evaluate") as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot)
        dashboard.screen.query_one(ConfusionTable).cursor = (0, 1)
        drawn = drawn_text(dashboard.screen)
        assert "\x1b" not in drawn and "\u202e" not in drawn
        assert "[red]" in drawn
