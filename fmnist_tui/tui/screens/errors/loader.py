"""The images that Errors is about: gathered in a thread from predictions and a data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fmnist_tui.analysis.predictions import Misclassified, MissOrder
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.screens.errors.filters import EVERY, Classes, SplitImages, open_album
from fmnist_tui.tui.state.evaluation_cache import LoadedEvaluation
from fmnist_tui.tui.state.run_feed import RunFeed


@dataclass(frozen=True, slots=True)
class LoadedErrors:
    """The images of a pair in their order, the pictures of the split, and how many images
    are not what they were when they were predicted."""

    found: LoadedEvaluation
    misses: list[Misclassified]
    album: SplitImages
    strays: int


class ErrorLoader:
    """`pair` is which images are wanted, `gathered` what there is of them, `trouble` why not."""

    def __init__(self, screen: DashboardScreen, changed: Callable[[], None]) -> None:
        self._screen, self._changed = screen, changed
        self.pair: Classes = EVERY
        self.gathered: LoadedErrors | None = None
        self.trouble = ""
        self._wanted: object = None
        self._album: tuple[tuple[Path, str], SplitImages] | None = None

    def nothing(self) -> None:
        """There are no predictions to gather from."""
        self.gathered, self._wanted, self.trouble = None, None, ""

    def gather(self, found: LoadedEvaluation, order: MissOrder, feed: RunFeed | None) -> None:
        """Gather what is wanted, if that is not done already. `feed` is the run on the bench,
        if it is this one: its data set is at hand."""
        known = len(found.predictions.classes)
        if any(number is not None and number >= known for number in self.pair):
            self.pair = EVERY
        wanted = (found, self.pair, order)
        if self._wanted == wanted:
            return
        self._wanted, self.trouble = wanted, ""
        pair, place = self.pair, (found.folder.path, found.split)
        at_hand = self._album[1] if self._album is not None and self._album[0] == place else None
        if at_hand is None:
            self.gathered = None
        own = feed.training.dataset if feed is not None and feed.training is not None else None
        library = self._screen.app_state.datasets

        def work() -> LoadedErrors:
            album = at_hand or open_album(library, found.folder, found.split, own)
            misses = found.predictions.misses(*pair, order)
            return LoadedErrors(found, misses, album, album.strays(found.predictions))

        def then(gathered: LoadedErrors) -> None:
            self._album = (place, gathered.album)
            self.gathered = gathered
            self._changed()

        def failed(why: str) -> None:
            self.gathered, self.trouble = None, why
            self._changed()

        self._screen.later(work, then, failed, group="gather")
