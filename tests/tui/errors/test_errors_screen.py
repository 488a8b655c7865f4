"""Errors: which images are shown, in which order, and every key."""

from __future__ import annotations

import re
import shutil
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from fmnist_tui.analysis.metrics import softmax
from fmnist_tui.analysis.predictions import Predictions
from fmnist_tui.config import recipes
from fmnist_tui.config.dataset_catalog import DATASETS, GARMENTS
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.data.dataset import Dataset, Split
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.base.dialogs import PickerDialog, PromptDialog
from fmnist_tui.tui.screens.errors.detail import ImageDetail
from fmnist_tui.tui.screens.errors.screen import ErrorsScreen
from fmnist_tui.tui.state.app_state import AppState, ClassPair
from fmnist_tui.tui.state.dataset_cache import DatasetSpec
from fmnist_tui.tui.widgets.gallery import Gallery
from fmnist_tui.tui.widgets.picture import PictureView
from fmnist_tui.tui.widgets.probability_bars import ProbabilityBars
from fmnist_tui.tui.widgets.summary_line import SummaryLine
from tests.tui.conftest import Opened
from tests.tui.scripted import CONFIG, make_run, predictions, settled

COUNT = 300


@pytest.fixture(scope="module")
def sketches() -> Dataset:
    """Noise in place of the images of CONFIG's dataset; indices are not positions."""
    random = np.random.default_rng(0)

    def split(name: str, first: int) -> Split:
        images = random.integers(0, 256, (COUNT + 50, 28, 28, 1), dtype=np.uint8)
        labels = random.integers(0, 10, len(images))
        return Split(name, images, labels, first + 3 * random.permutation(len(images)))

    splits = split("train", 0), split("val", 1), split("test", 2)
    return Dataset(DATASETS["sketches"], *splits, source="noise")


def predictions_of(dataset: Dataset, split: str, seed: int = 0) -> Predictions:
    """Predictions of the first images of a split; every fifth is wrong."""
    part = dataset.split(split)
    labels, random = part.labels[:COUNT], np.random.default_rng(seed)
    logits = random.normal(0, 0.5, (COUNT, 10))
    predicted = np.where(np.arange(COUNT) % 5 == 0, (labels + 1) % 10, labels)
    logits[np.arange(COUNT), predicted] += 4 + 2 * random.random(COUNT)
    return Predictions(
        split, logits.astype(np.float32), labels, part.indices[:COUNT], GARMENTS, "best"
    )


@pytest.fixture
def run(app_state: AppState, sketches: Dataset) -> RunFolder:
    """A selected run whose predicted images are available."""
    folder = make_run(app_state.runs_dir)
    for split in ("val", "test"):
        predictions_of(sketches, split).save(folder.predictions / f"{split}.npz")
    app_state.datasets.put(DatasetSpec.of(CONFIG), sketches)
    app_state.selected_run = folder
    return folder


def gallery_of(dashboard: Dashboard) -> Gallery:
    return dashboard.screen.query_one(Gallery)


def headline(dashboard: Dashboard) -> str:
    return dashboard.screen.query_one(SummaryLine).plain


def notice(dashboard: Dashboard) -> str:
    shown = dashboard.screen.has_class("-no-results")
    return str(dashboard.screen.query_one("#notice", Static).content) if shown else ""


def facts(dashboard: Dashboard) -> str:
    return str(dashboard.screen.query_one("#facts", Static).content)


