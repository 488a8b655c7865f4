"""What the model predicts for ten fixed validation images while it trains."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy.typing as npt
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from fmnist_tui.protocol.events import Glance
from fmnist_tui.render.contact_sheet import SMALL, TINY
from fmnist_tui.render.renderers import draw_image
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.state.dataset_cache import DatasetSpec
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.tui.widgets.confusion_heatmap import ConfusionHeat
from fmnist_tui.tui.widgets.image_view import to_strips
from fmnist_tui.tui.widgets.incremental import IncrementalWidget, set_border_titles
from fmnist_tui.util.formatting import format_percent
from fmnist_tui.util.text import safe_text

if TYPE_CHECKING:
    from fmnist_tui.data.dataset import Split

CAPTION_WIDTH = 9
GAP = 1
_HINT = "ten validation images and their predictions appear here during a run"


@dataclass(frozen=True, slots=True)
class SampleLayout:
    """The width of an image in cells, and how many images are side by side."""

    width: int
    per_row: int

    @property
    def height(self) -> int:
        """The lines of an image: a cell is two pixels high."""
        return (self.width + 1) // 2

    @classmethod
    def fit(cls, width: int, height: int, count: int) -> SampleLayout:
        """The largest images of which all fit; the smallest where none do."""
        for image_width in (SMALL, TINY):
            per_row = max(1, (width + GAP) // (image_width + CAPTION_WIDTH + GAP))
            layout = cls(image_width, per_row)
            if -(-count // per_row) * layout.height <= height:
                return layout
        return layout


class SamplePane(IncrementalWidget):
    """The sample images with class and confidence; blank until the images are loaded."""

    DEFAULT_CSS = "SamplePane { height: 1fr; }"

    _glance: Glance | None = None
    _names: tuple[str, ...] = ()
    _renderer = "halfblock"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._images: Mapping[int, npt.NDArray[Any]] = {}
        self._image_strips: dict[tuple[int, int, str], list[Strip]] = {}

    def show(self, glance: Glance | None, names: tuple[str, ...], renderer: str) -> None:
        self._glance, self._names, self._renderer = glance, names, renderer
        self.repaint()

    def set_images(self, images: Mapping[int, npt.NDArray[Any]]) -> None:
        """Set the images by their index in the dataset."""
        self._images = images
        self._image_strips.clear()
        self.repaint()

    def paint(self, width: int, height: int, base: Style) -> Sequence[Strip]:
        glance = self._glance
        if glance is None or not glance.indices:
            words = textwrap.wrap(_HINT, max(1, width - 2))
            above = max(0, (height - len(words)) // 2)
            lines = [""] * above + [word.center(width) for word in words]
            return [Strip([Segment(line, base)]) for line in lines]
        count = len(glance.indices)
        layout = SampleLayout.fit(width, height, count)
        caption_width = width // layout.per_row - layout.width
        strips: list[Strip] = []
        for first in range(0, count, layout.per_row):
            row = range(first, min(first + layout.per_row, count))
            for line in range(layout.height):
                parts: list[Strip] = []
                for sample in row:
                    caption = self._caption(glance, sample, line - (layout.height - 3) // 2, base)
                    caption_strip = Strip([Segment(" " * GAP, base), caption])
                    parts.append(self._image(glance.indices[sample], layout, base)[line])
                    parts.append(caption_strip.adjust_cell_length(caption_width, base))
                strips.append(Strip.join(parts))
        return strips

    def _caption(self, glance: Glance, sample: int, line: int, base: Style) -> Segment:
        predicted, true = glance.said[sample], glance.labels[sample]
        correct = predicted == true
        if line == 0:
            colour = self.app.theme_variables["success" if correct else "error"][:7]
            sign = "✓" if correct else "✗"
            return Segment(f"{sign} {self._class_name(predicted)}", base + Style(color=colour))
        if line == 1:
            return Segment(f"  {format_percent(glance.shares[sample], 0)}", base)
        if line == 2 and not correct:
            return Segment(f"is {self._class_name(true)}", base + Style(dim=True))
        return Segment("", base)

    def _class_name(self, number: int) -> str:
        known = 0 <= number < len(self._names)
        return safe_text(self._names[number], 40) if known else str(number)

    def _image(self, index: int, layout: SampleLayout, base: Style) -> list[Strip]:
        key = (index, layout.width, self._renderer)
        if key not in self._image_strips:
            image = self._images.get(index)
            blank = Strip([Segment(" " * layout.width, base)], layout.width)
            strips: list[Strip] = []
            if image is not None:
                rows = draw_image(image, self._renderer, layout.width)
                strips = [
                    strip.adjust_cell_length(layout.width, base) for strip in to_strips(rows, base)
                ]
            self._image_strips[key] = (strips + [blank] * layout.height)[: layout.height]
        return self._image_strips[key]


class SamplePredictions:
    """Shows the latest predictions of the followed run on a screen: samples and heatmap."""

    def __init__(self, screen: DashboardScreen) -> None:
        self._screen = screen
        self._last_glance: object = None
        self._loaded: object = None
        # The data and the positions of the images that the pane has.
        self._images_of: object = None

    def redraw(self, feed: RunFeed | None) -> None:
        """Draw again, as the renderer may have changed."""
        self._last_glance = None
        self.show(feed)

    def show(self, feed: RunFeed | None) -> None:
        """Show the run's latest predictions, if they are new."""
        pane, heatmap = self._screen.query_one(SamplePane), self._screen.query_one(ConfusionHeat)
        glance = feed.state.glance if feed is not None else None
        if glance is self._last_glance and glance is not None:
            return
        self._last_glance = glance
        names = feed.state.started.classes if feed is not None and feed.state.started else ()
        pane.show(glance, names, self._screen.app_state.renderer)
        if feed is None or glance is None:
            heatmap.show((), ())
            set_border_titles(pane, subtitle="")
            set_border_titles(heatmap, subtitle="")
            return
        heatmap.show(glance.confusion, names)
        set_border_titles(pane, subtitle=f"epoch {glance.epoch}")
        set_border_titles(heatmap, subtitle=f"{glance.count:,} of val")
        spec = DatasetSpec.of(feed.config) if feed.config is not None else None
        if self._images_of != (spec, glance.indices):
            # Those of another run must not be shown, whether or not these can be loaded.
            self._images_of = (spec, glance.indices)
            pane.set_images({})
        # A resumed run has predictions before it has its dataset.
        dataset = feed.training.dataset if feed.training is not None else None
        source = (feed, glance.indices, dataset is not None)
        if self._loaded != source:
            self._loaded = source
            self._load_images(feed, spec, glance.indices)

    def _load_images(
        self, feed: RunFeed, spec: DatasetSpec | None, indices: tuple[int, ...]
    ) -> None:
        """Take the images from the training in this process, or load them in a thread."""
        own = feed.training.dataset if feed.training is not None else None
        datasets = self._screen.app_state.datasets

        def load() -> dict[int, Any]:
            if own is not None and spec is not None:
                datasets.put(spec, own)
            dataset = own
            if dataset is None and spec is not None:
                dataset = datasets.load(spec, fetch=False)
            return find_images(dataset.val, indices) if dataset is not None else {}

        if own is not None or spec is not None:
            set_images = self._screen.query_one(SamplePane).set_images
            # Without the dataset the images stay blank.
            self._screen.run_in_thread(load, set_images, lambda _: None, group="sample images")


def find_images(split: Split, indices: tuple[int, ...]) -> dict[int, Any]:
    """The images of a split by their index in the dataset."""
    import numpy as np

    images = {}
    for index in indices:
        positions = np.flatnonzero(split.indices == index)
        if len(positions):
            images[index] = split.images[positions[0]]
    return images
