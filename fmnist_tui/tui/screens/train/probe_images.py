"""Ten fixed validation images, the probe images, and what the model thinks of them."""

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
from fmnist_tui.tui.base.screen import FOLD_BELOW, DashboardScreen
from fmnist_tui.tui.key_names import name_keys
from fmnist_tui.tui.state.dataset_cache import DatasetSpec
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.tui.theme import muted_style, text_colour
from fmnist_tui.tui.widgets.confusion_heatmap import ConfusionHeat
from fmnist_tui.tui.widgets.image_view import to_strips
from fmnist_tui.tui.widgets.incremental import IncrementalWidget, set_border_titles
from fmnist_tui.util.class_names import short_name
from fmnist_tui.util.formatting import format_percent

if TYPE_CHECKING:
    from fmnist_tui.data.dataset import Split

GAP = 2
CAPTION_LINES = 2
# The widths of an image, in cells: the first is used at which all images fit, or else the first
# at which enough of them do.
WIDTHS = (28, 24, 20, 18, 16, SMALL)
SMALL_WIDTHS = (SMALL, 10, TINY)
ENOUGH = 6
TITLE = "Probe images"
LONG_TITLE = f"{TITLE} — what the model thinks now"
_HINT = "ten validation images and what the model thinks of them appear here during a run"


@dataclass(frozen=True, slots=True)
class ProbeLayout:
    """The width of an image in cells, how many images are side by side, and how many fit."""

    width: int
    per_row: int
    shown: int

    @property
    def height(self) -> int:
        """The lines of an image: a cell is two pixels high."""
        return (self.width + 1) // 2

    @property
    def pitch(self) -> int:
        """The cells from an image to the next, which its caption may use."""
        return self.width + GAP

    @classmethod
    def fit(cls, width: int, height: int, count: int) -> ProbeLayout:
        """The largest images of which all fit, or else enough to look at."""
        for widths, enough in ((WIDTHS, count), (SMALL_WIDTHS, min(ENOUGH, count))):
            for image_width in widths:
                layout = cls._of_width(image_width, width, height, count)
                if layout.shown >= enough:
                    return layout
        return layout

    @classmethod
    def _of_width(cls, image_width: int, width: int, height: int, count: int) -> ProbeLayout:
        # A caption may be a cell wider than its image.
        per_row = max(1, (width + 1) // (image_width + GAP))
        rows = max(1, height // ((image_width + 1) // 2 + CAPTION_LINES))
        return cls(image_width, min(per_row, count), min(count, per_row * rows))


class ProbePane(IncrementalWidget):
    """The images with predicted class and confidence; blank until they are loaded."""

    DEFAULT_CSS = "ProbePane { height: 1fr; }"

    _glance: Glance | None = None
    _names: tuple[str, ...] = ()
    _renderer = "halfblock"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._images: Mapping[int, npt.NDArray[Any]] = {}
        self._image_strips: dict[tuple[int, int, str], list[Strip]] = {}

    def show(self, glance: Glance | None, names: tuple[str, ...], renderer: str) -> None:
        self._glance, self._names, self._renderer = glance, names, renderer
        self._show_titles()
        self.repaint()

    def on_resize(self) -> None:
        self._show_titles()

    def _show_titles(self) -> None:
        """Say what is shown, how old the predictions are, and how many images there is room for."""
        parts, width = [], self.size.width
        title = LONG_TITLE if width > len(LONG_TITLE) else TITLE
        if self._glance is not None and self._glance.indices:
            count = len(self._glance.indices)
            shown = ProbeLayout.fit(*self.size, count).shown
            parts = [f"epoch {self._glance.epoch}"]
            if shown < count:
                more = (
                    name_keys(": {view.next} shows all")
                    if self.app.size.width >= FOLD_BELOW > width
                    else ""
                )
                parts.append(f"{shown} of {count}{more}")
        set_border_titles(self, title, " · ".join(parts))

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
        layout = ProbeLayout.fit(width, height, len(glance.indices))
        left = Strip.blank(max(0, width + 1 - layout.per_row * layout.pitch) // 2, base)
        strips: list[Strip] = []
        for first in range(0, layout.shown, layout.per_row):
            row = range(first, min(first + layout.per_row, layout.shown))
            images = [self._image(glance.indices[probe], layout, base) for probe in row]
            captions = [self._caption(glance, probe, layout, base) for probe in row]
            for strip in (*zip(*images, strict=True), *zip(*captions, strict=True)):
                cells = (part.adjust_cell_length(layout.pitch, base) for part in strip)
                strips.append(Strip.join([left, *cells]))
        return strips

    def _caption(
        self, glance: Glance, probe: int, layout: ProbeLayout, base: Style
    ) -> tuple[Strip, Strip]:
        """`✓ Coat 98 %`, and below a wrong one `is Pullover`."""
        predicted, true = glance.said[probe], glance.labels[probe]
        sign, colour = ("✓", "success") if predicted == true else ("✗", "error")
        style = base + Style(color=text_colour(self.app.theme_variables[colour]))
        room, share = layout.pitch - 1, f" {format_percent(glance.shares[probe], 0)}"
        name = short_name(self._names, predicted, room - 2)
        beside = short_name(self._names, predicted, max(1, room - 2 - len(share)))
        below = share.strip()
        segments = [Segment(f"{sign} {name}", style)]
        if beside == name or not beside.endswith("…"):
            below = ""
            segments = [Segment(f"{sign} {beside}", style), Segment(share, base)]
        if predicted != true:
            below = f"is {short_name(self._names, true, room - 3)}"
        return Strip(segments), Strip(
            [Segment(below, base + muted_style(self.app.theme_variables))]
        )

    def _image(self, index: int, layout: ProbeLayout, base: Style) -> list[Strip]:
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


class ProbeImages:
    """Shows the latest predictions of the followed run on a screen: probe images and matrix."""

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
        pane, heatmap = self._screen.query_one(ProbePane), self._screen.query_one(ConfusionHeat)
        glance = feed.state.glance if feed is not None else None
        if glance is self._last_glance and glance is not None:
            return
        self._last_glance = glance
        names = feed.state.started.classes if feed is not None and feed.state.started else ()
        pane.show(glance, names, self._screen.app_state.renderer)
        if feed is None or glance is None:
            heatmap.show((), ())
            set_border_titles(heatmap, subtitle="")
            return
        heatmap.show(glance.confusion, names)
        set_border_titles(heatmap, subtitle=f"{glance.count:,} validation images")
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
            set_images = self._screen.query_one(ProbePane).set_images
            # Without the dataset the images stay blank.
            self._screen.run_in_thread(load, set_images, lambda _: None, group="probe images")


def find_images(split: Split, indices: tuple[int, ...]) -> dict[int, Any]:
    """The images of a split by their index in the dataset."""
    import numpy as np

    images = {}
    for index in indices:
        positions = np.flatnonzero(split.indices == index)
        if len(positions):
            images[index] = split.images[positions[0]]
    return images
