"""The Data screen: every key once, getting a data set and failing to, sizes, files that vanish."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static

from fmnist_tui.config import dataset_catalog
from fmnist_tui.config.dataset_catalog import GARMENTS
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.data.dataset import Dataset, Split
from fmnist_tui.data.load_progress import LoadStep
from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.base.dialogs import PickerDialog, PromptDialog, TextDialog
from fmnist_tui.tui.base.key_bar import KeyBar
from fmnist_tui.tui.screens.data import screen as data_screen
from fmnist_tui.tui.screens.data.browser import Browser
from fmnist_tui.tui.screens.data.class_list import ClassList, Head
from fmnist_tui.tui.screens.data.loading_pane import LoadingPane
from fmnist_tui.tui.screens.data.sample import PixelValues, SampleNumbers, SampleView
from fmnist_tui.tui.screens.data.screen import DataScreen
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.state.dataset_cache import DatasetSpec
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.tui.widgets.gallery import Gallery
from fmnist_tui.tui.widgets.picture import PictureView
from fmnist_tui.util.errors import UserError
from tests.tui.conftest import Opened
from tests.tui.scripted import CONFIG, make_run, settled

SIZES = [(50, 14), (80, 24), (120, 36), (200, 60)]


def split(name: str, labels: list[int], start: int = 0) -> Split:
    """Pictures with a bright square whose place and shade tell them apart."""
    images = np.zeros((len(labels), 28, 28, 1), np.uint8)
    for number in range(len(labels)):
        images[number, number % 20 : number % 20 + 8, 4:24] = 55 + start + number
    indices = np.arange(start, start + len(labels))
    return Split(name, images, np.array(labels, np.int64), indices)


def garments(name: str = "fashion") -> Dataset:
    """Sixty pictures to train on, ten for validation; the test split has no bags or boots."""
    return Dataset(
        dataset_catalog.DATASETS[name],
        split("train", [number % 10 for number in range(60)]),
        split("val", list(range(10)), 60),
        split("test", [0, 1, 2, 3, 0, 1, 2]),
        "a test",
        ("a note about the reading",) if name == "sketches" else (),
    )


class Shop:
    """Data sets in place of those of the library: what is here, and what fetching comes to."""

    def __init__(self, app_state: AppState) -> None:
        self.here: set[str] = {"sketches"}
        self.steps: list[LoadStep] = []
        self.failure = ""
        self.asked: list[tuple[str, bool]] = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.cancelled: threading.Event | None = None
        self.heeds = False  # whether a fetch ends when it is cancelled
        self._keep = app_state.datasets.put

    def present(self, name: str) -> bool:
        return name in self.here

    def load(
        self, spec: DatasetSpec, say: Any = None, cancel: Any = None, fetch: bool = True
    ) -> Dataset:
        self.asked.append((spec.dataset, fetch))
        self.cancelled = cancel
        for step in self.steps:
            say(step)
        while not self.go_on.wait(0.01):
            if self.heeds and cancel is not None and cancel.is_set():
                raise UserError("cancelled")
        if self.failure:
            raise UserError(self.failure)
        self.here.add(spec.dataset)
        dataset = garments(spec.dataset)
        self._keep(spec, dataset)
        return dataset


@pytest.fixture
def shop(app_state: AppState, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """The library sells from a shop where nothing but sketches is in stock."""
    shop = Shop(app_state)
    monkeypatch.setattr(app_state.datasets, "is_present", shop.present)
    monkeypatch.setattr(app_state.datasets, "load", shop.load)
    yield shop
    shop.go_on.set()


@pytest.fixture
def stocked(shop: Shop) -> Shop:
    """The same with Fashion-MNIST in stock."""
    shop.here.add("fashion")
    return shop


@pytest.fixture
def dice(
    app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[RunConfig, Any, int, Any]]:
    """What the session is asked to augment, each with the future that is waited for."""
    thrown: list[tuple[RunConfig, Any, int, Any]] = []

    def augmented(config: RunConfig, images: Any, seed: int) -> Future[Any]:
        future: Future[Any] = Future()
        thrown.append((config, images, seed, future))
        return future

    monkeypatch.setattr(app_state.session, "augment", augmented)
    return thrown


# -- what is on the screen ---------------------------------------------------------------


def browser(dashboard: Dashboard) -> Browser:
    return dashboard.screen.query_one(Browser)


def gallery(dashboard: Dashboard) -> Gallery:
    return dashboard.screen.query_one(Gallery)


def sample(dashboard: Dashboard) -> SampleView:
    return dashboard.screen.query_one(SampleView)


def classes(dashboard: Dashboard) -> ClassList:
    return dashboard.screen.query_one(ClassList)


def head(dashboard: Dashboard) -> str:
    return str(dashboard.screen.query_one(Head).render())


def place(dashboard: Dashboard) -> str:
    """What pictures are shown, and which of them."""
    return f"{gallery(dashboard).border_title} | {gallery(dashboard).border_subtitle}"


def numbers(dashboard: Dashboard) -> str:
    return str(dashboard.screen.query_one(SampleNumbers).render())


def told(dashboard: Dashboard) -> str:
    return dashboard.screen.query_one(LoadingPane).text


def drawn(widget: Any) -> str:
    return "\n".join(widget.render_line(y).text for y in range(widget.size.height))


def painted(dashboard: Dashboard) -> list[Any]:
    """The pictures of the page, colours and all."""
    shown = gallery(dashboard)
    return [shown.render_line(y) for y in range(shown.size.height)]


def keys(dashboard: Dashboard) -> str:
    return str(dashboard.screen.query_one(KeyBar).render())


def complaints(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the dashboard says in toasts from now on."""
    said: list[str] = []
    monkeypatch.setattr(dashboard, "notify", lambda message, *_, **__: said.append(message))
    return said


