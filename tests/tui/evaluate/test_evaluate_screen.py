"""Evaluate: the figures of the run in hand, every key, and what is said where there are none."""

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
    return str(screen.query_one("#notice", Static).content) if screen.has_class("-nothing") else ""


async def figures(dashboard: Dashboard, pilot: Pilot[int], told: str = "accuracy") -> None:
    """Wait until there are some."""
    await settled(pilot, lambda: told in headline(dashboard))
    await pilot.pause()


class Engine:
    """Stands in for the session: answers as the test wants, when it wants."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, app_state: AppState) -> None:
        self.asked: list[tuple[RunFolder, str]] = []
        self.futures: list[Future[Any]] = []
        monkeypatch.setattr(app_state.session, "evaluate", self._evaluate)

    def _evaluate(self, folder: RunFolder, split: str, *_: Any) -> Future[Any]:
        self.asked.append((folder, split))
        self.futures.append(Future())
        return self.futures[-1]

    def answer(self, seed: int = 5, step: int = 40) -> None:
        found = predictions(self.asked[-1][1], seed=seed)
        judged = SimpleNamespace(
            predictions=found, evaluation=found.evaluation(), step=step, epoch=2
        )
        self.futures[-1].set_result(judged)


async def test_without_a_run_it_says_which_keys_help(
    monkeypatch: pytest.MonkeyPatch, opened: Opened
) -> None:
    async with opened("evaluate") as (dashboard, pilot):
        assert "No run is in hand" in notice(dashboard) and "w" in notice(dashboard)
        said: list[str] = []
        monkeypatch.setattr(dashboard, "notify", lambda message, *_, **__: said.append(message))
        await pilot.press("w")
        await settled(pilot, lambda: "no runs" in "".join(said))
        assert isinstance(dashboard.screen, EvaluateScreen)
        # Keys that have nothing to work on are not offered.
        offered = dashboard.screen.active_bindings
        assert not {"e", "n", "o", "p"} & {key for key, at in offered.items() if at.enabled}


async def test_test_comes_first_with_all_its_figures(app_state: AppState, opened: Opened) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with opened("evaluate") as (dashboard, pilot):
        await figures(dashboard, pilot)
        evaluation = predictions("test").evaluation()
        told = headline(dashboard)
        assert f"tiny {app_state.selected_run.id}" in told and "SYNTHETIC" in told
        assert "best @ step 80" in told and "test (300)" in told
        assert f"accuracy {100 * evaluation.accuracy:.2f} %" in told and "(95 %)" in told
        for figure in ("macro F1", "ECE", f"loss {evaluation.loss:.4f}"):
            assert figure in told
        assert dashboard.screen.focused is dashboard.screen.query_one(ConfusionTable)


async def test_p_goes_through_the_splits(app_state: AppState, opened: Opened) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with opened("evaluate") as (dashboard, pilot):
        await figures(dashboard, pilot)
        await pilot.press("p")
        await settled(pilot, lambda: "predictions of" in notice(dashboard))
        assert "train" in notice(dashboard) and "e" in notice(dashboard)
        await pilot.press("p")
        await figures(dashboard, pilot, "val (300)")
        await pilot.press("p")
        await figures(dashboard, pilot, "test (300)")


async def test_the_cell_under_the_cursor_is_told_and_opened(
    app_state: AppState, opened: Opened
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with opened("evaluate") as (dashboard, pilot):
        await figures(dashboard, pilot)
        table = dashboard.screen.query_one(ConfusionTable)
        confusion = predictions("test").evaluation().confusion
        # It begins at what is most often mixed up.
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


async def test_the_diagonal_is_opened_too(app_state: AppState, opened: Opened) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with opened("evaluate") as (dashboard, pilot):
        await figures(dashboard, pilot)
        table = dashboard.screen.query_one(ConfusionTable)
        table.cursor = (3, 3)
        assert "Dress, right" in str(table.border_subtitle)
        await pilot.press("enter")
        await settled(pilot, lambda: "Dress → Dress" in headline(dashboard))


async def test_n_shows_counts_then_parts_of_the_row_then_of_the_column(
    app_state: AppState, opened: Opened
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with opened("evaluate") as (dashboard, pilot):
        await figures(dashboard, pilot)
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
        assert "so predicted" in str(table.border_subtitle)
        await pilot.press("n")
        assert f" {row[0]} " in shirts()


async def test_the_mouse_moves_the_cursor_and_opens(app_state: AppState, opened: Opened) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with opened("evaluate") as (dashboard, pilot):
        await figures(dashboard, pilot)
        table = dashboard.screen.query_one(ConfusionTable)
        # Beyond the frame: 13 cells of head, one line of heads.
        await pilot.click(table, offset=(1 + 13 + 1, 1 + 1))
        assert table.cursor == (0, 0)
        await pilot.click(table, offset=(2, 3))
        assert table.cursor == (0, 0)
        await pilot.click(table, offset=(1 + 13 + 1, 4), times=2)
        await settled(pilot, lambda: isinstance(dashboard.screen, ErrorsScreen))


async def test_o_puts_the_worst_class_first(app_state: AppState, opened: Opened) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with opened("evaluate") as (dashboard, pilot):
        await figures(dashboard, pilot)
        table = dashboard.screen.query_one(ClassScores)
        assert list(table._lines)[:2] == ["0", "1"]
        for measure in ("precision", "recall", "f1"):
            await pilot.press("o")
            scores = [getattr(score, measure) for score in predictions("test").evaluation().classes]
            rows = [int(name) for name in table._lines if name]
            assert [scores[row] for row in rows] == sorted(scores)
        await pilot.press("o")
        assert list(table._lines)[:2] == ["0", "1"]
        # The means stay below the classes.
        assert list(table._lines)[-1] == ""


async def test_a_row_of_a_table_opens_its_images_and_the_means_nothing(
    app_state: AppState, opened: Opened
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with opened("evaluate") as (dashboard, pilot):
        await figures(dashboard, pilot)
        dashboard.screen.query_one(ClassScores).focus()
        await pilot.press("end", "enter")
        assert isinstance(dashboard.screen, EvaluateScreen)
        await pilot.press("home", "down", "enter")
        await settled(pilot, lambda: "Trouser → any" in headline(dashboard))
        await pilot.press("3")
        dashboard.screen.query_one(ConfusedPairs).focus()
        await pilot.press("enter")
        await settled(pilot, lambda: "Shirt → T-shirt/top" in headline(dashboard))


async def test_w_takes_another_run_in_hand(app_state: AppState, opened: Opened) -> None:
    first, second = make_run(app_state.runs_dir), make_run(app_state.runs_dir)
    app_state.selected_run = first
    async with opened("evaluate") as (dashboard, pilot):
        await figures(dashboard, pilot)
        await pilot.press("w")
        await settled(pilot, lambda: isinstance(dashboard.screen, PickerDialog))
        dashboard.screen.query_one(Input).value = second.id
        await pilot.press("enter")
        await figures(dashboard, pilot, second.id)
        assert app_state.selected_run == second


async def test_the_fit_is_judged_and_the_curve_drawn(app_state: AppState, opened: Opened) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with opened("evaluate", size=(160, 50)) as (dashboard, pilot):
        await figures(dashboard, pilot)
        told = str(dashboard.screen.query_one("#judgement", Static).content)
        assert any(word in told for word in ("good", "fitting", "early"))
        assert "val loss" in told and "0.4000" in told
        chart = dashboard.screen.query_one(LineChart)
        assert len(chart._lines[1].xs) > 3
        assert "sure" in str(chart.border_subtitle)


async def test_e_evaluates_now_and_shows_what_comes(
    app_state: AppState, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir, splits=())
    engine = Engine(monkeypatch, app_state)
    async with opened("evaluate") as (dashboard, pilot):
        await settled(pilot, lambda: "evaluate best @ step 80" in notice(dashboard))
        assert "the 833 images of val" in notice(dashboard)
        await pilot.press("e", "e")
        assert engine.asked == [(app_state.selected_run, "val")]
        await settled(pilot, lambda: "Evaluating tiny" in notice(dashboard))
        engine.answer()
        await figures(dashboard, pilot, "best @ step 40")
        # Nothing of it is on the disk: it is kept for Errors all the same.
        assert app_state.evaluations.at_hand(app_state.selected_run, "val") is not None


async def test_what_evaluates_is_told_while_figures_are_shown(
    app_state: AppState, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    engine = Engine(monkeypatch, app_state)
    async with opened("evaluate") as (dashboard, pilot):
        await figures(dashboard, pilot)
        await pilot.press("e")
        await settled(pilot, lambda: "evaluating test now" in headline(dashboard))
        engine.futures[-1].set_exception(UserError("best-0003.pt: the checkpoint is gone"))
        await settled(
            pilot, lambda: "✗ best-0003.pt: the checkpoint is gone" in headline(dashboard)
        )
        assert "accuracy" in headline(dashboard)


async def test_a_checkpoint_that_is_gone_is_said_in_place(
    app_state: AppState, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir, splits=())
    engine = Engine(monkeypatch, app_state)
    async with opened("evaluate") as (dashboard, pilot):
        await settled(pilot, lambda: "no predictions" in notice(dashboard))
        await pilot.press("e")
        engine.futures[-1].set_exception(RuntimeError("out of\nmemory"))
        await settled(pilot, lambda: "✗" in notice(dashboard))
        assert "RuntimeError: out of memory" in notice(dashboard)
        assert "evaluate best" in notice(dashboard)


async def test_reading_test_of_an_unfinished_run_is_warned_of(
    app_state: AppState, opened: Opened
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir, epochs=2, ended=False, splits=())
    app_state.evaluations.choose(app_state.selected_run, "test")
    async with opened("evaluate") as (dashboard, pilot):
        await settled(pilot, lambda: "read once" in notice(dashboard))
        await pilot.press("p")
        await settled(pilot, lambda: "train" in notice(dashboard))
        assert "read once" not in notice(dashboard)


async def test_without_a_checkpoint_it_says_how_to_come_by_one(
    app_state: AppState, opened: Opened
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir, epochs=0, ended=False, splits=())
    async with opened("evaluate") as (dashboard, pilot):
        await settled(pilot, lambda: "no checkpoint yet" in notice(dashboard))


async def test_a_live_run_is_told_to_have_a_newer_best(
    app_state: AppState, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_run(app_state.runs_dir, epochs=2, ended=False, splits=())
    engine = Engine(monkeypatch, app_state)
    app_state.feed = RunFeed.open(folder)
    async with opened("evaluate") as (dashboard, pilot):
        await settled(pilot, lambda: "best @ step 40" in notice(dashboard))
        await pilot.press("e")
        engine.answer(step=40)
        await figures(dashboard, pilot)
        assert "newer best" not in headline(dashboard)
        told = list(events(epochs=3, ended=False))
        with folder.events.open("a") as file:
            for event in told[len(list(events(epochs=2, ended=False))) :]:
                file.write(EVENTS.encode(event) + "\n")
        await settled(pilot, lambda: "a newer best is of step 60" in headline(dashboard))


async def test_the_end_of_a_run_brings_its_figures(app_state: AppState, opened: Opened) -> None:
    folder = make_run(app_state.runs_dir, epochs=2, ended=False, splits=())
    app_state.feed = RunFeed.open(folder)
    async with opened("evaluate") as (dashboard, pilot):
        await settled(pilot, lambda: "no predictions" in notice(dashboard))
        predictions("val").save(folder.predictions / "val.npz")
        with folder.events.open("a") as file:
            file.write(EVENTS.encode(RunEnded(1.0, 40, 2, STOPPED, 1.0)) + "\n")
        await figures(dashboard, pilot, "val (300)")


async def test_damaged_predictions_are_said_in_place_and_can_be_made_anew(
    app_state: AppState, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    (app_state.selected_run.predictions / "test.npz").write_bytes(b"PK\x03\x04 nonsense")
    engine = Engine(monkeypatch, app_state)
    async with opened("evaluate") as (dashboard, pilot):
        await settled(pilot, lambda: "damaged" in notice(dashboard))
        await pilot.press("e")
        engine.answer()
        await figures(dashboard, pilot)


async def test_a_folder_that_vanishes_is_said_in_place(
    monkeypatch: pytest.MonkeyPatch, app_state: AppState, opened: Opened
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with opened("evaluate") as (dashboard, pilot):
        await figures(dashboard, pilot)
        shutil.rmtree(app_state.selected_run.path)
        await pilot.press("p")
        await settled(pilot, lambda: "is gone" in notice(dashboard))
        said: list[str] = []
        monkeypatch.setattr(dashboard, "notify", lambda message, *_, **__: said.append(message))
        await pilot.press("w")
        await settled(pilot, lambda: "no runs" in "".join(said))


async def test_a_record_of_garbage_leaves_the_figures(app_state: AppState, opened: Opened) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    app_state.selected_run.events.write_bytes(b"\xff\x00garbage\n{}\n")
    async with opened("evaluate") as (dashboard, pilot):
        await figures(dashboard, pilot)
        assert app_state.selected_run.id in headline(dashboard)


async def test_of_a_folder_that_is_half_deleted_what_is_left_is_shown(
    app_state: AppState, opened: Opened
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    app_state.selected_run.events.unlink()
    app_state.selected_run.config.unlink()
    async with opened("evaluate") as (dashboard, pilot):
        await figures(dashboard, pilot, "test (300)")
        shutil.rmtree(app_state.selected_run.predictions)
        await pilot.press("p", "p")
        await settled(pilot, lambda: "no predictions" in notice(dashboard))
        assert app_state.selected_run.id in notice(dashboard)


async def test_at_80_by_24_tab_leads_to_every_pane(app_state: AppState, opened: Opened) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with opened("evaluate", size=(80, 24)) as (dashboard, pilot):
        await figures(dashboard, pilot)
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
async def test_every_size_shows_ten_classes_whole_or_scrolls(
    app_state: AppState, opened: Opened, size: tuple[int, int]
) -> None:
    app_state.selected_run = make_run(app_state.runs_dir)
    async with opened("evaluate", size=size) as (dashboard, pilot):
        await figures(dashboard, pilot)
        table = dashboard.screen.query_one(ConfusionTable)
        if size[0] >= 80 and size[1] >= 24:
            heads = [name[:5].strip() for name in GARMENTS]

            def all_in_view() -> bool:
                drawn = (table.render_line(y).text[1:6].strip() for y in range(table.size.height))
                return [head for head in drawn if head in heads] == heads

            await settled(pilot, all_in_view)
        other = (60, 20) if size[0] > 100 else (170, 50)
        await pilot.resize_terminal(*other)
        await settled(pilot, lambda: 0 < table.region.right <= other[0])
        assert table.region.bottom <= other[1]


async def test_names_from_outside_are_shown_as_they_are(
    app_state: AppState, opened: Opened
) -> None:
    names = ("[red]\x1b[31mx", "\u202eevil", "衬衫", *GARMENTS[3:])
    found = predictions("test")
    hostile = Predictions("test", found.logits, found.labels, found.indices, names, "\x1b[2J")
    app_state.selected_run = make_run(app_state.runs_dir)
    hostile.save(app_state.selected_run.predictions / "test.npz")
    async with opened("evaluate") as (dashboard, pilot):
        await figures(dashboard, pilot)
        dashboard.screen.query_one(ConfusionTable).cursor = (0, 1)
        drawn = "".join(
            segment.text
            for widget in dashboard.screen.query("*")
            for y in range(widget.size.height)
            for segment in widget.render_line(y)
        )
        assert "\x1b" not in drawn and "\u202e" not in drawn
        assert "[red]" in drawn
