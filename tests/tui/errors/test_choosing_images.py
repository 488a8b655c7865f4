"""Errors: choosing images by classes, filter and index."""

from __future__ import annotations

import threading
from typing import Any, cast

import numpy as np
import pytest
from textual.widgets import Input, Static

from fmnist_tui.analysis.predictions import Misclassified, Predictions
from fmnist_tui.data.dataset import Dataset
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.tui.base.dialogs import PickerDialog, PromptDialog
from fmnist_tui.tui.base.key_bar import KeyBar
from fmnist_tui.tui.screens.errors import loader
from fmnist_tui.tui.screens.errors.loader import SplitImages
from fmnist_tui.tui.screens.errors.screen import ErrorsScreen
from fmnist_tui.tui.state.app_state import AppState, ClassPair
from tests.tui.conftest import OpenDashboard
from tests.tui.errors.support import facts, gallery_of, predictions_of, wait_for_images
from tests.tui.support import headline, images_title, notice, screen_input, wait_until


async def test_a_cell_of_the_matrix_opens_its_images_and_split(
    run: RunFolder, sketches: Dataset, open_dashboard: OpenDashboard
) -> None:
    predicted = predictions_of(sketches, "val")
    count = len(predicted.find_misses(2, 3))
    async with open_dashboard("evaluate") as (dashboard, pilot):
        dashboard.open_errors(ClassPair("val", 2, 3))
        await pilot.pause()
        await wait_for_images(dashboard, pilot, count)
        assert "Pullover → Dress" in images_title(dashboard) and "val" in headline(dashboard)
        await pilot.press("escape")
        await wait_for_images(dashboard, pilot)


async def test_c_picks_a_pair_of_classes(
    run: RunFolder, sketches: Dataset, open_dashboard: OpenDashboard
) -> None:
    async with open_dashboard("errors") as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        before, keys = headline(dashboard), dashboard.screen.query_one(KeyBar)
        assert "e Evaluate now" in keys.render().plain and "Back" not in keys.render().plain
        await pilot.press("c")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, PickerDialog))
        (await screen_input(dashboard, pilot)).value = "pullover dress"
        await pilot.press("enter")
        await wait_for_images(
            dashboard, pilot, len(predictions_of(sketches, "test").find_misses(2, 3))
        )
        assert "Pullover → Dress" in images_title(dashboard)
        assert headline(dashboard) == before, "the images would move"
        assert "Back" in keys.render().plain


