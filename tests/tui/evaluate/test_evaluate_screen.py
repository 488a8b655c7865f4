"""Evaluate: the scores of the selected run, every key, and the notice where there are none."""

from __future__ import annotations

import shutil
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from fmnist_tui.analysis.predictions import Predictions
from fmnist_tui.config.dataset_catalog import GARMENTS
from fmnist_tui.protocol.events import EVENTS, STOPPED, RunEnded
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.base.dialogs import PickerDialog
from fmnist_tui.tui.screens.errors.screen import ErrorsScreen
from fmnist_tui.tui.screens.evaluate.confusion_table import ConfusionTable
from fmnist_tui.tui.screens.evaluate.score_tables import ClassScores, ConfusedPairs
from fmnist_tui.tui.screens.evaluate.screen import EvaluateScreen
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.tui.widgets.line_chart import LineChart
from fmnist_tui.tui.widgets.summary_line import SummaryLine
from fmnist_tui.util.errors import UserError
from tests.tui.conftest import Opened
from tests.tui.scripted import events, make_run, predictions, settled


def screen_of(dashboard: Dashboard) -> EvaluateScreen:
    assert isinstance(dashboard.screen, EvaluateScreen)
    return dashboard.screen


def headline(dashboard: Dashboard) -> str:
    return dashboard.screen.query_one(SummaryLine).plain


def notice(dashboard: Dashboard) -> str:
    screen = screen_of(dashboard)
    shown = screen.has_class("-no-results")
    return str(screen.query_one("#notice", Static).content) if shown else ""


async def wait_for_scores(dashboard: Dashboard, pilot: Pilot[int], text: str = "accuracy") -> None:
    await settled(pilot, lambda: text in headline(dashboard))
    await pilot.pause()