def is_open(dashboard: Dashboard) -> bool:
    screen = dashboard.screen
    return not screen.has_class("-getting") and screen.query_one(Browser).exhibit is not None


async def shown(dashboard: Dashboard, pilot: Pilot[int]) -> None:
    """Wait for the data set."""
    await settled(pilot, lambda: is_open(dashboard) and gallery(dashboard).has_focus)
    await pilot.pause()


async def typed(pilot: Pilot[int], text: str) -> None:
    await pilot.press(*["slash" if letter == "/" else letter for letter in text])
    await pilot.pause()


async def answered(dashboard: Dashboard, pilot: Pilot[int], text: str) -> None:
    """Type into the question that is open, and send it."""
    await settled(pilot, lambda: isinstance(dashboard.screen, (PromptDialog, PickerDialog)))
    dashboard.screen.query_one(Input).value = text
    await pilot.pause()
    await pilot.press("enter")
    await pilot.pause()


# -- sizes -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
async def test_it_is_of_use_at_every_size(
    opened: Opened, stocked: Shop, size: tuple[int, int]
) -> None:
    async with opened(size=size) as (dashboard, pilot):
        await shown(dashboard, pilot)
        assert "[train]" in head(dashboard) and "60" in head(dashboard)
        last = gallery(dashboard).page_size
        assert f"{f'1–{last}' if last > 1 else '1'} of 60 ·" in place(dashboard)
        assert "T-shirt" in drawn(gallery(dashboard))
        width = dashboard.screen.size.width
        for pane in (gallery(dashboard), classes(dashboard), dashboard.screen.query_one(Head)):
            assert pane.size.area and pane.region.right <= width
        assert drawn(classes(dashboard)).splitlines()[0].rstrip().endswith(" 6")
        await pilot.press("enter")
        await pilot.pause()
        assert sample(dashboard).has_focus
        assert sample(dashboard).query_one(PictureView).size.height >= 7
        assert "label  T-shirt/top" in numbers(dashboard)
        assert (
            dashboard.screen.query_one(SampleNumbers).region.bottom <= dashboard.screen.size.height
        )
        # Where both have room, numbers stand beside the picture from the beginning.
        await settled(pilot, lambda: sample(dashboard).written is (width == 200))


@pytest.mark.parametrize("size", SIZES)
async def test_with_nothing_on_disk_it_says_what_to_press_at_every_size(
    opened: Opened, shop: Shop, size: tuple[int, int]
) -> None:
    async with opened(size=size) as (dashboard, pilot):
        await settled(pilot, lambda: "is not here" in told(dashboard))
        lines = told(dashboard).splitlines()
        assert lines[0] == "Fashion-MNIST is not here"
        assert [line[0] for line in lines if line[1:3] == "  "] == ["f", "S", "s"]
        assert dashboard.screen.query_one(Static).region.right <= size[0]
        assert "f Fetch" in keys(dashboard) and "Zoom" not in keys(dashboard)
        # What there is nothing to do with does nothing.
        await pilot.press("g", "a", "m", "z", "i", "p", "slash", "backspace", "escape")
        await pilot.pause()
        assert dashboard.screen.has_class("-getting")
        assert "is not here" in told(dashboard)


# -- getting one ---------------------------------------------------------------------------


async def test_f_fetches_it_and_the_places_tried_and_the_progress_are_seen(
    opened: Opened, shop: Shop, app_state: AppState
) -> None:
    shop.go_on.clear()
    shop.steps = [
        LoadStep("fashion", "data folder", "failed", "nothing of it here"),
        LoadStep("fashion", "mirrors", "progress", "images", 13 << 20, 26 << 20),
    ]
    async with opened() as (dashboard, pilot):
        await settled(pilot, lambda: "is not here" in told(dashboard))
        await pilot.press("f")
        await settled(pilot, lambda: "13.0 of 26.0 MB" in told(dashboard))
        assert told(dashboard).startswith("fetching Fashion-MNIST")
        assert "✗ data folder\n    nothing of it here" in told(dashboard)
        assert "━" * 20 + "─" * 20 in told(dashboard)
        assert told(dashboard).endswith("escape cancels")
        assert shop.asked == [("fashion", True)]
        await pilot.press("f")
        await pilot.pause()
        assert shop.asked == [("fashion", True)]  # once is enough
        shop.go_on.set()
        await shown(dashboard, pilot)
        assert "Fashion-MNIST" in head(dashboard)
    assert app_state.settings.get("dataset", "") == "fashion"


