"""The Data screen: all keys, loading a dataset and failing to, sizes, files that disappear."""

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
from fmnist_tui.tui.screens.data.browser import DatasetBrowser
from fmnist_tui.tui.screens.data.class_list import ClassList, DatasetHeader
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
    """Images with a bright square whose position and shade tell them apart."""
    images = np.zeros((len(labels), 28, 28, 1), np.uint8)
    for number in range(len(labels)):
        images[number, number % 20 : number % 20 + 8, 4:24] = 55 + start + number
    indices = np.arange(start, start + len(labels))
    return Split(name, images, np.array(labels, np.int64), indices)


def garments(name: str = "fashion") -> Dataset:
    """60 training and 10 validation images; the test split has no bags or boots."""
    return Dataset(
        dataset_catalog.DATASETS[name],
        split("train", [number % 10 for number in range(60)]),
        split("val", list(range(10)), 60),
        split("test", [0, 1, 2, 3, 0, 1, 2]),
        "a test",
        ("a note about the reading",) if name == "sketches" else (),
    )


class FakeDatasets:
    """Replaces the loading of datasets: which are on disk, and how fetching ends."""

    def __init__(self, app_state: AppState) -> None:
        self.on_disk: set[str] = {"sketches"}
        self.steps: list[LoadStep] = []
        self.failure = ""
        self.calls: list[tuple[str, bool]] = []
        self.may_finish = threading.Event()
        self.may_finish.set()
        self.cancelled: threading.Event | None = None
        self.stops_on_cancel = False
        self._put = app_state.datasets.put

    def is_present(self, name: str) -> bool:
        return name in self.on_disk

    def load(
        self, spec: DatasetSpec, on_step: Any = None, cancel: Any = None, fetch: bool = True
    ) -> Dataset:
        self.calls.append((spec.dataset, fetch))
        self.cancelled = cancel
        for step in self.steps:
            on_step(step)
        while not self.may_finish.wait(0.01):
            if self.stops_on_cancel and cancel is not None and cancel.is_set():
                raise UserError("cancelled")
        if self.failure:
            raise UserError(self.failure)
        self.on_disk.add(spec.dataset)
        dataset = garments(spec.dataset)
        self._put(spec, dataset)
        return dataset


@pytest.fixture
def datasets(app_state: AppState, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDatasets]:
    """Only sketches are on disk."""
    datasets = FakeDatasets(app_state)
    monkeypatch.setattr(app_state.datasets, "is_present", datasets.is_present)
    monkeypatch.setattr(app_state.datasets, "load", datasets.load)
    yield datasets
    datasets.may_finish.set()


@pytest.fixture
def with_fashion(datasets: FakeDatasets) -> FakeDatasets:
    """Sketches and Fashion-MNIST are on disk."""
    datasets.on_disk.add("fashion")
    return datasets


