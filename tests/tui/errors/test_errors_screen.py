"""Errors: which images are shown, in which order, and how."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import Future
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from textual.widgets import Input

from fmnist_tui.analysis.metrics import softmax
from fmnist_tui.analysis.predictions import Predictions
from fmnist_tui.config import recipes
from fmnist_tui.config.dataset_catalog import GARMENTS
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.data.dataset import Dataset
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.tui.base.dialogs import PickerDialog
from fmnist_tui.tui.screens.errors import loader
from fmnist_tui.tui.screens.errors.detail import ImageDetail
from fmnist_tui.tui.screens.errors.loader import SplitImages
from fmnist_tui.tui.screens.errors.screen import ErrorsScreen
from fmnist_tui.tui.state.app_state import AppState, ClassPair
from fmnist_tui.tui.widgets.image_view import ImageView
from fmnist_tui.tui.widgets.probability_bars import ProbabilityBars
from tests.tui.conftest import OpenDashboard
from tests.tui.errors.support import (
    COUNT,
    facts,
    gallery_of,
    predictions_of,
    wait_for_images,
)
from tests.tui.support import (
    CONFIG,
    drawn_text,
    headline,
    images_title,
    make_run,
    notice,
    predictions,
    screen_input,
    wait_until,
)


async def test_without_a_run_or_predictions_the_notice_names_the_keys(
    app_state: AppState, open_dashboard: OpenDashboard
) -> None:
    async with open_dashboard("errors") as (dashboard, pilot):
        assert "No run selected" in notice(dashboard)
        app_state.selected_run = make_run(app_state.runs_dir, splits=())
        dashboard.selection_changed.publish(app_state.selected_run)
        await wait_until(pilot, lambda: "No predictions" in notice(dashboard))
        assert "e  evaluate best" in notice(dashboard)


async def test_errors_are_shown_most_confident_first(
    run: RunFolder, sketches: Dataset, open_dashboard: OpenDashboard
) -> None:
    async with open_dashboard("errors") as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        assert f"{COUNT // 5} of {COUNT} wrong" in headline(dashboard)
        assert "most confident first" in images_title(dashboard) and "test" in headline(dashboard)
        assert dashboard.screen.focused is gallery_of(dashboard)
        predicted = predictions_of(sketches, "test")
        first = predicted.find_misses()[0]
        shares = softmax(predicted.logits)[first.row]
        assert f"#{first.index} of test" in facts(dashboard)
        assert f"confidence {100 * shares.max():.1f} %" in facts(dashboard)
        assert f"loss {-np.log(shares[first.true]):.2f}" in facts(dashboard)
        # The image is the one of that index, and the true class is marked.
        position = int(np.flatnonzero(sketches.test.indices == first.index)[0])
        shown = dashboard.screen.query_one(ImageView)._image
        assert shown is not None and np.array_equal(shown, sketches.test.images[position])
        bars = dashboard.screen.query_one(ProbabilityBars)
        assert bars._true == GARMENTS[first.true]
        assert bars._ranked[0][0] == GARMENTS[first.predicted]


async def test_images_that_load_late_are_not_shown_for_the_run_selected_meanwhile(
    app_state: AppState,
    run: RunFolder,
    sketches: Dataset,
    open_dashboard: OpenDashboard,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked, loaded, delivered = threading.Event(), threading.Event(), threading.Event()

    def load_slowly(*_: Any) -> SplitImages:
        asked.set()
        assert loaded.wait(60)
        return SplitImages(sketches.test)

    async def deliver(screen: ErrorsScreen, awaited: Any, *callbacks: Any) -> None:
        await original(screen, awaited, *callbacks)
        if loaded.is_set():
            delivered.set()

    original = ErrorsScreen._deliver
    monkeypatch.setattr(ErrorsScreen, "_deliver", deliver)
    monkeypatch.setattr(loader, "load_images", load_slowly)
    async with open_dashboard("errors") as (dashboard, pilot):
        try:
            await wait_until(pilot, asked.is_set)
            dashboard.select_run(make_run(app_state.runs_dir, splits=()))
            await wait_until(pilot, lambda: "No predictions" in notice(dashboard))
        finally:
            loaded.set()
        await wait_until(pilot, delivered.is_set)
        assert "No predictions" in notice(dashboard)
        assert gallery_of(dashboard).count == 0


async def test_moving_in_the_gallery_changes_the_detail(
    run: RunFolder, sketches: Dataset, open_dashboard: OpenDashboard
) -> None:
    misses = predictions_of(sketches, "test").find_misses()
    async with open_dashboard("errors") as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("right", "right", "left")
        await wait_until(pilot, lambda: f"#{misses[1].index} of" in facts(dashboard))
        assert "2 of 60" in facts(dashboard)
        await pilot.press("end")
        await wait_until(pilot, lambda: f"#{misses[-1].index} of" in facts(dashboard))


async def test_o_changes_the_order_and_saves_it(
    app_state: AppState, run: RunFolder, sketches: Dataset, open_dashboard: OpenDashboard
) -> None:
    predicted = predictions_of(sketches, "test")
    async with open_dashboard("errors") as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("o")
        await wait_until(pilot, lambda: "highest loss first" in images_title(dashboard))
        await wait_until(
            pilot, lambda: f"#{predicted.find_misses(order='loss')[0].index} of" in facts(dashboard)
        )
        await pilot.press("o")
        await wait_until(
            pilot,
            lambda: f"#{predicted.find_misses(order='index')[0].index} of" in facts(dashboard),
        )
        assert app_state.settings.get("errors.order") == "index"


async def test_correct_predictions_are_marked_as_correct(
    run: RunFolder, sketches: Dataset, open_dashboard: OpenDashboard
) -> None:
    count = len(predictions_of(sketches, "test").find_misses(1, 1))
    async with open_dashboard("errors") as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        dashboard.open_errors(ClassPair("test", 1, 1))
        dashboard.show("evaluate")
        dashboard.show("errors")
        await wait_for_images(dashboard, pilot, count)
        assert facts(dashboard).startswith("✓ Trouser")


async def test_z_and_r_change_how_images_are_drawn(
    app_state: AppState, run: RunFolder, open_dashboard: OpenDashboard
) -> None:
    async with open_dashboard("errors") as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        gallery = gallery_of(dashboard)
        zooms = []
        for _ in range(3):
            zooms.append(gallery.zoom)
            await pilot.press("z")
        assert sorted(zooms) == ["full", "small", "tiny"]
        assert app_state.settings.get("errors.zoom") == zooms[0] and not app_state.settings.get(
            "data.zoom"
        )
        await pilot.press("r")
        assert gallery.renderer == dashboard.screen.query_one(ImageView).renderer == "braille"
        assert app_state.settings.get("renderer") == "braille"


async def test_p_w_and_e_choose_split_and_run_and_evaluate(
    app_state: AppState,
    run: RunFolder,
    open_dashboard: OpenDashboard,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    future: Future[Any] = Future()
    monkeypatch.setattr(app_state.session, "evaluate", lambda *_: future)
    other = make_run(app_state.runs_dir, splits=())
    async with open_dashboard("errors") as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("p", "p")
        await wait_until(pilot, lambda: "val" in headline(dashboard) and not notice(dashboard))
        await pilot.press("w")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, PickerDialog))
        (await screen_input(dashboard, pilot)).value = other.id
        await pilot.press("enter")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, ErrorsScreen))
        await wait_until(pilot, lambda: "No predictions" in notice(dashboard))
        await pilot.press("e")
        await wait_until(pilot, lambda: "Evaluating" in notice(dashboard))
        predicted = replace(predictions("val"), step=60, epoch=3)
        result = SimpleNamespace(predictions=predicted, evaluation=predicted.evaluation(), notes=())
        future.set_result(result)
        await wait_until(pilot, lambda: "best @ step 60" in headline(dashboard))
        # These predictions are of other images than the dataset has.
        await wait_until(
            pilot, lambda: "images changed since this evaluation" in headline(dashboard)
        )


async def test_at_80_columns_the_selected_image_has_a_view_of_its_own(
    run: RunFolder, sketches: Dataset, open_dashboard: OpenDashboard
) -> None:
    misses = predictions_of(sketches, "test").find_misses()
    async with open_dashboard("errors", size=(80, 24)) as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        detail = dashboard.screen.query_one(ImageDetail)
        assert not detail.display
        await pilot.press("enter")
        await wait_until(pilot, lambda: dashboard.screen.focused is detail)
        await wait_until(pilot, lambda: detail.region.width == 80)
        assert dashboard.screen.query_one(ImageView).size.height >= 14
        await wait_until(
            pilot, lambda: dashboard.screen.query_one(ProbabilityBars).size.height == 10
        )
        await pilot.press("right", "right", "h")
        await wait_until(pilot, lambda: f"#{misses[1].index} of" in facts(dashboard))
        await pilot.press("pagedown")
        await wait_until(pilot, lambda: f"#{misses[11].index} of" in facts(dashboard))
        await pilot.press("pageup", "l", "l", "left", "pagedown")
        await wait_until(pilot, lambda: f"#{misses[12].index} of" in facts(dashboard))
        await pilot.press("escape")
        await wait_until(pilot, lambda: dashboard.screen.focused is gallery_of(dashboard))
        assert gallery_of(dashboard).cursor == 12
        # The filter works from the single view as well.
        await pilot.press("enter", "slash")
        await wait_until(pilot, lambda: isinstance(dashboard.screen.focused, Input))


@pytest.mark.parametrize("size", [(50, 14), (80, 24), (200, 60)])
async def test_every_size_shows_images(
    run: RunFolder, open_dashboard: OpenDashboard, size: tuple[int, int]
) -> None:
    async with open_dashboard("errors", size=size) as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        assert gallery_of(dashboard).region.bottom <= size[1] - 1
        await pilot.press("enter")
        await wait_until(pilot, lambda: dashboard.screen.has_class("-alone"))
        await pilot.resize_terminal(180, 50)
        await pilot.press("escape")
        await wait_until(pilot, lambda: dashboard.screen.query_one(ImageDetail).display)
        assert gallery_of(dashboard).display


async def test_missing_images_are_reported_and_shown_once_they_are_there(
    app_state: AppState, run: RunFolder, open_dashboard: OpenDashboard
) -> None:
    run.config.write_text(recipes.to_toml(RunConfig(dataset="fashion")))
    async with open_dashboard("errors") as (dashboard, pilot):
        await wait_until(pilot, lambda: "1 (Data) downloads it" in notice(dashboard))
        run.config.unlink()
        await pilot.press("5", "4")
        await wait_until(pilot, lambda: "config.toml" in notice(dashboard))
        # They are shown as soon as they are available.
        run.config.write_text(recipes.to_toml(CONFIG))
        await pilot.press("5", "4")
        await wait_for_images(dashboard, pilot)


async def test_damaged_predictions_and_a_deleted_folder_are_reported(
    run: RunFolder, open_dashboard: OpenDashboard
) -> None:
    (run.predictions / "val.npz").write_bytes(b"not an archive")
    async with open_dashboard("errors") as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("p", "p")
        await wait_until(pilot, lambda: "damaged" in notice(dashboard))
        shutil.rmtree(run.path)
        await pilot.press("p")
        await wait_until(pilot, lambda: "no longer exists" in notice(dashboard))


async def test_a_perfect_run_has_no_errors(
    app_state: AppState, run: RunFolder, sketches: Dataset, open_dashboard: OpenDashboard
) -> None:
    part = sketches.test
    logits = 9 * np.eye(10, dtype=np.float32)[part.labels]
    perfect = Predictions("test", logits, part.labels, part.indices, GARMENTS, "best")
    perfect.save(run.predictions / "test.npz")
    async with open_dashboard("errors") as (dashboard, pilot):
        await wait_for_images(dashboard, pilot, 0)
        gallery = gallery_of(dashboard)
        drawn = " ".join(gallery.render_line(y).text for y in range(gallery.size.height))
        assert "no errors on this split" in drawn


async def test_control_characters_and_markup_in_class_names_are_escaped(
    app_state: AppState, run: RunFolder, sketches: Dataset, open_dashboard: OpenDashboard
) -> None:
    predicted = predictions_of(sketches, "test")
    names = ("[red]\x1b[31mx", "\u202eevil", *GARMENTS[2:])
    Predictions("test", predicted.logits, predicted.labels, predicted.indices, names, "best").save(
        run.predictions / "test.npz"
    )
    async with open_dashboard("errors") as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("slash")
        dashboard.screen.query_one("#filter", Input).value = "[red"
        await wait_until(pilot, lambda: "matches" in images_title(dashboard))
        drawn = drawn_text(dashboard.screen)
        assert "\x1b" not in drawn and "\u202e" not in drawn
        assert "[red" in drawn
        assert gallery_of(dashboard).count > 0


async def test_a_hidden_screen_waits_until_it_is_shown(
    run: RunFolder, open_dashboard: OpenDashboard
) -> None:
    async with open_dashboard("evaluate") as (dashboard, pilot):
        await wait_until(pilot, lambda: "accuracy" in headline(dashboard))
        dashboard.show("errors")
        await pilot.pause()
        await wait_for_images(dashboard, pilot)
        dashboard.show("evaluate")
        await pilot.pause()
        errors = next(s for s in dashboard._screen_stacks["errors"] if isinstance(s, ErrorsScreen))
        before = errors.selected.folder
        other = make_run(dashboard.app_state.runs_dir)
        dashboard.select_run(other)
        await wait_until(pilot, lambda: other.id in headline(dashboard))
        assert errors.selected.folder == before
        dashboard.show("errors")
        await wait_until(pilot, lambda: errors.selected.folder == other)