async def test_escape_cancels_and_what_comes_after_all_is_not_shown(
    opened: Opened, shop: Shop
) -> None:
    shop.go_on.clear()
    shop.steps = [LoadStep("fashion", "mirrors", "progress", "images", 5, 10)]
    async with opened() as (dashboard, pilot):
        await settled(pilot, lambda: "is not here" in told(dashboard))
        await pilot.press("enter")  # does as f does
        await settled(pilot, lambda: "mirrors" in told(dashboard))
        await pilot.press("escape")
        await pilot.pause()
        assert shop.cancelled is not None and shop.cancelled.is_set()
        assert "cancelled; what had come is kept" in told(dashboard)
        assert "✗ mirrors\n    not finished" in told(dashboard)
        assert "f  tries again" in told(dashboard)
        shop.go_on.set()
        await settled(pilot, lambda: "fashion" in shop.here)
        await pilot.pause()
        assert dashboard.screen.has_class("-getting")


async def test_a_failure_is_told_in_place_with_what_to_press_and_f_tries_again(
    opened: Opened, shop: Shop
) -> None:
    shop.failure = "fashion: it was nowhere: mirrors: no network. Copy [these] files to a folder"
    shop.steps = [
        LoadStep("fashion", "mirrors", "failed", "no route to \x1b[31m[host]"),
        LoadStep("fashion", "Debian package", "failed", "no apt here"),
    ]
    async with opened() as (dashboard, pilot):
        await settled(pilot, lambda: "is not here" in told(dashboard))
        await pilot.press("f")
        await settled(pilot, lambda: "cannot be shown" in told(dashboard))
        first, second = told(dashboard).splitlines()[:2]
        assert first == "Fashion-MNIST cannot be shown"
        assert second == "Copy [these] files to a folder"  # the places follow, one by one
        assert "✗ mirrors\n    no route to ␛[31m[host]" in told(dashboard)
        assert "f  tries again" in told(dashboard) and "S  opens sketches" in told(dashboard)
        shop.failure = ""
        await pilot.press("f")
        await shown(dashboard, pilot)


async def test_leaving_while_something_is_fetched_cancels_it(opened: Opened, shop: Shop) -> None:
    shop.go_on.clear()
    shop.heeds = True
    async with opened() as (dashboard, pilot):
        await settled(pilot, lambda: "is not here" in told(dashboard))
        await pilot.press("f")
        await settled(pilot, lambda: bool(shop.asked))
        assert shop.cancelled is not None and not shop.cancelled.is_set()
        await pilot.press("q")
    assert shop.cancelled.is_set()


async def test_what_a_training_has_brought_meanwhile_is_shown_on_the_way_back(
    opened: Opened, shop: Shop
) -> None:
    async with opened() as (dashboard, pilot):
        await settled(pilot, lambda: "is not here" in told(dashboard))
        await pilot.press("6")
        await pilot.pause()
        shop.here.add("fashion")
        await pilot.press("1")
        await shown(dashboard, pilot)
        assert shop.asked == [("fashion", False)]


async def test_a_fetch_goes_on_while_another_screen_is_looked_at(
    opened: Opened, shop: Shop
) -> None:
    shop.go_on.clear()
    async with opened() as (dashboard, pilot):
        await settled(pilot, lambda: "is not here" in told(dashboard))
        await pilot.press("f")
        await settled(pilot, lambda: bool(shop.asked))
        await pilot.press("6")
        await pilot.pause()
        shop.go_on.set()
        await settled(pilot, lambda: "fashion" in shop.here)
        await pilot.press("1")
        await shown(dashboard, pilot)


# -- choosing one ----------------------------------------------------------------------------


async def test_s_lists_the_data_sets_and_opens_the_one_chosen(
    opened: Opened, stocked: Shop
) -> None:
    async with opened() as (dashboard, pilot):
        await shown(dashboard, pilot)
        await pilot.press("s")
        await settled(pilot, lambda: isinstance(dashboard.screen, PickerDialog))
        listed = dashboard.screen.query_one(OptionList)
        lines = [str(option.prompt) for option in listed.options]
        assert len(lines) == len(dataset_catalog.DATASETS) + 1
        assert lines[0].startswith("✓ here  Fashion-MNIST") and "70,000 images" in lines[0]
        assert lines[1].startswith("· away  MNIST")
        await answered(dashboard, pilot, "kuzu")
        await settled(pilot, lambda: "Kuzushiji-MNIST is not here" in told(dashboard))
        await pilot.press("s")
        await settled(pilot, lambda: isinstance(dashboard.screen, PickerDialog))
        await pilot.press("escape")
        await pilot.pause()
        assert "Kuzushiji-MNIST is not here" in told(dashboard)