async def test_the_text_is_about_the_images_shown_until_others_are_loaded(
    run: RunFolder,
    sketches: Dataset,
    open_dashboard: OpenDashboard,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    may_find, find = threading.Event(), Predictions.find_misses

    def find_slowly(predictions: Predictions, *choice: Any) -> list[Misclassified]:
        assert may_find.wait(60)
        return find(predictions, *choice)

    async with open_dashboard("errors") as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        monkeypatch.setattr(Predictions, "find_misses", find_slowly)
        try:
            await pilot.press("o", "c")
            await wait_until(pilot, lambda: isinstance(dashboard.screen, PickerDialog))
            (await screen_input(dashboard, pilot)).value = "pullover dress"
            await pilot.press("enter")
            await pilot.pause()
            assert "Pullover → Dress" not in images_title(dashboard)
            assert "most confident first" in images_title(dashboard)
        finally:
            may_find.set()
        await wait_until(pilot, lambda: "Pullover → Dress" in images_title(dashboard))
        assert "highest loss first" in images_title(dashboard)


@pytest.mark.parametrize("split", ["test", "train", "val"])
async def test_images_are_never_shown_below_the_name_of_another_split(
    run: RunFolder,
    sketches: Dataset,
    open_dashboard: OpenDashboard,
    monkeypatch: pytest.MonkeyPatch,
    split: str,
) -> None:
    """The images of one split load slowly while p goes through all of them."""
    may_load, load = threading.Event(), loader.load_images
    predictions_of(sketches, "train").save(run.predictions / "train.npz")

    def load_slowly(datasets: Any, folder: RunFolder, name: str, *rest: Any) -> SplitImages:
        assert name != split or may_load.wait(60)
        return load(datasets, folder, name, *rest)

    monkeypatch.setattr(loader, "load_images", load_slowly)
    async with open_dashboard("errors") as (dashboard, pilot):
        screen = cast(ErrorsScreen, dashboard.screen)

        def is_consistent() -> bool:
            shown = screen._loader.loaded
            chosen = screen.selected.loaded
            return shown is None or (chosen is not None and shown.evaluation is chosen)

        try:
            for _ in range(7):
                await wait_until(pilot, lambda: screen.selected.loaded is not None)
                assert is_consistent()
                await pilot.press("p")
                assert is_consistent()
        finally:
            may_load.set()
        await wait_for_images(dashboard, pilot)
        assert f" of {screen.selected.split} " in facts(dashboard)


async def test_images_of_an_older_evaluation_are_not_shown_below_a_new_one(
    run: RunFolder,
    sketches: Dataset,
    open_dashboard: OpenDashboard,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    may_find, find = threading.Event(), Predictions.find_misses

    def find_slowly(predictions: Predictions, *choice: Any) -> list[Misclassified]:
        assert may_find.wait(60)
        return find(predictions, *choice)

    async with open_dashboard("errors") as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        monkeypatch.setattr(Predictions, "find_misses", find_slowly)
        try:
            predictions_of(sketches, "test", seed=1).save(run.predictions / "test.npz")
            dashboard.selection_changed.publish(run)
            await wait_until(pilot, lambda: "Loading images" in notice(dashboard))
        finally:
            may_find.set()
        await wait_for_images(dashboard, pilot)


async def test_slash_opens_a_filter_that_escape_leaves_and_clears(
    run: RunFolder, sketches: Dataset, open_dashboard: OpenDashboard
) -> None:
    predicted = predictions_of(sketches, "test")
    async with open_dashboard("errors") as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("slash", "p")
        await wait_until(pilot, lambda: "“p” matches" in images_title(dashboard))
        dashboard.screen.query_one("#filter", Input).value = "pull>dress"
        await wait_for_images(dashboard, pilot, len(predicted.find_misses(2, 3)))
        assert "“pull>dress” matches" in images_title(dashboard)
        # What is copied repeats what is shown.
        assert isinstance(dashboard.screen, ErrorsScreen)
        copied = dashboard.screen.to_copy()
        pair = ["--true", "Pullover", "--pred", "Dress", "--order=confidence"]
        assert list(copied.command[3:8]) == pair
        assert copied.table is not None and len(copied.table.rows) == len(
            predicted.find_misses(2, 3)
        )
        assert ": Pullover → Dress, " in copied.value
        # Escape leaves the input, then clears it.
        await pilot.press("escape")
        assert dashboard.screen.focused is gallery_of(dashboard)
        await wait_for_images(dashboard, pilot, len(predicted.find_misses(2, 3)))
        await pilot.press("escape")
        await wait_for_images(dashboard, pilot)
        assert not dashboard.screen.query_one("#filter").display


async def test_the_filter_accepts_an_index(
    run: RunFolder, sketches: Dataset, open_dashboard: OpenDashboard
) -> None:
    miss = predictions_of(sketches, "test").find_misses()[7]
    async with open_dashboard("errors") as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("slash")
        dashboard.screen.query_one("#filter", Input).value = str(miss.index)
        await pilot.press("enter")
        await wait_for_images(dashboard, pilot, 1)
        assert f"#{miss.index} of" in facts(dashboard)
        assert dashboard.screen.focused is gallery_of(dashboard)


async def test_a_filter_without_matches_is_reported(
    run: RunFolder, open_dashboard: OpenDashboard
) -> None:
    async with open_dashboard("errors") as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("slash", "x", "z", "enter")
        await wait_for_images(dashboard, pilot, 0)
        gallery = gallery_of(dashboard)
        drawn = " ".join(gallery.render_line(y).text for y in range(gallery.size.height))
        assert "no class matches “xz”" in drawn and "escape" in drawn
        assert facts(dashboard) == ""
        await pilot.press("right", "enter", "g", "escape", "escape")
        await wait_for_images(dashboard, pilot)


async def test_g_goes_to_an_index(
    run: RunFolder, sketches: Dataset, open_dashboard: OpenDashboard
) -> None:
    misses = predictions_of(sketches, "test").find_misses()
    async with open_dashboard("errors") as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("g")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, PromptDialog))
        (await screen_input(dashboard, pilot)).value = f"#{misses[41].index}"
        await pilot.press("enter")
        await wait_until(pilot, lambda: gallery_of(dashboard).cursor == 41)
        await pilot.press("g")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, PromptDialog))
        problem = dashboard.screen.query_one(Static)
        for nonsense in ("999999", "a"):
            (await screen_input(dashboard, pilot)).value = nonsense
            await pilot.press("enter")
            assert f"#{nonsense} is not among these images" in str(problem.content)
        (await screen_input(dashboard, pilot)).value = ""
        await pilot.press("enter")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, ErrorsScreen))
        assert gallery_of(dashboard).cursor == 41


async def test_a_pair_of_classes_that_the_run_does_not_have_is_dropped(
    app_state: AppState, run: RunFolder, sketches: Dataset, open_dashboard: OpenDashboard
) -> None:
    async with open_dashboard("errors") as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        dashboard.open_errors(ClassPair("test", 9, 0))
        dashboard.show("evaluate")
        dashboard.show("errors")
        await wait_until(pilot, lambda: "Ankle boot" in images_title(dashboard))
        few = Predictions(
            "test",
            np.eye(2, dtype=np.float32)[np.ones(20, int)],
            np.zeros(20, np.int64),
            sketches.test.indices[:20],
            ("a", "b"),
            "best",
        )
        few.save(run.predictions / "test.npz")
        dashboard.selection_changed.publish(run)
        await wait_for_images(dashboard, pilot, 20)