class FakeSession:
    """Evaluates when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, app_state: AppState) -> None:
        self.requests: list[tuple[RunFolder, str]] = []
        self.futures: list[Future[Any]] = []
        monkeypatch.setattr(app_state.session, "evaluate", self._evaluate)

    def _evaluate(self, folder: RunFolder, split: str, *_: Any) -> Future[Any]:
        self.requests.append((folder, split))
        self.futures.append(Future())
        return self.futures[-1]

    def answer(self, seed: int = 5, step: int = 40) -> None:
        predicted = predictions(self.requests[-1][1], seed=seed)
        result = SimpleNamespace(
            predictions=predicted, evaluation=predicted.evaluation(), step=step, epoch=2
        )
        self.futures[-1].set_result(result)


async def test_without_a_run_the_notice_names_the_keys(
    monkeypatch: pytest.MonkeyPatch, opened: Opened
) -> None:
    async with opened("evaluate") as (dashboard, pilot):
        assert "No run selected" in notice(dashboard) and "w" in notice(dashboard)
        toasts: list[str] = []
        monkeypatch.setattr(dashboard, "notify", lambda message, *_, **__: toasts.append(message))
        await pilot.press("w")
        await settled(pilot, lambda: "no runs" in "".join(toasts))
        assert isinstance(dashboard.screen, EvaluateScreen)
        # Keys that have nothing to act on are hidden.
        bindings = dashboard.screen.active_bindings
        assert not {"e", "n", "o", "p"} & {key for key, at in bindings.items() if at.enabled}


async def test_the_test_split_comes_first(app_state: AppState, opened: Opened) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with opened("evaluate") as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot)
        evaluation = predictions("test").evaluation()
        text = headline(dashboard)
        assert f"tiny {app_state.selected_run.id}" in text and "SYNTHETIC" in text
        assert "best @ step 80" in text and "test (300)" in text
        assert f"accuracy {100 * evaluation.accuracy:.2f} %" in text and "(95 %)" in text
        for score in ("macro F1", "ECE", f"loss {evaluation.loss:.4f}"):
            assert score in text
        assert dashboard.screen.focused is dashboard.screen.query_one(ConfusionTable)


async def test_p_shows_the_next_split(app_state: AppState, opened: Opened) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with opened("evaluate") as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot)
        await pilot.press("p")
        await settled(pilot, lambda: "predictions of" in notice(dashboard))
        assert "train" in notice(dashboard) and "e" in notice(dashboard)
        await pilot.press("p")
        await wait_for_scores(dashboard, pilot, "val (300)")
        await pilot.press("p")
        await wait_for_scores(dashboard, pilot, "test (300)")


async def test_the_cell_at_the_cursor_is_described_and_opened(
    app_state: AppState, opened: Opened
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with opened("evaluate") as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot)
        table = dashboard.screen.query_one(ConfusionTable)
        confusion = predictions("test").evaluation().confusion
        # The cursor starts at the most frequent confusion.
        assert table.cursor == (6, 0)
        assert f"{GARMENTS[6]} → predicted {GARMENTS[0]}: {confusion[6][0]} of" in str(
            table.border_subtitle
        )
        await pilot.press("up", "right", "right", "down", "down", "left", "k", "j", "h", "l")
        assert table.cursor == (7, 1)
        await pilot.press("end", "pageup")
        assert table.cursor == (0, 9)
        await pilot.press("home", "pagedown", "right")
        assert table.cursor == (9, 1)
        await pilot.press("enter")
        await settled(pilot, lambda: isinstance(dashboard.screen, ErrorsScreen))
        await settled(pilot, lambda: f"{GARMENTS[9]} → {GARMENTS[1]}" in headline(dashboard))


async def test_a_cell_of_the_diagonal_opens_too(app_state: AppState, opened: Opened) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with opened("evaluate") as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot)
        table = dashboard.screen.query_one(ConfusionTable)
        table.cursor = (3, 3)
        assert "Dress, correct" in str(table.border_subtitle)
        await pilot.press("enter")
        await settled(pilot, lambda: "Dress → Dress" in headline(dashboard))


async def test_n_shows_counts_then_shares_of_the_row_then_of_the_column(
    app_state: AppState, opened: Opened
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with opened("evaluate") as (dashboard, pilot):
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


async def test_the_mouse_moves_the_cursor_and_opens(app_state: AppState, opened: Opened) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with opened("evaluate") as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot)
        table = dashboard.screen.query_one(ConfusionTable)
        # Inside the frame: 13 cells of names, one line of headings.
        await pilot.click(table, offset=(1 + 13 + 1, 1 + 1))
        assert table.cursor == (0, 0)
        await pilot.click(table, offset=(2, 3))
        assert table.cursor == (0, 0)
        await pilot.click(table, offset=(1 + 13 + 1, 4), times=2)
        await settled(pilot, lambda: isinstance(dashboard.screen, ErrorsScreen))


async def test_o_sorts_by_the_lowest_score(app_state: AppState, opened: Opened) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with opened("evaluate") as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot)
        table = dashboard.screen.query_one(ClassScores)
        assert list(table._lines)[:2] == ["0", "1"]
        for measure in ("precision", "recall", "f1"):
            await pilot.press("o")
            scores = [getattr(score, measure) for score in predictions("test").evaluation().classes]
            rows = [int(name) for name in table._lines if name]
            assert [scores[row] for row in rows] == sorted(scores)
        await pilot.press("o")
        assert list(table._lines)[:2] == ["0", "1"]
        # The means stay last.
        assert list(table._lines)[-1] == ""


async def test_a_row_of_a_table_opens_its_images(app_state: AppState, opened: Opened) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with opened("evaluate") as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot)
        dashboard.screen.query_one(ClassScores).focus()
        await pilot.press("end", "enter")
        assert isinstance(dashboard.screen, EvaluateScreen)
        await pilot.press("home", "down", "enter")
        await settled(pilot, lambda: "Trouser → any" in headline(dashboard))
        await pilot.press("3")
        dashboard.screen.query_one(ConfusedPairs).focus()
        await pilot.press("enter")
        await settled(pilot, lambda: "Shirt → T-shirt/top" in headline(dashboard))


async def test_w_selects_another_run(app_state: AppState, opened: Opened) -> None:
    first, second = make_run(app_state.runs_dir), make_run(app_state.runs_dir)
    app_state.selected_run = first
    async with opened("evaluate") as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot)
        await pilot.press("w")
        await settled(pilot, lambda: isinstance(dashboard.screen, PickerDialog))
        dashboard.screen.query_one(Input).value = second.id
        await pilot.press("enter")
        await wait_for_scores(dashboard, pilot, second.id)
        assert app_state.selected_run == second


async def test_fit_and_reliability_are_shown(app_state: AppState, opened: Opened) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with opened("evaluate", size=(160, 50)) as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot)
        fit = str(dashboard.screen.query_one("#fit-text", Static).content)
        assert any(word in fit for word in ("good", "fitting", "early"))
        assert "val loss" in fit and "0.4000" in fit
        chart = dashboard.screen.query_one(LineChart)
        assert len(chart._lines[1].xs) > 3
        assert "confidence ≥ 90 %" in str(chart.border_subtitle)


async def test_e_evaluates_and_shows_the_scores(
    app_state: AppState, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir, splits=())
    session = FakeSession(monkeypatch, app_state)
    async with opened("evaluate") as (dashboard, pilot):
        await settled(pilot, lambda: "evaluate best @ step 80" in notice(dashboard))
        assert "the 833 images of val" in notice(dashboard)
        await pilot.press("e", "e")
        assert session.requests == [(app_state.selected_run, "val")]
        await settled(pilot, lambda: "Evaluating tiny" in notice(dashboard))
        session.answer()
        await wait_for_scores(dashboard, pilot, "best @ step 40")
        # It is not written to disk, but kept in memory for Errors.
        assert app_state.evaluations.get(app_state.selected_run, "val") is not None


async def test_a_new_evaluation_is_reported_beside_the_old_scores(
    app_state: AppState, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    session = FakeSession(monkeypatch, app_state)
    async with opened("evaluate") as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot)
        await pilot.press("e")
        await settled(pilot, lambda: "evaluating test now" in headline(dashboard))
        session.futures[-1].set_exception(UserError("best-0003.pt: the checkpoint is gone"))
        await settled(
            pilot, lambda: "✗ best-0003.pt: the checkpoint is gone" in headline(dashboard)
        )
        assert "accuracy" in headline(dashboard)


async def test_a_failed_evaluation_is_reported_in_the_notice(
    app_state: AppState, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir, splits=())
    session = FakeSession(monkeypatch, app_state)
    async with opened("evaluate") as (dashboard, pilot):
        await settled(pilot, lambda: "No predictions" in notice(dashboard))
        await pilot.press("e")
        session.futures[-1].set_exception(RuntimeError("out of\nmemory"))
        await settled(pilot, lambda: "✗" in notice(dashboard))
        assert "RuntimeError: out of memory" in notice(dashboard)
        assert "evaluate best" in notice(dashboard)


async def test_reading_test_of_an_unfinished_run_shows_a_warning(
    app_state: AppState, opened: Opened
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir, epochs=2, ended=False, splits=())
    app_state.evaluations.choose_split(app_state.selected_run, "test")
    async with opened("evaluate") as (dashboard, pilot):
        await settled(pilot, lambda: "read once" in notice(dashboard))
        await pilot.press("p")
        await settled(pilot, lambda: "train" in notice(dashboard))
        assert "read once" not in notice(dashboard)


async def test_without_a_checkpoint_the_notice_says_how_to_save_one(
    app_state: AppState, opened: Opened
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir, epochs=0, ended=False, splits=())
    async with opened("evaluate") as (dashboard, pilot):
        await settled(pilot, lambda: "No checkpoint saved yet" in notice(dashboard))


async def test_a_newer_best_checkpoint_of_a_live_run_is_reported(
    app_state: AppState, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run(app_state.runs_dir, epochs=2, ended=False, splits=())
    session = FakeSession(monkeypatch, app_state)
    app_state.feed = RunFeed.open(folder)
    async with opened("evaluate") as (dashboard, pilot):
        await settled(pilot, lambda: "best @ step 40" in notice(dashboard))
        await pilot.press("e")
        session.answer(step=40)
        await wait_for_scores(dashboard, pilot)
        assert "best checkpoint is now" not in headline(dashboard)
        later = list(events(epochs=3, ended=False))
        with folder.events.open("a") as file:
            for event in later[len(list(events(epochs=2, ended=False))) :]:
                file.write(EVENTS.encode(event) + "\n")
        await settled(pilot, lambda: "the best checkpoint is now at step 60" in headline(dashboard))


async def test_the_end_of_a_run_brings_its_scores(app_state: AppState, opened: Opened) -> None:
    folder = make_run(app_state.runs_dir, epochs=2, ended=False, splits=())
    app_state.feed = RunFeed.open(folder)
    async with opened("evaluate") as (dashboard, pilot):
        await settled(pilot, lambda: "No predictions" in notice(dashboard))
        predictions("val").save(folder.predictions / "val.npz")
        with folder.events.open("a") as file:
            file.write(EVENTS.encode(RunEnded(1.0, 40, 2, STOPPED, 1.0)) + "\n")
        await wait_for_scores(dashboard, pilot, "val (300)")


async def test_damaged_predictions_are_reported_and_can_be_replaced(
    app_state: AppState, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    (app_state.selected_run.predictions / "test.npz").write_bytes(b"PK\x03\x04 nonsense")
    session = FakeSession(monkeypatch, app_state)
    async with opened("evaluate") as (dashboard, pilot):
        await settled(pilot, lambda: "damaged" in notice(dashboard))
        await pilot.press("e")
        session.answer()
        await wait_for_scores(dashboard, pilot)


async def test_a_deleted_folder_is_reported(
    monkeypatch: pytest.MonkeyPatch, app_state: AppState, opened: Opened
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with opened("evaluate") as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot)
        shutil.rmtree(app_state.selected_run.path)
        await pilot.press("p")
        await settled(pilot, lambda: "no longer exists" in notice(dashboard))
        toasts: list[str] = []
        monkeypatch.setattr(dashboard, "notify", lambda message, *_, **__: toasts.append(message))
        await pilot.press("w")
        await settled(pilot, lambda: "no runs" in "".join(toasts))


async def test_a_damaged_event_log_leaves_the_scores(app_state: AppState, opened: Opened) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    app_state.selected_run.events.write_bytes(b"\xff\x00garbage\n{}\n")
    async with opened("evaluate") as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot)
        assert app_state.selected_run.id in headline(dashboard)


async def test_a_half_deleted_folder_shows_what_is_left(
    app_state: AppState, opened: Opened
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    app_state.selected_run.events.unlink()
    app_state.selected_run.config.unlink()
    async with opened("evaluate") as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot, "test (300)")
        shutil.rmtree(app_state.selected_run.predictions)
        await pilot.press("p", "p")
        await settled(pilot, lambda: "No predictions" in notice(dashboard))
        assert app_state.selected_run.id in notice(dashboard)


async def test_at_80_by_24_tab_reaches_every_pane(app_state: AppState, opened: Opened) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with opened("evaluate", size=(80, 24)) as (dashboard, pilot):
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
    app_state: AppState, opened: Opened, size: tuple[int, int]
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with opened("evaluate", size=size) as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot)
        table = dashboard.screen.query_one(ConfusionTable)
        if size[0] >= 80 and size[1] >= 24:
            heads = [name[:5].strip() for name in GARMENTS]

            def all_visible() -> bool:
                drawn = (table.render_line(y).text[1:6].strip() for y in range(table.size.height))
                return [head for head in drawn if head in heads] == heads

            await settled(pilot, all_visible)
        other = (60, 20) if size[0] > 100 else (170, 50)
        await pilot.resize_terminal(*other)
        await settled(pilot, lambda: 0 < table.region.right <= other[0])
        assert table.region.bottom <= other[1]


async def test_hostile_class_names_come_out_as_harmless_text(
    app_state: AppState, opened: Opened
) -> None:
    names = ("[red]\x1b[31mx", "\u202eevil", "衬衫", *GARMENTS[3:])
    usual = predictions("test")
    hostile = Predictions("test", usual.logits, usual.labels, usual.indices, names, "\x1b[2J")
    app_state.selected_run = make_run(app_state.runs_dir)
    hostile.save(app_state.selected_run.predictions / "test.npz")
    async with opened("evaluate") as (dashboard, pilot):
        await wait_for_scores(dashboard, pilot)
        dashboard.screen.query_one(ConfusionTable).cursor = (0, 1)
        drawn = "".join(
            segment.text
            for widget in dashboard.screen.query("*")
            for y in range(widget.size.height)
            for segment in widget.render_line(y)
        )
        assert "\x1b" not in drawn and "\u202e" not in drawn
        assert "[red]" in drawn