async def wait_for_images(dashboard: Dashboard, pilot: Pilot[int], count: int = COUNT // 5) -> None:
    """Wait until so many are shown, and the one at the cursor in detail."""

    def shown() -> bool:
        if not isinstance(dashboard.screen, ErrorsScreen) or notice(dashboard):
            return False
        position = re.search(rf"   \d+ of {count}\b", facts(dashboard)) or not count
        return bool(position) and gallery_of(dashboard).count == count

    await settled(pilot, shown)


async def test_without_a_run_or_predictions_the_notice_names_the_keys(
    app_state: AppState, opened: Opened
) -> None:
    async with opened("errors") as (dashboard, pilot):
        assert "No run selected" in notice(dashboard)
        app_state.selected_run = make_run(app_state.runs_dir, splits=())
        dashboard.selection_changed.publish(app_state.selected_run)
        await settled(pilot, lambda: "No predictions" in notice(dashboard))
        assert "e  evaluate best" in notice(dashboard)


async def test_errors_are_shown_most_confident_first(
    run: RunFolder, sketches: Dataset, opened: Opened
) -> None:
    async with opened("errors") as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        assert f"{COUNT // 5} of {COUNT} wrong" in headline(dashboard)
        assert "most confident first" in headline(dashboard) and "test" in headline(dashboard)
        assert dashboard.screen.focused is gallery_of(dashboard)
        predicted = predictions_of(sketches, "test")
        first = predicted.find_misses()[0]
        shares = softmax(predicted.logits)[first.row]
        assert f"#{first.index} of test" in facts(dashboard)
        assert f"confidence {100 * shares.max():.1f} %" in facts(dashboard)
        assert f"loss {-np.log(shares[first.true]):.2f}" in facts(dashboard)
        # The image is the one of that index, and the true class is marked.
        position = int(np.flatnonzero(sketches.test.indices == first.index)[0])
        shown = dashboard.screen.query_one(PictureView)._image
        assert shown is not None and np.array_equal(shown, sketches.test.images[position])
        bars = dashboard.screen.query_one(ProbabilityBars)
        assert bars._true == GARMENTS[first.true]
        assert bars._ranked[0][0] == GARMENTS[first.predicted]


async def test_moving_in_the_gallery_changes_the_detail(
    run: RunFolder, sketches: Dataset, opened: Opened
) -> None:
    misses = predictions_of(sketches, "test").find_misses()
    async with opened("errors") as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("right", "right", "left")
        await settled(pilot, lambda: f"#{misses[1].index} of" in facts(dashboard))
        assert "2 of 60" in facts(dashboard)
        await pilot.press("end")
        await settled(pilot, lambda: f"#{misses[-1].index} of" in facts(dashboard))


async def test_o_changes_the_order_and_keeps_it_in_the_settings(
    app_state: AppState, run: RunFolder, sketches: Dataset, opened: Opened
) -> None:
    predicted = predictions_of(sketches, "test")
    async with opened("errors") as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("o")
        await settled(pilot, lambda: "highest loss first" in headline(dashboard))
        await settled(
            pilot, lambda: f"#{predicted.find_misses(order='loss')[0].index} of" in facts(dashboard)
        )
        await pilot.press("o")
        await settled(
            pilot,
            lambda: f"#{predicted.find_misses(order='index')[0].index} of" in facts(dashboard),
        )
        assert app_state.settings.get("errors.order") == "index"


async def test_a_cell_of_the_matrix_opens_its_images_and_split(
    run: RunFolder, sketches: Dataset, opened: Opened
) -> None:
    predicted = predictions_of(sketches, "val")
    count = len(predicted.find_misses(2, 3))
    async with opened("evaluate") as (dashboard, pilot):
        dashboard.open_errors(ClassPair("val", 2, 3))
        await pilot.pause()
        await wait_for_images(dashboard, pilot, count)
        assert "Pullover → Dress" in headline(dashboard) and "val" in headline(dashboard)
        await pilot.press("escape")
        await wait_for_images(dashboard, pilot)


async def test_correct_predictions_are_marked_as_correct(
    run: RunFolder, sketches: Dataset, opened: Opened
) -> None:
    count = len(predictions_of(sketches, "test").find_misses(1, 1))
    async with opened("errors") as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        dashboard.open_errors(ClassPair("test", 1, 1))
        dashboard.show("evaluate")
        dashboard.show("errors")
        await wait_for_images(dashboard, pilot, count)
        assert facts(dashboard).startswith("✓ Trouser")


async def test_c_picks_a_pair_of_classes(run: RunFolder, sketches: Dataset, opened: Opened) -> None:
    async with opened("errors") as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("c")
        await settled(pilot, lambda: isinstance(dashboard.screen, PickerDialog))
        dashboard.screen.query_one(Input).value = "pullover dress"
        await pilot.press("enter")
        await wait_for_images(
            dashboard, pilot, len(predictions_of(sketches, "test").find_misses(2, 3))
        )
        assert "Pullover → Dress" in headline(dashboard)


async def test_slash_opens_a_filter_that_escape_leaves_and_clears(
    run: RunFolder, sketches: Dataset, opened: Opened
) -> None:
    predicted = predictions_of(sketches, "test")
    async with opened("errors") as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("slash", "p")
        await settled(pilot, lambda: "filter “p” matches" in headline(dashboard))
        dashboard.screen.query_one("#filter", Input).value = "pull>dress"
        await wait_for_images(dashboard, pilot, len(predicted.find_misses(2, 3)))
        assert "filter “pull>dress” matches" in headline(dashboard)
        # Escape leaves the input, then clears it.
        await pilot.press("escape")
        assert dashboard.screen.focused is gallery_of(dashboard)
        await wait_for_images(dashboard, pilot, len(predicted.find_misses(2, 3)))
        await pilot.press("escape")
        await wait_for_images(dashboard, pilot)
        assert not dashboard.screen.query_one("#filter").display


async def test_the_filter_takes_an_index(run: RunFolder, sketches: Dataset, opened: Opened) -> None:
    miss = predictions_of(sketches, "test").find_misses()[7]
    async with opened("errors") as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("slash")
        dashboard.screen.query_one("#filter", Input).value = str(miss.index)
        await pilot.press("enter")
        await wait_for_images(dashboard, pilot, 1)
        assert f"#{miss.index} of" in facts(dashboard)
        assert dashboard.screen.focused is gallery_of(dashboard)


async def test_a_filter_without_matches_says_so(run: RunFolder, opened: Opened) -> None:
    async with opened("errors") as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("slash", "x", "z", "enter")
        await wait_for_images(dashboard, pilot, 0)
        gallery = gallery_of(dashboard)
        drawn = " ".join(gallery.render_line(y).text for y in range(gallery.size.height))
        assert "no class matches “xz”" in drawn and "escape" in drawn
        assert facts(dashboard) == ""
        await pilot.press("right", "enter", "g", "escape", "escape")
        await wait_for_images(dashboard, pilot)


async def test_g_goes_to_an_index(run: RunFolder, sketches: Dataset, opened: Opened) -> None:
    misses = predictions_of(sketches, "test").find_misses()
    async with opened("errors") as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("g")
        await settled(pilot, lambda: isinstance(dashboard.screen, PromptDialog))
        dashboard.screen.query_one(Input).value = f"#{misses[41].index}"
        await pilot.press("enter")
        await settled(pilot, lambda: gallery_of(dashboard).cursor == 41)
        await pilot.press("g")
        await settled(pilot, lambda: isinstance(dashboard.screen, PromptDialog))
        problem = dashboard.screen.query_one(Static)
        for nonsense in ("999999", "a"):
            dashboard.screen.query_one(Input).value = nonsense
            await pilot.press("enter")
            assert f"#{nonsense} is not among these images" in str(problem.content)
        dashboard.screen.query_one(Input).value = ""
        await pilot.press("enter")
        await settled(pilot, lambda: isinstance(dashboard.screen, ErrorsScreen))
        assert gallery_of(dashboard).cursor == 41


async def test_z_and_r_change_how_images_are_drawn(
    app_state: AppState, run: RunFolder, opened: Opened
) -> None:
    async with opened("errors") as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        gallery = gallery_of(dashboard)
        zooms = []
        for _ in range(3):
            zooms.append(gallery.zoom)
            await pilot.press("z")
        assert sorted(zooms) == ["full", "small", "tiny"]
        await pilot.press("r")
        assert gallery.renderer == dashboard.screen.query_one(PictureView).renderer == "braille"
        assert app_state.settings.get("renderer") == "braille"


async def test_p_w_and_e_choose_split_and_run_and_evaluate(
    app_state: AppState, run: RunFolder, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    future: Future[Any] = Future()
    monkeypatch.setattr(app_state.session, "evaluate", lambda *_: future)
    other = make_run(app_state.runs_dir, splits=())
    async with opened("errors") as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("p", "p")
        await settled(pilot, lambda: "val" in headline(dashboard) and not notice(dashboard))
        await pilot.press("w")
        await settled(pilot, lambda: isinstance(dashboard.screen, PickerDialog))
        dashboard.screen.query_one(Input).value = other.id
        await pilot.press("enter")
        await settled(pilot, lambda: isinstance(dashboard.screen, ErrorsScreen))
        await settled(pilot, lambda: "No predictions" in notice(dashboard))
        await pilot.press("e")
        await settled(pilot, lambda: "Evaluating" in notice(dashboard))
        predicted = predictions("val")
        result = SimpleNamespace(
            predictions=predicted, evaluation=predicted.evaluation(), step=60, epoch=3
        )
        future.set_result(result)
        await settled(pilot, lambda: "best @ step 60" in headline(dashboard))
        # These predictions are of other images than the dataset has.
        await settled(pilot, lambda: "images changed since this evaluation" in headline(dashboard))


async def test_at_80_columns_the_selected_image_has_a_view_of_its_own(
    run: RunFolder, sketches: Dataset, opened: Opened
) -> None:
    misses = predictions_of(sketches, "test").find_misses()
    async with opened("errors", size=(80, 24)) as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        detail = dashboard.screen.query_one(ImageDetail)
        assert not detail.display
        await pilot.press("enter")
        await settled(pilot, lambda: dashboard.screen.focused is detail)
        await settled(pilot, lambda: detail.region.width == 80)
        assert dashboard.screen.query_one(PictureView).size.height >= 14
        await settled(pilot, lambda: dashboard.screen.query_one(ProbabilityBars).size.height == 10)
        await pilot.press("right", "right", "h")
        await settled(pilot, lambda: f"#{misses[1].index} of" in facts(dashboard))
        await pilot.press("pagedown")
        await settled(pilot, lambda: f"#{misses[11].index} of" in facts(dashboard))
        await pilot.press("pageup", "l", "l", "left", "pagedown")
        await settled(pilot, lambda: f"#{misses[12].index} of" in facts(dashboard))
        await pilot.press("escape")
        await settled(pilot, lambda: dashboard.screen.focused is gallery_of(dashboard))
        assert gallery_of(dashboard).cursor == 12
        # The filter works from the single view as well.
        await pilot.press("enter", "slash")
        await settled(pilot, lambda: isinstance(dashboard.screen.focused, Input))


@pytest.mark.parametrize("size", [(50, 14), (80, 24), (200, 60)])
async def test_every_size_shows_images(
    run: RunFolder, opened: Opened, size: tuple[int, int]
) -> None:
    async with opened("errors", size=size) as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        assert gallery_of(dashboard).region.bottom <= size[1] - 1
        await pilot.press("enter")
        await settled(pilot, lambda: dashboard.screen.has_class("-alone"))
        await pilot.resize_terminal(180, 50)
        await pilot.press("escape")
        await settled(pilot, lambda: dashboard.screen.query_one(ImageDetail).display)
        assert gallery_of(dashboard).display


async def test_missing_images_are_reported_and_shown_once_they_are_there(
    app_state: AppState, run: RunFolder, opened: Opened
) -> None:
    run.config.write_text(recipes.to_toml(RunConfig(dataset="fashion")))
    async with opened("errors") as (dashboard, pilot):
        await settled(pilot, lambda: "1 (Data) downloads it" in notice(dashboard))
        run.config.unlink()
        await pilot.press("5", "4")
        await settled(pilot, lambda: "config.toml" in notice(dashboard))
        # They are shown as soon as they are available.
        run.config.write_text(recipes.to_toml(CONFIG))
        await pilot.press("5", "4")
        await wait_for_images(dashboard, pilot)


async def test_damaged_predictions_and_a_deleted_folder_are_reported(
    run: RunFolder, opened: Opened
) -> None:
    (run.predictions / "val.npz").write_bytes(b"not an archive")
    async with opened("errors") as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("p", "p")
        await settled(pilot, lambda: "damaged" in notice(dashboard))
        shutil.rmtree(run.path)
        await pilot.press("p")
        await settled(pilot, lambda: "no longer exists" in notice(dashboard))


async def test_a_perfect_run_has_no_errors(
    app_state: AppState, run: RunFolder, sketches: Dataset, opened: Opened
) -> None:
    part = sketches.test
    logits = 9 * np.eye(10, dtype=np.float32)[part.labels]
    perfect = Predictions("test", logits, part.labels, part.indices, GARMENTS, "best")
    perfect.save(run.predictions / "test.npz")
    async with opened("errors") as (dashboard, pilot):
        await wait_for_images(dashboard, pilot, 0)
        gallery = gallery_of(dashboard)
        drawn = " ".join(gallery.render_line(y).text for y in range(gallery.size.height))
        assert "no errors on this split" in drawn


async def test_a_pair_of_classes_that_the_run_does_not_have_is_dropped(
    app_state: AppState, run: RunFolder, sketches: Dataset, opened: Opened
) -> None:
    async with opened("errors") as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        dashboard.open_errors(ClassPair("test", 9, 0))
        dashboard.show("evaluate")
        dashboard.show("errors")
        await settled(pilot, lambda: "Ankle boot" in headline(dashboard))
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


async def test_hostile_class_names_come_out_as_harmless_text(
    app_state: AppState, run: RunFolder, sketches: Dataset, opened: Opened
) -> None:
    predicted = predictions_of(sketches, "test")
    names = ("[red]\x1b[31mx", "\u202eevil", *GARMENTS[2:])
    Predictions("test", predicted.logits, predicted.labels, predicted.indices, names, "best").save(
        run.predictions / "test.npz"
    )
    async with opened("errors") as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("slash")
        dashboard.screen.query_one("#filter", Input).value = "[red"
        await settled(pilot, lambda: "matches" in headline(dashboard))
        drawn = "".join(
            segment.text
            for widget in dashboard.screen.query("*")
            for y in range(widget.size.height)
            for segment in widget.render_line(y)
        )
        assert "\x1b" not in drawn and "\u202e" not in drawn
        assert "[red" in drawn
        assert gallery_of(dashboard).count > 0


async def test_a_hidden_screen_waits_until_it_is_shown(run: RunFolder, opened: Opened) -> None:
    async with opened("evaluate") as (dashboard, pilot):
        await settled(pilot, lambda: "accuracy" in headline(dashboard))
        dashboard.show("errors")
        await pilot.pause()
        await wait_for_images(dashboard, pilot)
        dashboard.show("evaluate")
        await pilot.pause()
        errors = next(s for s in dashboard._screen_stacks["errors"] if isinstance(s, ErrorsScreen))
        before = errors.selected.folder
        other = make_run(dashboard.app_state.runs_dir)
        dashboard.select_run(other)
        await settled(pilot, lambda: other.id in headline(dashboard))
        assert errors.selected.folder == before
        dashboard.show("errors")
        await settled(pilot, lambda: errors.selected.folder == other)
