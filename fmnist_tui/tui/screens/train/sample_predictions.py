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
from fmnist_tui.render import SMALL, TINY, render
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.state.dataset_cache import DatasetSpec
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.tui.widgets.confusion_heatmap import ConfusionHeat
from fmnist_tui.tui.widgets.incremental import IncrementalWidget, entitle
from fmnist_tui.tui.widgets.picture import strips
from fmnist_tui.util.text import safe_text

if TYPE_CHECKING:
    from fmnist_tui.data.dataset import Split

CAPTION = 9
GAP = 1


@dataclass(frozen=True, slots=True)
class SampleLayout:
    """How large the pictures are and how many stand side by side."""

    columns: int
    abreast: int

    @property
    def rows(self) -> int:
        """The rows of a picture: a cell is two pixels high."""
        return (self.columns + 1) // 2

    @classmethod
    def fitting(cls, width: int, height: int, count: int) -> SampleLayout:
        """The largest pictures of which all fit; the smallest where none do."""
        for columns in (SMALL, TINY):
            abreast = max(1, (width + GAP) // (columns + CAPTION + GAP))
            layout = cls(columns, abreast)
            if -(-count // abreast) * layout.rows <= height:
                return layout
        return layout


class SamplePane(IncrementalWidget):
    """The images of a run's glances. Pictures come when the data are at hand."""

    DEFAULT_CSS = "SamplePane { height: 1fr; }"

    def __init__(self, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._glance: Glance | None = None
        self._names: tuple[str, ...] = ()
        self._pictures: Mapping[int, npt.NDArray[Any]] = {}
        self._renderer = "halfblock"
        self._empty = ""
        self._drawn: dict[tuple[int, int, str], list[Strip]] = {}

    def show(
        self, glance: Glance | None, classes: tuple[str, ...], renderer: str, empty: str = ""
    ) -> None:
        """Show a glance; `empty` is what to say where there is none."""
        self._glance, self._names, self._empty = glance, classes, empty
        self._renderer = renderer
        self.repaint()

    def pictures(self, found: Mapping[int, npt.NDArray[Any]]) -> None:
        """The images by their index in the data set."""
        self._pictures = found
        self._drawn.clear()
        self.repaint()

    def paint(self, width: int, height: int, base: Style) -> Sequence[Strip]:
        glance = self._glance
        if glance is None or not glance.indices:
            words = textwrap.wrap(self._empty, max(1, width - 2))
            above = max(0, (height - len(words)) // 2)
            lines = [""] * above + [word.center(width) for word in words]
            return [Strip([Segment(line, base)]) for line in lines]
        layout = SampleLayout.fitting(width, height, len(glance.indices))
        caption = width // layout.abreast - layout.columns - GAP
        drawn: list[Strip] = []
        for first in range(0, len(glance.indices), layout.abreast):
            places = range(first, min(first + layout.abreast, len(glance.indices)))
            for line in range(layout.rows):
                parts: list[Strip] = []
                for place in places:
                    said = self._caption(glance, place, line - (layout.rows - 3) // 2, base)
                    parts.append(self._picture(glance.indices[place], layout, base)[line])
                    parts.append(
                        Strip([Segment(" " * GAP, base), said]).adjust_cell_length(
                            caption + GAP, base
                        )
                    )
                drawn.append(Strip.join(parts))
        return drawn

    def _caption(self, glance: Glance, place: int, line: int, base: Style) -> Segment:
        said, true = glance.said[place], glance.labels[place]
        right = said == true
        if line == 0:
            colour = self.app.theme_variables["success" if right else "error"][:7]
            sign = "✓" if right else "✗"
            return Segment(f"{sign} {self._named(said)}", base + Style(color=colour))
        if line == 1:
            return Segment(f"  {100 * glance.shares[place]:.0f} %", base)
        if line == 2 and not right:
            return Segment(f"is {self._named(true)}", base + Style(dim=True))
        return Segment("", base)

    def _named(self, number: int) -> str:
        known = 0 <= number < len(self._names)
        return safe_text(self._names[number], 40) if known else str(number)

    def _picture(self, index: int, layout: SampleLayout, base: Style) -> list[Strip]:
        key = (index, layout.columns, self._renderer)
        if key not in self._drawn:
            picture = self._pictures.get(index)
            blank = Strip([Segment(" " * layout.columns, base)], layout.columns)
            drawn: list[Strip] = []
            if picture is not None:
                rows = render(picture, self._renderer, layout.columns)
                drawn = [
                    strip.adjust_cell_length(layout.columns, base) for strip in strips(rows, base)
                ]
            self._drawn[key] = (drawn + [blank] * layout.rows)[: layout.rows]
        return self._drawn[key]


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
            spec = DatasetSpec.of(config) if config is not None else None
            data = own
            if data is None and spec is not None:
                data = library.load(spec, fetch=False)
            if data is None:
                return {}
            if own is not None and spec is not None:
                library.put(spec, own)
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
