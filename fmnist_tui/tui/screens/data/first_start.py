"""What the Data screen does while there is no run yet: it fetches the images by itself, shows
sketches meanwhile, and trains a first network on one key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from textual.timer import Timer

from fmnist_tui.config import recipes
from fmnist_tui.config.dataset_catalog import DATASETS
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.runs.folder import list_run_folders
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.screens.data.class_list import DatasetHeader
from fmnist_tui.tui.screens.data.loading import SKETCHES, title
from fmnist_tui.tui.screens.data.welcome import FirstTraining, WelcomePane, format_share
from fmnist_tui.tui.state.dataset_load import DatasetFetch
from fmnist_tui.tui.widgets.incremental import set_border_titles
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.formatting import format_short_duration

if TYPE_CHECKING:
    from fmnist_tui.data.dataset import Dataset

# Three epochs of it are both faster and better than the default recipe.
RECIPE, EPOCHS = "fast", 3
_INTERVAL = 0.2
_SYNTHETIC = "Sketches of garments, drawn by this program (SYNTHETIC)"


class FirstStart:
    """Controls the welcome of a screen. It is active from a start without runs until there is a
    run, or the user chooses a dataset."""

    def __init__(self, screen: DashboardScreen) -> None:
        self._screen = screen
        self.is_active = self._is_wanted = self._shows_real = False
        self._timer: Timer | None = None
        self._outcome = ""

    @property
    def _pane(self) -> WelcomePane:
        return self._screen.query_one(WelcomePane)

    @property
    def _fetch(self) -> DatasetFetch | None:
        return self._screen.app_state.fetch

    def is_first(self) -> bool:
        """Whether there are no runs yet. Slow: it reads their folder."""
        try:
            return not list_run_folders(self._screen.app_state.runs_dir)
        except UserError:
            return False

    def begin(self, dataset: str) -> None:
        """Fetch the dataset and show the welcome."""
        state = self._screen.app_state
        state.fetch = state.fetch or DatasetFetch(state.datasets, dataset)
        self.is_active, self._outcome = True, _expect()
        self._timer = self._screen.set_interval(_INTERVAL, self._tick)
        self._screen.run_in_thread(_draw_sketches, self._show_sketches, group="sketches")
        self.update()

    def end(self) -> None:
        """The user has chosen a dataset, or there is a run: the welcome is over."""
        self.is_active = self._is_wanted = False
        self._note("")
        if self._timer is not None:
            self._timer.stop()

    def again(self) -> None:
        """Fetch the dataset again."""
        if self._fetch is not None and not self._fetch.is_running:
            self._fetch.begin()
            if self._timer is not None:
                self._timer.resume()
            self.update()

    def _show_sketches(self, images: list[npt.NDArray[np.uint8]]) -> None:
        if not self._shows_real:
            self._pane.show_images(images, DATASETS[SKETCHES].classes, _SYNTHETIC)

    def _tick(self) -> None:
        if self._fetch is not None and not self._fetch.is_running and self._timer is not None:
            self._timer.pause()
            self._screen.refresh_bindings()
            self._on_fetched(self._fetch)
        self.update()

    def _on_fetched(self, fetch: DatasetFetch) -> None:
        wanted, self._is_wanted = self._is_wanted, False
        if wanted and fetch.dataset is not None:
            self._start()
        elif not (self._screen.is_current and self._pane.display):
            name = title(fetch.name)
            is_here = fetch.dataset is not None
            self._screen.context.notify(
                f"{name} is here" if is_here else f"no {name}: Data says why"
            )

    def update(self) -> None:
        """Show how the fetch goes, and what the keys do now."""
        fetch = self._fetch
        if fetch is None:
            return
        if fetch.dataset is not None and not self._shows_real:
            self._shows_real = True
            info = fetch.dataset.info
            self._pane.show_images(_first_of_each(fetch.dataset), info.classes, info.title)
        self._note(format_share(fetch))
        is_training = self._screen.app_state.is_training
        self._pane.show(fetch, FirstTraining(RECIPE, self._outcome, self._is_wanted, is_training))

    def _note(self, text: str) -> None:
        """Tell it where the sketches are looked at, too."""
        set_border_titles(self._screen.query_one(DatasetHeader), subtitle=text)

    @property
    def has_failed(self) -> bool:
        return self._fetch is not None and not self._fetch.is_running and not self._fetch.dataset

    @property
    def is_fetching(self) -> bool:
        return self._fetch is not None and self._fetch.is_running

    @property
    def dataset(self) -> str:
        """The dataset to look at: the one fetched, or the sketches until it is here."""
        fetch = self._fetch
        return fetch.name if fetch is not None and fetch.dataset is not None else SKETCHES

    def train(self) -> None:
        """Train the first network, now or as soon as the images are here."""
        if self._screen.app_state.is_training:
            self._screen.context.show("train")
        elif self.is_fetching:
            self._is_wanted = not self._is_wanted
            self.update()
        else:
            self._start()

    def _start(self) -> None:
        try:
            config = first_config(self.dataset)
        except UserError as error:
            self._screen.notify_error(str(error).split("\n")[0])
            return
        if self._screen.context.start_run(config):
            self._screen.context.show("train")


def first_config(dataset: str) -> RunConfig:
    """The settings of the first training, as changed by the environment."""
    recipe = recipes.load_recipe(RECIPE)
    changes = recipes.settings_from_environment()
    if not recipe.uses_gpu:
        changes = {"epochs": EPOCHS, **changes}
    return recipe.config(**{"dataset": dataset, **changes})


def _expect() -> str:
    """`over 90 %, about 12 s on two cores`, from the measured figures of the recipe."""
    recipe = recipes.load_recipe(RECIPE)
    measured = recipe.result
    if measured is None:
        return ""
    epochs = recipe.values["epochs"] if not recipe.uses_gpu else EPOCHS
    seconds = format_short_duration(measured.seconds * EPOCHS / epochs)
    where = "one GPU" if recipe.uses_gpu else "two cores"
    kind = "" if measured.warm_seconds else " in training steps"
    return f"over 90 %, about {seconds}{kind} on {where}"


def _draw_sketches() -> list[npt.NDArray[np.uint8]]:
    """A sketch of each class."""
    from fmnist_tui.data.sketches.sketch_dataset import draw

    images, _ = draw(len(DATASETS[SKETCHES].classes), 0, 0)
    return list(images)


def _first_of_each(dataset: Dataset) -> list[npt.NDArray[np.uint8]]:
    """The first training image of each class."""
    split = dataset.train
    firsts = (
        np.flatnonzero(split.labels == label)[:1] for label in range(len(dataset.info.classes))
    )
    return [split.images[first[0]] for first in firsts if len(first)]
