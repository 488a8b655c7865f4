"""What the model thinks of a few images, shown beside the run: its glances, and their pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.screens.train.sample_pane import SamplePane
from fmnist_tui.tui.state.dataset_cache import DataSpec
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.tui.widgets.confusion_heatmap import ConfusionHeat
from fmnist_tui.tui.widgets.incremental import entitle

if TYPE_CHECKING:
    from fmnist_tui.data.dataset import Split


class SamplePredictions:
    """Keeps a screen's pictures and small matrix at the latest glance of the run on the bench."""

    def __init__(self, screen: DashboardScreen) -> None:
        self._screen = screen
        self._pictured: tuple[object, tuple[int, ...]] | None = None
        self._glanced: object = None

    def renew(self, feed: RunFeed | None) -> None:
        """Show the same anew, as pictures may be drawn another way."""
        self._glanced = None
        self.show(feed)

    def show(self, feed: RunFeed | None) -> None:
        """Show the run's latest glance, if it is another than before."""
        thinks, heat = self._screen.query_one(SamplePane), self._screen.query_one(ConfusionHeat)
        glance = feed.state.glance if feed is not None else None
        if glance is self._glanced and glance is not None:
            return
        self._glanced = glance
        renderer = self._screen.app_state.renderer
        classes = feed.state.started.classes if feed is not None and feed.state.started else ()
        if glance is None:
            thinks.show(
                None,
                classes,
                renderer,
                "ten validation images and what the model says of them, once a run goes",
            )
            heat.show((), ())
            return
        thinks.show(glance, classes, renderer)
        heat.show(glance.confusion, classes)
        entitle(thinks, subtitle=f"epoch {glance.epoch}")
        entitle(heat, subtitle=f"{glance.count:,} of val")
        if feed is not None and self._pictured != (feed, glance.indices):
            self._pictured = (feed, glance.indices)
            self._fetch_pictures(feed, glance.indices)

    def _fetch_pictures(self, feed: RunFeed, indices: tuple[int, ...]) -> None:
        """The pictures of a glance: from the training itself, or read by a thread."""
        own = feed.training.dataset if feed.training is not None else None
        config, library = feed.config, self._screen.app_state.datasets
        if own is None and config is None:
            return

        def find() -> dict[int, Any]:
            spec = DataSpec.of(config) if config is not None else None
            data = own
            if data is None and spec is not None:
                data = library.load(spec, fetch=False)
            if data is None:
                return {}
            if own is not None and spec is not None:
                library.keep(spec, own)
            return pictures_of(data.val, indices)

        pictures = self._screen.query_one(SamplePane).pictures
        self._screen.later(find, pictures, lambda _: None, group="pictures")


def pictures_of(split: Split, indices: tuple[int, ...]) -> dict[int, Any]:
    """The split's pictures at these places of the data set."""
    import numpy as np

    found = {}
    for index in indices:
        places = np.flatnonzero(split.indices == index)
        if len(places):
            found[index] = split.images[places[0]]
    return found