async def test_a_shifted_s_opens_sketches_and_says_that_they_are_synthetic(
    opened: Opened, shop: Shop
) -> None:
    async with opened() as (dashboard, pilot):
        await settled(pilot, lambda: "is not here" in told(dashboard))
        await pilot.press("S")
        await shown(dashboard, pilot)
        assert "SYNTHETIC" in head(dashboard) and "SYNTHETIC" in place(dashboard)
        assert "a note on what was read: i" in head(dashboard)


async def test_i_tells_about_the_data_set(opened: Opened, stocked: Shop) -> None:
    async with opened() as (dashboard, pilot):
        await shown(dashboard, pilot)
        await pilot.press("i")
        await pilot.pause()
        assert isinstance(dashboard.screen, TextDialog)
        lines = str(dashboard.screen.query_one(Static).content).splitlines()
        assert lines[1:] == ["from a test", "train 60 · val 10 · test 7"]
        await pilot.press("escape", "S")
        await settled(pilot, lambda: is_open(dashboard) and "SYNTHETIC" in head(dashboard))
        await pilot.press("i")
        await pilot.pause()
        assert "a note about the reading" in str(dashboard.screen.query_one(Static).content)


def class_folders(where: Path) -> Path:
    for number, name in enumerate(["cat", "[red]dog"]):
        (where / name).mkdir(parents=True)
        for picture in range(8):
            shade = 40 + 100 * number + picture
            Image.new("L", (28, 28), shade).save(where / name / f"{picture}.png")
    return where


async def test_a_folder_is_typed_browsed_and_may_vanish_and_come_back(
    opened: Opened, app_state: AppState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_screen, "WATCH", 0.05)
    monkeypatch.setenv("FMNIST_TUI_OFFLINE", "1")
    folder, elsewhere = class_folders(tmp_path / "own pictures"), tmp_path / "elsewhere"
    async with opened() as (dashboard, pilot):
        await settled(pilot, lambda: "is not here" in told(dashboard))
        said = complaints(dashboard, monkeypatch)
        await pilot.press("s")
        await answered(dashboard, pilot, "a folder of")
        await answered(dashboard, pilot, "folder:")
        assert said == ["“folder:” names no data set: folder:PATH is one, or mnist"]
        assert dashboard.screen.query_one(Input).value == "folder:"  # to be mended
        await answered(dashboard, pilot, str(folder))  # a path alone will do
        await shown(dashboard, pilot)
        assert "own pictures" in head(dashboard) and "2 classes · 28×28 grey" in head(dashboard)
        assert "[red]dog" in drawn(classes(dashboard))

        folder.rename(elsewhere)
        await settled(pilot, lambda: "files gone, kept in memory" in head(dashboard))
        for key in ("right", "p", "m", "escape", "enter", "escape"):
            await pilot.press(key)
        await settled(pilot, lambda: "val" in place(dashboard))
        await pilot.press("i")
        await pilot.pause()
        assert "its files are gone" in str(dashboard.screen.query_one(Static).content)
        await pilot.press("escape")
        elsewhere.rename(folder)
        await settled(pilot, lambda: "2 classes · 28×28 grey" in head(dashboard))

        # Gone before it is read: the reason is told in place, and f looks again.
        app_state.datasets._loaded.clear()
        folder.rename(elsewhere)
        await pilot.press("S")
        await settled(pilot, lambda: is_open(dashboard) and "SYNTHETIC" in head(dashboard))
        await pilot.press("s")
        await answered(dashboard, pilot, "a folder of")
        await answered(dashboard, pilot, f"folder:{folder}")
        await settled(pilot, lambda: "cannot be shown" in told(dashboard))
        assert "f  looks again" in told(dashboard)
        shutil.copytree(elsewhere, folder)
        await pilot.press("f")
        await settled(pilot, lambda: is_open(dashboard) and "own pictures" in head(dashboard))
    assert app_state.settings.get("dataset", "") == f"folder:{folder}"