@pytest.fixture
def augment_calls(
    app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> list[tuple[RunConfig, Any, int, Any]]:
    """The calls of the session's `augment`, each with the future that it has returned."""
    calls: list[tuple[RunConfig, Any, int, Any]] = []

    def augmented(config: RunConfig, images: Any, seed: int) -> Future[Any]:
        future: Future[Any] = Future()
        calls.append((config, images, seed, future))
        return future

    monkeypatch.setattr(app_state.session, "augment", augmented)
    return calls


# -- what the screen shows ----------------------------------------------------------------


def browser(dashboard: Dashboard) -> DatasetBrowser:
    return dashboard.screen.query_one(DatasetBrowser)


def gallery(dashboard: Dashboard) -> Gallery:
    return dashboard.screen.query_one(Gallery)


def sample(dashboard: Dashboard) -> SampleView:
    return dashboard.screen.query_one(SampleView)


def classes(dashboard: Dashboard) -> ClassList:
    return dashboard.screen.query_one(ClassList)


def header(dashboard: Dashboard) -> str:
    return str(dashboard.screen.query_one(DatasetHeader).render())


def gallery_titles(dashboard: Dashboard) -> str:
    """The gallery's title and subtitle."""
    return f"{gallery(dashboard).border_title} | {gallery(dashboard).border_subtitle}"


def numbers(dashboard: Dashboard) -> str:
    return str(dashboard.screen.query_one(SampleNumbers).render())


def loading_text(dashboard: Dashboard) -> str:
    return dashboard.screen.query_one(LoadingPane).text


def rendered(widget: Any) -> str:
    return "\n".join(widget.render_line(y).text for y in range(widget.size.height))


def gallery_lines(dashboard: Dashboard) -> list[Any]:
    """The lines of the gallery with their colours."""
    shown = gallery(dashboard)
    return [shown.render_line(y) for y in range(shown.size.height)]


def keys(dashboard: Dashboard) -> str:
    return str(dashboard.screen.query_one(KeyBar).render())


def record_toasts(dashboard: Dashboard, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The toasts of the dashboard from now on."""
    toasts: list[str] = []
    monkeypatch.setattr(dashboard, "notify", lambda message, *_, **__: toasts.append(message))
    return toasts


def is_loaded(dashboard: Dashboard) -> bool:
    screen = dashboard.screen
    return not screen.has_class("-loading") and screen.query_one(DatasetBrowser).view is not None


async def wait_for_images(dashboard: Dashboard, pilot: Pilot[int]) -> None:
    """Wait until a dataset is shown."""
    await settled(pilot, lambda: is_loaded(dashboard) and gallery(dashboard).has_focus)
    await pilot.pause()


async def wait_for_text(
    dashboard: Dashboard, pilot: Pilot[int], text: str = "is not on this machine"
) -> None:
    """Wait for a text in the loading pane."""
    await settled(pilot, lambda: text in loading_text(dashboard))


async def type_text(pilot: Pilot[int], text: str) -> None:
    await pilot.press(*["slash" if letter == "/" else letter for letter in text])
    await pilot.pause()


async def submit(dashboard: Dashboard, pilot: Pilot[int], text: str) -> None:
    """Type into the dialog that is open, and press enter."""
    await settled(pilot, lambda: isinstance(dashboard.screen, (PromptDialog, PickerDialog)))
    dashboard.screen.query_one(Input).value = text
    await pilot.pause()
    await pilot.press("enter")
    await pilot.pause()


def dialog_problem(dashboard: Dashboard) -> str:
    """What a PromptDialog says about the line that was entered."""
    assert isinstance(dashboard.screen, PromptDialog)
    return str(dashboard.screen.query_one(Static).content)


# -- sizes --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
async def test_it_is_usable_at_every_size(
    opened: Opened, with_fashion: FakeDatasets, size: tuple[int, int]
) -> None:
    async with opened(size=size) as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        assert "[train]" in header(dashboard) and "60" in header(dashboard)
        last = gallery(dashboard).page_size
        assert f"{f'1–{last}' if last > 1 else '1'} of 60 ·" in gallery_titles(dashboard)
        assert "T-shirt" in rendered(gallery(dashboard))
        width = dashboard.screen.size.width
        for pane in (
            gallery(dashboard),
            classes(dashboard),
            dashboard.screen.query_one(DatasetHeader),
        ):
            assert pane.size.area and pane.region.right <= width
        assert rendered(classes(dashboard)).splitlines()[0].rstrip().endswith(" 6")
        await pilot.press("enter")
        await pilot.pause()
        assert sample(dashboard).has_focus
        assert sample(dashboard).query_one(PictureView).size.height >= 7
        assert "label  T-shirt/top" in numbers(dashboard)
        assert (
            dashboard.screen.query_one(SampleNumbers).region.bottom <= dashboard.screen.size.height
        )
        # If both fit, the values are shown beside the image from the beginning.
        await settled(pilot, lambda: sample(dashboard).has_class("-values") is (width == 200))


@pytest.mark.parametrize("size", SIZES)
async def test_without_a_dataset_it_shows_the_keys_at_every_size(
    opened: Opened, datasets: FakeDatasets, size: tuple[int, int]
) -> None:
    async with opened(size=size) as (dashboard, pilot):
        await wait_for_text(dashboard, pilot)
        lines = loading_text(dashboard).splitlines()
        assert lines[0] == "Fashion-MNIST is not on this machine"
        assert [line[0] for line in lines if line[1:3] == "  "] == ["f", "S", "s"]
        assert dashboard.screen.query_one(Static).region.right <= size[0]
        assert "f Fetch" in keys(dashboard) and "Zoom" not in keys(dashboard)
        # Keys that need a dataset do nothing.
        await pilot.press("g", "a", "m", "z", "i", "p", "slash", "backspace", "escape")
        await pilot.pause()
        assert dashboard.screen.has_class("-loading")
        assert "is not on this machine" in loading_text(dashboard)


# -- loading a dataset --------------------------------------------------------------------


async def test_f_fetches_it_and_shows_the_sources_tried_and_the_progress(
    opened: Opened, datasets: FakeDatasets, app_state: AppState
) -> None:
    datasets.may_finish.clear()
    datasets.steps = [
        LoadStep("fashion", "data folder", "failed", "not found"),
        LoadStep("fashion", "mirrors", "progress", "images", 13 << 20, 26 << 20),
    ]
    async with opened() as (dashboard, pilot):
        await wait_for_text(dashboard, pilot)
        await pilot.press("f")
        await wait_for_text(dashboard, pilot, "13.0 of 26.0 MB")
        assert loading_text(dashboard).startswith("fetching Fashion-MNIST")
        assert "✗ data folder\n    not found" in loading_text(dashboard)
        assert "━" * 20 + "─" * 20 in loading_text(dashboard)
        assert loading_text(dashboard).endswith("escape cancels")
        assert datasets.calls == [("fashion", True)]
        await pilot.press("f")
        await pilot.pause()
        assert datasets.calls == [("fashion", True)]
        datasets.may_finish.set()
        await wait_for_images(dashboard, pilot)
        assert "Fashion-MNIST" in header(dashboard)
    assert app_state.settings.get("dataset", "") == "fashion"


async def test_escape_cancels_and_a_dataset_that_arrives_later_is_not_shown(
    opened: Opened, datasets: FakeDatasets
) -> None:
    datasets.may_finish.clear()
    datasets.steps = [LoadStep("fashion", "mirrors", "progress", "images", 5, 10)]
    async with opened() as (dashboard, pilot):
        await wait_for_text(dashboard, pilot)
        await pilot.press("enter")  # the same as f
        await wait_for_text(dashboard, pilot, "mirrors")
        await pilot.press("escape")
        await pilot.pause()
        assert datasets.cancelled is not None and datasets.cancelled.is_set()
        assert "cancelled; partial downloads are kept" in loading_text(dashboard)
        assert "✗ mirrors\n    not finished" in loading_text(dashboard)
        assert "f  try again" in loading_text(dashboard)
        datasets.may_finish.set()
        await settled(pilot, lambda: "fashion" in datasets.on_disk)
        await pilot.pause()
        assert dashboard.screen.has_class("-loading")


async def test_a_failure_is_shown_with_the_keys_and_f_tries_again(
    opened: Opened, datasets: FakeDatasets
) -> None:
    datasets.failure = "fashion: not found: mirrors: no network. Copy [these] files to a folder"
    datasets.steps = [
        LoadStep("fashion", "mirrors", "failed", "no route to \x1b[31m[host]"),
        LoadStep("fashion", "Debian package", "failed", "no apt here"),
    ]
    async with opened() as (dashboard, pilot):
        await wait_for_text(dashboard, pilot)
        await pilot.press("f")
        await wait_for_text(dashboard, pilot, "cannot be loaded")
        first, second = loading_text(dashboard).splitlines()[:2]
        assert first == "Fashion-MNIST cannot be loaded"
        assert second == "Copy [these] files to a folder"  # the sources follow below
        assert "✗ mirrors\n    no route to ␛[31m[host]" in loading_text(dashboard)
        assert "f  try again" in loading_text(dashboard)
        assert "S  open sketches" in loading_text(dashboard)
        datasets.failure = ""
        await pilot.press("f")
        await wait_for_images(dashboard, pilot)


async def test_quitting_cancels_a_fetch(opened: Opened, datasets: FakeDatasets) -> None:
    datasets.may_finish.clear()
    datasets.stops_on_cancel = True
    async with opened() as (dashboard, pilot):
        await wait_for_text(dashboard, pilot)
        await pilot.press("f")
        await settled(pilot, lambda: bool(datasets.calls))
        assert datasets.cancelled is not None and not datasets.cancelled.is_set()
        await pilot.press("q")
    assert datasets.cancelled.is_set()


async def test_a_dataset_fetched_by_a_run_is_shown_on_return(
    opened: Opened, datasets: FakeDatasets
) -> None:
    async with opened() as (dashboard, pilot):
        await wait_for_text(dashboard, pilot)
        await pilot.press("6")
        await pilot.pause()
        datasets.on_disk.add("fashion")
        await pilot.press("1")
        await wait_for_images(dashboard, pilot)
        assert datasets.calls == [("fashion", False)]


async def test_a_fetch_continues_while_another_screen_is_shown(
    opened: Opened, datasets: FakeDatasets
) -> None:
    datasets.may_finish.clear()
    async with opened() as (dashboard, pilot):
        await wait_for_text(dashboard, pilot)
        await pilot.press("f")
        await settled(pilot, lambda: bool(datasets.calls))
        await pilot.press("6")
        await pilot.pause()
        datasets.may_finish.set()
        await settled(pilot, lambda: "fashion" in datasets.on_disk)
        await pilot.press("1")
        await wait_for_images(dashboard, pilot)


# -- choosing a dataset -------------------------------------------------------------------


async def test_s_lists_the_datasets_and_opens_the_chosen_one(
    opened: Opened, with_fashion: FakeDatasets
) -> None:
    async with opened() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("s")
        await settled(pilot, lambda: isinstance(dashboard.screen, PickerDialog))
        listed = dashboard.screen.query_one(OptionList)
        lines = [str(option.prompt) for option in listed.options]
        assert len(lines) == len(dataset_catalog.DATASETS) + 1
        assert lines[0].startswith("✓ local   Fashion-MNIST") and "70,000 images" in lines[0]
        assert lines[1].startswith("· remote  MNIST")
        await submit(dashboard, pilot, "kuzu")
        await wait_for_text(dashboard, pilot, "Kuzushiji-MNIST is not on this machine")
        await pilot.press("s")
        await settled(pilot, lambda: isinstance(dashboard.screen, PickerDialog))
        await pilot.press("escape")
        await pilot.pause()
        assert "Kuzushiji-MNIST is not on this machine" in loading_text(dashboard)


async def test_shift_s_opens_sketches_marked_as_synthetic(
    opened: Opened, datasets: FakeDatasets
) -> None:
    async with opened() as (dashboard, pilot):
        await wait_for_text(dashboard, pilot)
        await pilot.press("S")
        await wait_for_images(dashboard, pilot)
        assert "SYNTHETIC" in header(dashboard) and "SYNTHETIC" in gallery_titles(dashboard)
        assert "1 note on loading: press i" in header(dashboard)


async def test_i_describes_the_dataset(opened: Opened, with_fashion: FakeDatasets) -> None:
    async with opened() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("i")
        await pilot.pause()
        assert isinstance(dashboard.screen, TextDialog)
        lines = str(dashboard.screen.query_one(Static).content).splitlines()
        assert lines[1:] == ["from a test", "train 60 · val 10 · test 7"]
        await pilot.press("escape", "S")
        await settled(pilot, lambda: is_loaded(dashboard) and "SYNTHETIC" in header(dashboard))
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


async def test_a_folder_is_entered_and_browsed_and_may_disappear_and_return(
    opened: Opened, app_state: AppState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_screen, "FILE_CHECK_INTERVAL", 0.05)
    monkeypatch.setenv("FMNIST_TUI_OFFLINE", "1")
    folder, elsewhere = class_folders(tmp_path / "own images"), tmp_path / "elsewhere"
    async with opened() as (dashboard, pilot):
        await wait_for_text(dashboard, pilot)
        await pilot.press("s")
        await submit(dashboard, pilot, "a folder of")
        await submit(dashboard, pilot, "folder:")
        problem = "“folder:” is not a dataset: enter folder:PATH or a name such as mnist"
        assert dialog_problem(dashboard) == problem
        assert dashboard.screen.query_one(Input).value == "folder:"
        await submit(dashboard, pilot, str(folder))  # a bare path
        await wait_for_images(dashboard, pilot)
        assert "own images" in header(dashboard) and "2 classes · 28×28 grey" in header(dashboard)
        assert "[red]dog" in rendered(classes(dashboard))

        folder.rename(elsewhere)
        await settled(pilot, lambda: "files missing, in memory" in header(dashboard))
        for key in ("right", "p", "m", "escape", "enter", "escape"):
            await pilot.press(key)
        await settled(pilot, lambda: "val" in gallery_titles(dashboard))
        await pilot.press("i")
        await pilot.pause()
        assert "The files are missing" in str(dashboard.screen.query_one(Static).content)
        await pilot.press("escape")
        elsewhere.rename(folder)
        await settled(pilot, lambda: "2 classes · 28×28 grey" in header(dashboard))

        # The folder is missing when it is read: the pane says so, and f tries again.
        app_state.datasets._loaded.clear()
        folder.rename(elsewhere)
        await pilot.press("S")
        await settled(pilot, lambda: is_loaded(dashboard) and "SYNTHETIC" in header(dashboard))
        await pilot.press("s")
        await submit(dashboard, pilot, "a folder of")
        await submit(dashboard, pilot, f"folder:{folder}")
        await wait_for_text(dashboard, pilot, "cannot be loaded")
        assert "f  try again" in loading_text(dashboard)
        shutil.copytree(elsewhere, folder)
        await pilot.press("f")
        await settled(pilot, lambda: is_loaded(dashboard) and "own images" in header(dashboard))
    assert app_state.settings.get("dataset", "") == f"folder:{folder}"


@pytest.mark.parametrize("path", ["~nosuchuser/pictures", "x" * 300])
async def test_an_invalid_path_is_reported_in_the_pane(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv("FMNIST_TUI_OFFLINE", "1")
    async with opened() as (dashboard, pilot):
        await wait_for_text(dashboard, pilot)
        for typed in (path, f"folder:{path}"):
            await pilot.press("s")
            await submit(dashboard, pilot, "a folder of")
            await submit(dashboard, pilot, typed)
            await wait_for_text(dashboard, pilot, "cannot be loaded")
            await pilot.press("S")
            await settled(pilot, lambda: is_loaded(dashboard) and "SYNTHETIC" in header(dashboard))


async def test_unreadable_files_count_as_missing(
    opened: Opened, with_fashion: FakeDatasets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_screen, "FILE_CHECK_INTERVAL", 0.05)
    async with opened(size=(80, 24)) as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)

        def refused(name: str) -> bool:
            raise PermissionError(13, "Permission denied", name)

        toasts = record_toasts(dashboard, monkeypatch)
        monkeypatch.setattr(dashboard.app_state.datasets, "is_present", refused)
        await settled(pilot, lambda: "files missing, in memory" in header(dashboard))
        assert toasts == []


# -- paging, splits, classes --------------------------------------------------------------


async def test_paging_keys_reach_all_images(opened: Opened, with_fashion: FakeDatasets) -> None:
    async with opened() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        size, across = gallery(dashboard).page_size, gallery(dashboard).tile_layout.across
        steps = {
            "right": 1, "l": 2, "left": 1, "h": 0, "down": across, "up": 0, "j": across,
            "k": 0, "pagedown": size, "pageup": 0, "end": 59, "home": 0,
        }  # fmt: skip
        for key, number in steps.items():
            await pilot.press(key)
            await pilot.pause()
            assert gallery(dashboard).cursor == number, key
            assert f"index  #{number} of train" in numbers(dashboard), key
            assert f"number {number + 1} of 60" in numbers(dashboard), key
        await pilot.press("end")
        await pilot.pause()
        assert "60 of 60" in gallery_titles(dashboard)


async def test_p_and_clicks_change_the_split(opened: Opened, with_fashion: FakeDatasets) -> None:
    async with opened() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        for name, count in (("val", 10), ("test", 7), ("train", 60)):
            await pilot.press("p")
            await pilot.pause()
            assert f"[{name}]" in header(dashboard)
            assert gallery_titles(dashboard).startswith(name) and f"of {count}" in gallery_titles(
                dashboard
            )
        assert rendered(classes(dashboard)).splitlines()[0].rstrip().endswith(" 6")
        await pilot.click(DatasetHeader, offset=(15, 2))
        await pilot.pause()
        assert "[val]" in header(dashboard)
        assert rendered(classes(dashboard)).splitlines()[0].rstrip().endswith(" 1")
        await pilot.click(DatasetHeader, offset=(3, 1))
        await settled(pilot, lambda: isinstance(dashboard.screen, PickerDialog))


async def test_a_key_pressed_while_the_dataset_changes_opens_no_hidden_filter(
    opened: Opened, with_fashion: FakeDatasets
) -> None:
    async with opened() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        # Both in one turn, as when keys arrive faster than the focus changes.
        browser = dashboard.screen.query_one(DatasetBrowser)
        cast(DataScreen, dashboard.screen).load_dataset("mnist")
        browser.action_filter()
        await settled(pilot, lambda: isinstance(dashboard.focused, LoadingPane))
        await pilot.pause()
        assert isinstance(dashboard.focused, LoadingPane)
        await pilot.press("a")
        assert not browser.query_one("#filter", Input).value


async def test_a_key_never_goes_to_a_hidden_filter(
    opened: Opened, with_fashion: FakeDatasets
) -> None:
    async with opened() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        cast(DataScreen, dashboard.screen).load_dataset("mnist")
        await settled(pilot, lambda: isinstance(dashboard.focused, LoadingPane))
        line = dashboard.screen.query_one("#filter", Input)
        dashboard.screen.set_focus(line)
        await pilot.press("a")
        assert isinstance(dashboard.focused, LoadingPane) and not line.value


async def test_the_focus_returns_after_the_terminal_was_too_small(
    opened: Opened, with_fashion: FakeDatasets
) -> None:
    async with opened() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        assert dashboard.focused is gallery(dashboard)
        await pilot.resize_terminal(40, 10)
        await settled(pilot, lambda: dashboard.focused is None)
        await pilot.resize_terminal(120, 36)
        await settled(pilot, lambda: dashboard.focused is gallery(dashboard))


async def test_the_filter_narrows_as_it_is_typed(
    opened: Opened, with_fashion: FakeDatasets
) -> None:
    async with opened() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("slash")
        await pilot.pause()
        assert dashboard.focused is not None and dashboard.focused.id == "filter"
        await type_text(pilot, "shirt")
        assert "train · T-shirt/top, Shirt | " in gallery_titles(
            dashboard
        ) and "of 12" in gallery_titles(dashboard)
        assert classes(dashboard).border_title == "2 of 10 classes"
        assert [line[0] for line in rendered(classes(dashboard)).splitlines()[:10]] == [
            *"●○○○○○●○○○"
        ]
        await type_text(pilot, "s")
        assert classes(dashboard).border_title == "no matching class"
        assert "of 12" in gallery_titles(dashboard)
        await pilot.press("enter")
        await pilot.pause()
        assert gallery(dashboard).has_focus
        assert not dashboard.screen.query_one("#filter").display
        assert classes(dashboard).border_title == "2 of 10 classes"
        await pilot.press("escape")
        await pilot.pause()
        assert classes(dashboard).border_title == "all classes" and "of 60" in gallery_titles(
            dashboard
        )
        await pilot.press("slash", "7")
        await pilot.pause()
        assert "train · Sneaker" in gallery_titles(dashboard)
        await pilot.press("escape")
        await pilot.pause()
        assert gallery(dashboard).has_focus and "of 60" in gallery_titles(dashboard)


async def test_classes_are_selected_by_keys_and_backspace_shows_all(
    opened: Opened, with_fashion: FakeDatasets
) -> None:
    async with opened() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("tab")
        await pilot.pause()
        assert classes(dashboard).has_focus and "Select this class" in keys(dashboard)
        moves = {
            "down": 1, "j": 2, "up": 1, "k": 0, "end": 9, "home": 0, "pagedown": 9, "pageup": 0,
        }  # fmt: skip
        for key, number in moves.items():
            await pilot.press(key)
            assert classes(dashboard).cursor == number, key
        await pilot.press("end", "enter")
        await pilot.pause()
        assert "train · Ankle boot" in gallery_titles(dashboard) and "of 6 " in gallery_titles(
            dashboard
        )
        await pilot.press("up", "space")
        await pilot.pause()
        assert "train · Bag, Ankle boot" in gallery_titles(dashboard) and "of 12" in gallery_titles(
            dashboard
        )
        await pilot.press("enter")
        await pilot.pause()
        assert "train · Ankle boot" in gallery_titles(dashboard)
        await pilot.press("backspace")
        await pilot.pause()
        assert "train · all classes" in gallery_titles(dashboard)
        await pilot.click(ClassList, offset=(5, 1 + 3))
        await pilot.pause()
        assert "train · Dress" in gallery_titles(dashboard)


async def test_a_split_without_matching_images_says_so(
    opened: Opened, with_fashion: FakeDatasets
) -> None:
    async with opened() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("slash", "b", "a", "g", "enter", "enter")
        await pilot.pause()
        assert sample(dashboard).has_focus
        await pilot.press("p", "p")
        await pilot.pause()
        assert not browser(dashboard).is_single
        assert "no images of Bag in test" in rendered(gallery(dashboard))
        assert "backspace shows all classes" in rendered(gallery(dashboard))
        assert "test · Bag | none" in gallery_titles(dashboard) and numbers(dashboard) == ""
        await pilot.press("right", "enter", "m", "escape", "backspace")
        await pilot.pause()
        assert "of 7" in gallery_titles(dashboard)


async def test_g_goes_to_an_index_and_says_why_one_is_invalid(
    opened: Opened, with_fashion: FakeDatasets, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        shown = gallery(dashboard)
        await pilot.press("g")
        for text, problem in {
            "many": "“many” is not an index",
            "-3": "“-3” is not an index",
            "": "is not an index",
            "65": "#65 is in val, not in train",
            "9" * 30: "its indices are from 0 to 59",
        }.items():
            await submit(dashboard, pilot, text)
            assert problem in dialog_problem(dashboard)
            assert shown.cursor == 0
        await submit(dashboard, pilot, "#37")
        assert gallery(dashboard).cursor == 37 and "#37" in rendered(gallery(dashboard))
        await pilot.press("g", "escape")
        await pilot.pause()
        assert gallery(dashboard).cursor == 37


# -- appearance and views -----------------------------------------------------------------


async def test_z_and_r_change_zoom_and_renderer_and_save_them(
    opened: Opened, with_fashion: FakeDatasets, app_state: AppState
) -> None:
    async with opened() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        sizes = []
        for zoom in ("small", "tiny", "full"):
            await pilot.press("z")
            await pilot.pause()
            assert f"· {zoom} ·" in gallery_titles(dashboard)
            assert app_state.settings.get("zoom", "") == zoom
            sizes.append(gallery(dashboard).page_size)
        assert sizes[1] > sizes[0] > sizes[2]
        marks = {"braille": "⣿", "ascii": "@", "halfblock": "▀"}
        for _ in marks:
            await pilot.press("r")
            await pilot.pause()
            kind = app_state.settings.get("renderer", "")
            assert gallery_titles(dashboard).endswith(f"· {kind}")
            text = rendered(gallery(dashboard))
            assert [mark in text for mark in marks.values()].count(True) <= 1
            if kind != "halfblock":
                assert any(ord(letter) > 0x2800 for letter in text) is (kind == "braille")
        assert kind == "halfblock"
        await pilot.press("r")
        await pilot.press("6", "1")
        await pilot.pause()
        assert (
            gallery_titles(dashboard).endswith(app_state.renderer)
            and app_state.renderer != "halfblock"
        )


async def test_r_says_why_it_changes_nothing_under_ascii(
    opened: Opened, with_fashion: FakeDatasets, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    app_state.ascii = True
    async with opened() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        toasts = record_toasts(dashboard, monkeypatch)
        await pilot.press("r")
        await pilot.pause()
        assert gallery_titles(dashboard).endswith("ascii") and "--ascii" in toasts[0]
        assert app_state.settings.get("renderer", "none") == "none"


async def test_m_shows_class_means_and_enter_the_images_of_one(
    opened: Opened, with_fashion: FakeDatasets
) -> None:
    async with opened() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("m")
        await settled(pilot, lambda: "class means" in gallery_titles(dashboard))
        assert "of 10" in gallery_titles(dashboard) and "count  6 in train" in numbers(dashboard)
        await pilot.press("tab", "p")  # class means of the next split
        await settled(pilot, lambda: "count  1 in val" in numbers(dashboard))
        await settled(pilot, lambda: gallery_titles(dashboard).startswith("val · class means"))
        assert classes(dashboard).has_focus
        await pilot.press("shift+tab", "right", "enter")
        await pilot.pause()
        assert "val · Trouser" in gallery_titles(dashboard) and "of 1 " in gallery_titles(dashboard)
        await pilot.press("escape", "m")
        await settled(pilot, lambda: "class means" in gallery_titles(dashboard))
        await pilot.press("escape")
        await pilot.pause()
        assert "val · all classes" in gallery_titles(dashboard)
        await pilot.press("m")
        await settled(pilot, lambda: "class means" in gallery_titles(dashboard))
        await pilot.press("g")
        await submit(dashboard, pilot, "63")
        assert "val · all classes" in gallery_titles(dashboard) and gallery(dashboard).cursor == 3


async def test_enter_shows_one_image_with_its_statistics_and_values(
    opened: Opened, with_fashion: FakeDatasets
) -> None:
    async with opened() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("right", "enter")
        await pilot.pause()
        view = sample(dashboard)
        assert view.has_focus and not gallery(dashboard).display
        assert "Trouser  #1 of train  2 of 60" in rendered(view.query_one(PictureView))
        assert "pixels 0–56, mean 11.4" in numbers(dashboard)
        assert "dark   79.6 % below 32" in numbers(dashboard)
        steps = {
            "right": 2, "l": 3, "left": 2, "h": 1, "pagedown": 11, "pageup": 1,
        }  # fmt: skip
        for key, number in steps.items():
            await pilot.press(key)
            await pilot.pause()
            assert f"#{number} of train" in rendered(view.query_one(PictureView)), key
            assert f"index  #{number} of train" in numbers(dashboard), key
        await pilot.press("v")
        await pilot.pause()
        values = view.query_one(PixelValues)
        assert not view.query_one(PictureView).display
        lines = [line.strip() for line in rendered(values).splitlines() if line.strip()]
        assert len(lines) == 28
        assert lines[1] == "00" * 4 + "38" * 20 + "00" * 4  # 56 in hexadecimal
        await pilot.press("v")
        await pilot.pause()
        assert view.query_one(PictureView).display and not values.display
        await pilot.press("escape")
        await pilot.pause()
        assert gallery(dashboard).has_focus and gallery(dashboard).cursor == 1


async def test_arrows_scroll_values_that_do_not_fit(
    opened: Opened, with_fashion: FakeDatasets
) -> None:
    async with opened(size=(80, 24)) as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("enter", "v")
        await pilot.pause()
        values = sample(dashboard).query_one(PixelValues)
        hidden = 28 - values.size.height
        for key, top in {"down": 1, "j": 2, "up": 1, "k": 0}.items():
            await pilot.press(key)
            assert values.top == top, key
        assert "3" * 20 in rendered(values).splitlines()[0]  # the first of two digits
        await pilot.press(*["down"] * 30)
        assert values.top == hidden > 0
        assert "3" not in rendered(values).splitlines()[0]


# -- augmented images ---------------------------------------------------------------------


async def test_a_augments_the_images_with_new_random_numbers_each_time(
    opened: Opened,
    with_fashion: FakeDatasets,
    augment_calls: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FMNIST_TUI_FLIP", "true")
    monkeypatch.setenv("FMNIST_TUI_SHIFT", "2")
    async with opened() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("a")
        await pilot.pause()
        assert "…" in rendered(gallery(dashboard))  # not augmented yet
        assert "augmented: flip, shift 2 · recipe two-conv" in gallery_titles(dashboard)
        config, images, seed, future = augment_calls[-1]
        assert (config.flip, config.shift) == (True, 2)
        assert len(images) == gallery(dashboard).page_size
        future.set_result(255 - images)
        await settled(pilot, lambda: "pixels 200–255" in numbers(dashboard))
        assert "…" not in rendered(gallery(dashboard))
        once = gallery_lines(dashboard)
        await pilot.press("a")
        await pilot.pause()
        assert len(augment_calls) == 2 and augment_calls[1][2] != seed
        augment_calls[1][3].set_result(images // 2)
        await settled(pilot, lambda: "pixels 0–27" in numbers(dashboard))
        assert gallery_lines(dashboard) != once
        # Another page is augmented when it is shown.
        await pilot.press("pagedown")
        await pilot.pause()
        assert len(augment_calls) == 3 and "…" in rendered(gallery(dashboard))
        # Another split cancels the pending request.
        await pilot.press("p")
        await pilot.pause()
        late, now = augment_calls[2], augment_calls[-1]
        assert len(augment_calls) == 4
        assert late[3].cancelled()
        assert "…" in rendered(gallery(dashboard))
        now[3].set_result(now[1])
        await settled(pilot, lambda: "#60" in rendered(gallery(dashboard)))
        await pilot.press("escape")
        await pilot.pause()
        assert "val · all classes" in gallery_titles(dashboard)


async def test_a_after_class_means_shows_augmented_images(
    opened: Opened,
    with_fashion: FakeDatasets,
    augment_calls: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FMNIST_TUI_FLIP", "true")
    async with opened() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("m")
        await settled(pilot, lambda: "class means" in gallery_titles(dashboard))
        await pilot.press("a")
        await settled(pilot, lambda: bool(augment_calls))
        assert "augmented: flip" in gallery_titles(dashboard) and "of 60" in gallery_titles(
            dashboard
        )


async def test_a_failed_augmentation_leaves_the_original_images(
    opened: Opened,
    with_fashion: FakeDatasets,
    augment_calls: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with opened() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        toasts = record_toasts(dashboard, monkeypatch)
        await pilot.press("a")
        await pilot.pause()
        assert "recipe two-conv has no augmentation" in toasts[-1] and "press 2" in toasts[-1]
        monkeypatch.setenv("FMNIST_TUI_FLIP", "perhaps")
        await pilot.press("a")
        await pilot.pause()
        assert "perhaps" in toasts[-1]
        assert len(toasts) == 2 and not augment_calls
        assert "train · all classes" in gallery_titles(dashboard)
        monkeypatch.setenv("FMNIST_TUI_FLIP", "true")
        await pilot.press("a")
        await pilot.pause()
        augment_calls[-1][3].set_exception(UserError("torch is missing"))
        await settled(pilot, lambda: toasts[-1] == "torch is missing")
        assert "train · all classes" in gallery_titles(dashboard) and "…" not in rendered(
            gallery(dashboard)
        )
        await pilot.press("right")
        await pilot.pause()
        assert len(toasts) == 3 and len(augment_calls) == 1


async def test_the_augmentation_is_that_of_the_followed_run_or_the_form(
    opened: Opened, with_fashion: FakeDatasets, augment_calls: list[Any], app_state: AppState
) -> None:
    async with opened() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        dashboard.edit_config(CONFIG.changed(shift=3).model_dump())
        await pilot.pause()
        await pilot.press("1", "a")
        await settled(pilot, lambda: bool(augment_calls))
        assert "augmented: shift 3 · tiny on Train" in gallery_titles(dashboard)
        folder = make_run(app_state.runs_dir, CONFIG.changed(flip=True, shift=0))
        dashboard.show_run(RunFeed.open(folder))
        await pilot.press("a")
        await settled(pilot, lambda: len(augment_calls) == 2)
        assert "augmented: flip · run " in gallery_titles(dashboard)


# -- all together -------------------------------------------------------------------------


async def test_help_lists_every_key_of_the_screen(
    opened: Opened, with_fashion: FakeDatasets
) -> None:
    async with opened() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("question_mark")
        await pilot.pause()
        text = str(dashboard.screen.query_one(Static).content)
        for what in (
            "Dataset", "Go to", "Augmented", "Means", "Zoom", "How images are drawn",
            "About this dataset", "Sketches (SYNTHETIC)", "Split", "Filter", "All classes",
            "Back", "Next page", "Last image", "Open",
        ):  # fmt: skip
            assert what in text


async def test_all_classes_are_listed_in_every_split(
    opened: Opened, with_fashion: FakeDatasets
) -> None:
    async with opened() as (dashboard, pilot):
        await wait_for_images(dashboard, pilot)
        await pilot.press("p", "p")
        await pilot.pause()
        lines = rendered(classes(dashboard)).splitlines()
        assert all(name in line for name, line in zip(GARMENTS, lines, strict=False))
        assert lines[8].rstrip().endswith(" 0") and lines[0].rstrip().endswith(" 2")
