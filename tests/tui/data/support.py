"""Helpers for tests of the Data screen: fake datasets, and what the screen shows."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from textual.pilot import Pilot
from textual.widgets import Static

from fmnist_tui.config import dataset_catalog
from fmnist_tui.data.dataset import Dataset, Split
from fmnist_tui.data.load_progress import LoadStep
from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.base.dialogs import PickerDialog, PromptDialog
from fmnist_tui.tui.base.key_bar import KeyBar
from fmnist_tui.tui.screens.data.browser import DatasetBrowser
from fmnist_tui.tui.screens.data.class_list import ClassList, DatasetHeader
from fmnist_tui.tui.screens.data.loading_pane import LoadingPane
from fmnist_tui.tui.screens.data.sample import SampleNumbers, SampleView
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.state.dataset_cache import DatasetSpec
from fmnist_tui.tui.widgets.gallery import Gallery
from fmnist_tui.util.errors import UserError
from tests.tui.support import screen_input, wait_until


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
        self.cancelled = cancel
        self.calls.append((spec.dataset, fetch))
        for step in self.steps:
            on_step(step)
        while spec.dataset != "sketches" and not self.may_finish.wait(0.01):
            if self.stops_on_cancel and cancel is not None and cancel.is_set():
                raise UserError("cancelled")
        if self.failure:
            raise UserError(self.failure)
        self.on_disk.add(spec.dataset)
        dataset = garments(spec.dataset)
        self._put(spec, dataset)
        return dataset


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


def is_loaded(dashboard: Dashboard) -> bool:
    screen = dashboard.screen
    return not screen.has_class("-loading") and screen.query_one(DatasetBrowser).view is not None


async def wait_for_images(dashboard: Dashboard, pilot: Pilot[int]) -> None:
    """Wait until a dataset is shown."""
    await wait_until(pilot, lambda: is_loaded(dashboard) and gallery(dashboard).has_focus)
    await pilot.pause()


async def wait_for_text(
    dashboard: Dashboard, pilot: Pilot[int], text: str = "is not downloaded yet"
) -> None:
    """Wait for a text in the loading pane."""
    await wait_until(pilot, lambda: text in loading_text(dashboard))


async def type_text(pilot: Pilot[int], text: str) -> None:
    await pilot.press(*["slash" if letter == "/" else letter for letter in text])
    await pilot.pause()


async def submit(dashboard: Dashboard, pilot: Pilot[int], text: str) -> None:
    """Type into the dialog that is open, and press enter."""
    await wait_until(pilot, lambda: isinstance(dashboard.screen, (PromptDialog, PickerDialog)))
    (await screen_input(dashboard, pilot)).value = text
    await pilot.pause()
    await pilot.press("enter")
    await pilot.pause()


def dialog_problem(dashboard: Dashboard) -> str:
    """The problem that a PromptDialog shows."""
    assert isinstance(dashboard.screen, PromptDialog)
    return str(dashboard.screen.query_one(Static).content)