@pytest.mark.parametrize("path", ["~nosuchuser/pictures", "x" * 300])
async def test_a_path_that_cannot_be_is_told_in_place(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv("FMNIST_TUI_OFFLINE", "1")
    async with opened() as (dashboard, pilot):
        await settled(pilot, lambda: "is not here" in told(dashboard))
        for typed in (path, f"folder:{path}"):
            await pilot.press("s")
            await answered(dashboard, pilot, "a folder of")
            await answered(dashboard, pilot, typed)
            await settled(pilot, lambda: "cannot be shown" in told(dashboard))
            await pilot.press("S")
            await settled(pilot, lambda: is_open(dashboard) and "SYNTHETIC" in head(dashboard))


async def test_files_that_cannot_be_looked_at_are_gone(
    opened: Opened, stocked: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_screen, "WATCH", 0.05)
    async with opened(size=(80, 24)) as (dashboard, pilot):
        await shown(dashboard, pilot)

        def refused(name: str) -> bool:
            raise PermissionError(13, "Permission denied", name)

        said = complaints(dashboard, monkeypatch)
        monkeypatch.setattr(dashboard.app_state.datasets, "is_present", refused)
        await settled(pilot, lambda: "files gone, kept in memory" in head(dashboard))
        assert said == []


# -- paging, splits, classes -----------------------------------------------------------------


async def test_paging_keys_go_through_all_pictures(opened: Opened, stocked: Shop) -> None:
    async with opened() as (dashboard, pilot):
        await shown(dashboard, pilot)
        size, across = gallery(dashboard).page_size, gallery(dashboard).plan.across
        steps = {
            "right": 1, "l": 2, "left": 1, "h": 0, "down": across, "up": 0, "j": across,
            "k": 0, "pagedown": size, "pageup": 0, "end": 59, "home": 0,
        }  # fmt: skip
        for key, number in steps.items():
            await pilot.press(key)
            await pilot.pause()
            assert gallery(dashboard).cursor == number, key
            assert f"index  #{number} of train" in numbers(dashboard), key
            assert f"place  {number + 1} of 60" in numbers(dashboard), key
        await pilot.press("end")
        await pilot.pause()
        assert "60 of 60" in place(dashboard)


async def test_p_goes_from_split_to_split_and_a_click_to_one(opened: Opened, stocked: Shop) -> None:
    async with opened() as (dashboard, pilot):
        await shown(dashboard, pilot)
        for name, count in (("val", 10), ("test", 7), ("train", 60)):
            await pilot.press("p")
            await pilot.pause()
            assert f"[{name}]" in head(dashboard)
            assert place(dashboard).startswith(name) and f"of {count}" in place(dashboard)
        assert drawn(classes(dashboard)).splitlines()[0].rstrip().endswith(" 6")
        await pilot.click(Head, offset=(15, 2))
        await pilot.pause()
        assert "[val]" in head(dashboard)
        assert drawn(classes(dashboard)).splitlines()[0].rstrip().endswith(" 1")
        await pilot.click(Head, offset=(3, 1))
        await settled(pilot, lambda: isinstance(dashboard.screen, PickerDialog))


async def test_a_key_that_comes_as_a_data_set_is_left_opens_no_line_out_of_sight(
    opened: Opened, stocked: Shop
) -> None:
    async with opened() as (dashboard, pilot):
        await shown(dashboard, pilot)
        # Both in one turn, as when keys come faster than the focus can follow.
        browser = dashboard.screen.query_one(Browser)
        cast(DataScreen, dashboard.screen)._picked("mnist")
        browser.action_filter()
        await settled(pilot, lambda: isinstance(dashboard.focused, LoadingPane))
        await pilot.pause()
        assert isinstance(dashboard.focused, LoadingPane)
        await pilot.press("a")
        assert not browser.query_one("#filter", Input).value


async def test_a_key_never_goes_to_a_line_that_is_out_of_sight(
    opened: Opened, stocked: Shop
) -> None:
    async with opened() as (dashboard, pilot):
        await shown(dashboard, pilot)
        cast(DataScreen, dashboard.screen)._picked("mnist")
        await settled(pilot, lambda: isinstance(dashboard.focused, LoadingPane))
        line = dashboard.screen.query_one("#filter", Input)
        dashboard.screen.set_focus(line)
        await pilot.press("a")
        assert isinstance(dashboard.focused, LoadingPane) and not line.value


async def test_a_terminal_that_was_too_small_for_a_moment_gives_the_focus_back(
    opened: Opened, stocked: Shop
) -> None:
    async with opened() as (dashboard, pilot):
        await shown(dashboard, pilot)
        assert dashboard.focused is gallery(dashboard)
        await pilot.resize_terminal(40, 10)
        await settled(pilot, lambda: dashboard.focused is None)
        await pilot.resize_terminal(120, 36)
        await settled(pilot, lambda: dashboard.focused is gallery(dashboard))


async def test_the_filter_narrows_as_it_is_typed(opened: Opened, stocked: Shop) -> None:
    async with opened() as (dashboard, pilot):
        await shown(dashboard, pilot)
        await pilot.press("slash")
        await pilot.pause()
        assert dashboard.focused is not None and dashboard.focused.id == "filter"
        await typed(pilot, "shirt")
        assert "train · T-shirt/top, Shirt | " in place(dashboard) and "of 12" in place(dashboard)
        assert classes(dashboard).border_title == "2 of 10 classes"
        assert [line[0] for line in drawn(classes(dashboard)).splitlines()[:10]] == [*"●○○○○○●○○○"]
        await typed(pilot, "s")
        assert classes(dashboard).border_title == "no class is called so"
        assert "of 12" in place(dashboard)
        await pilot.press("enter")
        await pilot.pause()
        assert gallery(dashboard).has_focus
        assert not dashboard.screen.query_one("#filter").display
        assert classes(dashboard).border_title == "2 of 10 classes"
        await pilot.press("escape")
        await pilot.pause()
        assert classes(dashboard).border_title == "all classes" and "of 60" in place(dashboard)
        await pilot.press("slash", "7")
        await pilot.pause()
        assert "train · Sneaker" in place(dashboard)
        await pilot.press("escape")
        await pilot.pause()
        assert gallery(dashboard).has_focus and "of 60" in place(dashboard)


async def test_classes_are_marked_by_keys_and_backspace_shows_all(
    opened: Opened, stocked: Shop
) -> None:
    async with opened() as (dashboard, pilot):
        await shown(dashboard, pilot)
        await pilot.press("tab")
        await pilot.pause()
        assert classes(dashboard).has_focus and "Mark this class" in keys(dashboard)
        moves = {
            "down": 1, "j": 2, "up": 1, "k": 0, "end": 9, "home": 0, "pagedown": 9, "pageup": 0,
        }  # fmt: skip
        for key, number in moves.items():
            await pilot.press(key)
            assert classes(dashboard).cursor == number, key
        await pilot.press("end", "enter")
        await pilot.pause()
        assert "train · Ankle boot" in place(dashboard) and "of 6 " in place(dashboard)
        await pilot.press("up", "space")
        await pilot.pause()
        assert "train · Bag, Ankle boot" in place(dashboard) and "of 12" in place(dashboard)
        await pilot.press("enter")
        await pilot.pause()
        assert "train · Ankle boot" in place(dashboard)
        await pilot.press("backspace")
        await pilot.pause()
        assert "train · all classes" in place(dashboard)
        await pilot.click(ClassList, offset=(5, 1 + 3))
        await pilot.pause()
        assert "train · Dress" in place(dashboard)


async def test_a_split_without_pictures_of_the_filter_says_so(
    opened: Opened, stocked: Shop
) -> None:
    async with opened() as (dashboard, pilot):
        await shown(dashboard, pilot)
        await pilot.press("slash", "b", "a", "g", "enter", "enter")
        await pilot.pause()
        assert sample(dashboard).has_focus
        await pilot.press("p", "p")
        await pilot.pause()
        assert not browser(dashboard).one
        assert "no pictures of Bag in test" in drawn(gallery(dashboard))
        assert "backspace shows all classes" in drawn(gallery(dashboard))
        assert "test · Bag | none" in place(dashboard) and numbers(dashboard) == ""
        await pilot.press("right", "enter", "m", "escape", "backspace")
        await pilot.pause()
        assert "of 7" in place(dashboard)


async def test_g_goes_to_an_index_and_says_what_is_wrong_with_it(
    opened: Opened, stocked: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened() as (dashboard, pilot):
        await shown(dashboard, pilot)
        said = complaints(dashboard, monkeypatch)
        for text, why in {
            "many": "“many” is not an index",
            "-3": "“-3” is not an index",
            "": "is not an index",
            "65": "#65 is in val, not in train",
            "9" * 30: "its indices are from 0 to 59",
        }.items():
            await pilot.press("g")
            await answered(dashboard, pilot, text)
            assert why in said[-1]
            assert gallery(dashboard).cursor == 0
        assert len(said) == 5
        await pilot.press("g")
        await answered(dashboard, pilot, "#37")
        assert gallery(dashboard).cursor == 37 and "#37" in drawn(gallery(dashboard))
        await pilot.press("g", "escape")
        await pilot.pause()
        assert gallery(dashboard).cursor == 37 and len(said) == 5


# -- how pictures look -----------------------------------------------------------------------


async def test_z_and_r_change_how_pictures_look_and_are_kept(
    opened: Opened, stocked: Shop, app_state: AppState
) -> None:
    async with opened() as (dashboard, pilot):
        await shown(dashboard, pilot)
        sizes = []
        for zoom in ("small", "tiny", "full"):
            await pilot.press("z")
            await pilot.pause()
            assert f"· {zoom} ·" in place(dashboard)
            assert app_state.settings.get("zoom", "") == zoom
            sizes.append(gallery(dashboard).page_size)
        assert sizes[1] > sizes[0] > sizes[2]
        marks = {"braille": "⣿", "ascii": "@", "halfblock": "▀"}
        for _ in marks:
            await pilot.press("r")
            await pilot.pause()
            kind = app_state.settings.get("renderer", "")
            assert place(dashboard).endswith(f"· {kind}")
            text = drawn(gallery(dashboard))
            assert [mark in text for mark in marks.values()].count(True) <= 1
            if kind != "halfblock":
                assert any(ord(letter) > 0x2800 for letter in text) is (kind == "braille")
        assert kind == "halfblock"
        await pilot.press("r")
        await pilot.press("6", "1")
        await pilot.pause()
        assert place(dashboard).endswith(app_state.renderer) and app_state.renderer != "halfblock"


async def test_r_says_why_it_changes_nothing_under_ascii(
    opened: Opened, stocked: Shop, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    app_state.ascii = True
    async with opened() as (dashboard, pilot):
        await shown(dashboard, pilot)
        said = complaints(dashboard, monkeypatch)
        await pilot.press("r")
        await pilot.pause()
        assert place(dashboard).endswith("ascii") and "--ascii" in said[0]
        assert app_state.settings.get("renderer", "none") == "none"


async def test_m_shows_the_mean_of_each_class_and_enter_its_pictures(
    opened: Opened, stocked: Shop
) -> None:
    async with opened() as (dashboard, pilot):
        await shown(dashboard, pilot)
        await pilot.press("m")
        await settled(pilot, lambda: "the mean of each class" in place(dashboard))
        assert "of 10" in place(dashboard) and "count  6 in train" in numbers(dashboard)
        await pilot.press("tab", "p")  # the means of the next split
        await settled(pilot, lambda: "count  1 in val" in numbers(dashboard))
        await settled(pilot, lambda: place(dashboard).startswith("val · the mean of each class"))
        assert classes(dashboard).has_focus
        await pilot.press("shift+tab", "right", "enter")
        await pilot.pause()
        assert "val · Trouser" in place(dashboard) and "of 1 " in place(dashboard)
        await pilot.press("escape", "m")
        await settled(pilot, lambda: "the mean of each class" in place(dashboard))
        await pilot.press("escape")
        await pilot.pause()
        assert "val · all classes" in place(dashboard)
        await pilot.press("m")
        await settled(pilot, lambda: "the mean of each class" in place(dashboard))
        await pilot.press("g")
        await answered(dashboard, pilot, "63")
        assert "val · all classes" in place(dashboard) and gallery(dashboard).cursor == 3


async def test_enter_shows_one_picture_with_its_numbers(opened: Opened, stocked: Shop) -> None:
    async with opened() as (dashboard, pilot):
        await shown(dashboard, pilot)
        await pilot.press("right", "enter")
        await pilot.pause()
        view = sample(dashboard)
        assert view.has_focus and not gallery(dashboard).display
        assert "Trouser  #1 of train  2 of 60" in drawn(view.query_one(PictureView))
        assert "pixels 0–56, mean 11.4" in numbers(dashboard)
        assert "dark   79.6 % below 32" in numbers(dashboard)
        steps = {
            "right": 2, "l": 3, "left": 2, "h": 1, "pagedown": 11, "pageup": 1,
        }  # fmt: skip
        for key, number in steps.items():
            await pilot.press(key)
            await pilot.pause()
            assert f"#{number} of train" in drawn(view.query_one(PictureView)), key
            assert f"index  #{number} of train" in numbers(dashboard), key
        await pilot.press("v")
        await pilot.pause()
        values = view.query_one(PixelValues)
        assert not view.query_one(PictureView).display
        lines = [line.strip() for line in drawn(values).splitlines() if line.strip()]
        assert len(lines) == 28
        assert lines[1] == "00" * 4 + "38" * 20 + "00" * 4  # 56, as it is written there
        await pilot.press("v")
        await pilot.pause()
        assert view.query_one(PictureView).display and not values.display
        await pilot.press("escape")
        await pilot.pause()
        assert gallery(dashboard).has_focus and gallery(dashboard).cursor == 1


async def test_where_the_numbers_do_not_fit_arrows_scroll_them(
    opened: Opened, stocked: Shop
) -> None:
    async with opened(size=(80, 24)) as (dashboard, pilot):
        await shown(dashboard, pilot)
        await pilot.press("enter", "v")
        await pilot.pause()
        values = sample(dashboard).query_one(PixelValues)
        hidden = 28 - values.size.height
        for key, top in {"down": 1, "j": 2, "up": 1, "k": 0}.items():
            await pilot.press(key)
            assert values.top == top, key
        assert "3" * 20 in drawn(values).splitlines()[0]  # the first of two digits
        await pilot.press(*["down"] * 30)
        assert values.top == hidden > 0
        assert "3" not in drawn(values).splitlines()[0]


# -- as a model is shown them ----------------------------------------------------------------


async def test_a_shows_the_pictures_augmented_anew_with_each_press(
    opened: Opened, stocked: Shop, dice: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FMNIST_TUI_FLIP", "true")
    monkeypatch.setenv("FMNIST_TUI_SHIFT", "2")
    async with opened() as (dashboard, pilot):
        await shown(dashboard, pilot)
        await pilot.press("a")
        await pilot.pause()
        assert "…" in drawn(gallery(dashboard))  # not yet
        assert "augmented: flip, shift 2 · recipe two-conv" in place(dashboard)
        config, images, seed, future = dice[-1]
        assert (config.flip, config.shift) == (True, 2)
        assert len(images) == gallery(dashboard).page_size
        future.set_result(255 - images)
        await settled(pilot, lambda: "pixels 200–255" in numbers(dashboard))
        assert "…" not in drawn(gallery(dashboard))
        once = painted(dashboard)
        await pilot.press("a")
        await pilot.pause()
        assert len(dice) == 2 and dice[1][2] != seed
        dice[1][3].set_result(images // 2)
        await settled(pilot, lambda: "pixels 0–27" in numbers(dashboard))
        assert painted(dashboard) != once
        # Another page is augmented as it comes.
        await pilot.press("pagedown")
        await pilot.pause()
        assert len(dice) == 3 and "…" in drawn(gallery(dashboard))
        # A split later, what was asked before is of no use.
        await pilot.press("p")
        await pilot.pause()
        late, now = dice[2], dice[-1]
        assert len(dice) == 4
        assert late[3].cancelled()
        assert "…" in drawn(gallery(dashboard))
        now[3].set_result(now[1])
        await settled(pilot, lambda: "#60" in drawn(gallery(dashboard)))
        await pilot.press("escape")
        await pilot.pause()
        assert "val · all classes" in place(dashboard)


async def test_a_after_the_means_shows_pictures_again(
    opened: Opened, stocked: Shop, dice: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FMNIST_TUI_FLIP", "true")
    async with opened() as (dashboard, pilot):
        await shown(dashboard, pilot)
        await pilot.press("m")
        await settled(pilot, lambda: "the mean of each class" in place(dashboard))
        await pilot.press("a")
        await settled(pilot, lambda: bool(dice))
        assert "augmented: flip" in place(dashboard) and "of 60" in place(dashboard)


async def test_an_augmentation_that_cannot_be_had_leaves_the_pictures_as_they_are(
    opened: Opened, stocked: Shop, dice: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened() as (dashboard, pilot):
        await shown(dashboard, pilot)
        said = complaints(dashboard, monkeypatch)
        await pilot.press("a")
        await pilot.pause()
        assert "recipe two-conv has no augmentation" in said[-1] and "press 2" in said[-1]
        monkeypatch.setenv("FMNIST_TUI_FLIP", "perhaps")
        await pilot.press("a")
        await pilot.pause()
        assert "perhaps" in said[-1]
        assert len(said) == 2 and not dice
        assert "train · all classes" in place(dashboard)
        monkeypatch.setenv("FMNIST_TUI_FLIP", "true")
        await pilot.press("a")
        await pilot.pause()
        dice[-1][3].set_exception(UserError("torch is not to be had"))
        await settled(pilot, lambda: said[-1] == "torch is not to be had")
        assert "train · all classes" in place(dashboard) and "…" not in drawn(gallery(dashboard))
        await pilot.press("right")
        await pilot.pause()
        assert len(said) == 3 and len(dice) == 1


async def test_the_augmentation_is_that_of_the_run_on_the_bench_or_of_the_form(
    opened: Opened, stocked: Shop, dice: list[Any], app_state: AppState
) -> None:
    async with opened() as (dashboard, pilot):
        await shown(dashboard, pilot)
        dashboard.edit_config(CONFIG.changed(shift=3).model_dump())
        await pilot.pause()
        await pilot.press("1", "a")
        await settled(pilot, lambda: bool(dice))
        assert "augmented: shift 3 · tiny on Train" in place(dashboard)
        folder = make_run(app_state.runs_dir, CONFIG.changed(flip=True, shift=0))
        dashboard.show_run(RunFeed.open(folder))
        await pilot.press("a")
        await settled(pilot, lambda: len(dice) == 2)
        assert "augmented: flip · run " in place(dashboard)


# -- all together ----------------------------------------------------------------------------


async def test_help_tells_every_key_of_the_screen(opened: Opened, stocked: Shop) -> None:
    async with opened() as (dashboard, pilot):
        await shown(dashboard, pilot)
        await pilot.press("question_mark")
        await pilot.pause()
        text = str(dashboard.screen.query_one(Static).content)
        for what in (
            "Data set", "Go to", "Augmented", "Means", "Zoom", "How pictures are drawn",
            "About this data set", "Sketches (SYNTHETIC)", "Split", "Filter", "All classes",
            "Back", "Page on", "Last picture", "Open",
        ):  # fmt: skip
            assert what in text


async def test_all_garments_are_listed_whatever_the_split(opened: Opened, stocked: Shop) -> None:
    async with opened() as (dashboard, pilot):
        await shown(dashboard, pilot)
        await pilot.press("p", "p")
        await pilot.pause()
        lines = drawn(classes(dashboard)).splitlines()
        assert all(name in line for name, line in zip(GARMENTS, lines, strict=False))
        assert lines[8].rstrip().endswith(" 0") and lines[0].rstrip().endswith(" 2")
