"""Trials over their settings, as slices or as lines across; `turn` goes from one to the other."""

from __future__ import annotations

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from fmnist_tui.sweeps.snapshot import Snapshot
from fmnist_tui.tui.screens.sweep import space_plot
from fmnist_tui.tui.widgets.incremental import IncrementalWidget, entitle
from fmnist_tui.util.text import safe_text

SLICES, PARALLEL = "slices", "parallel"


class SpacePlot(IncrementalWidget):
    """`show` gives it a study, the order in which settings matter, and the trial in view."""

    DEFAULT_CSS = "SpacePlot { height: 1fr; min-height: 5; }"
    view = SLICES

    def __init__(
        self,
        *,
        id: str | None = None,  # noqa: A002 - Textual's name for it
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._shown: Snapshot | None = None
        self._order: tuple[str, ...] = ()
        self._here: int | None = None
        self._drawn: object = None

    def show(
        self, shown: Snapshot | None, order: Sequence[str] = (), here: int | None = None
    ) -> None:
        """Draw this, if it is other than what is drawn."""
        values = shown and [(one.number, one.state, one.value) for one in shown.trials]
        wanted = (shown and shown.name, values, tuple(order), here, self.view)
        if wanted != self._drawn:
            self._drawn = wanted
            self._shown, self._order, self._here = shown, tuple(order), here
            self.repaint()

    def turn_to(self, view: str) -> None:
        """Show slices, or lines across."""
        if view != self.view:
            self.view = view
            self.repaint()

    def paint(self, width: int, height: int, base: Style) -> Sequence[Strip]:
        shown = self._shown
        if shown is None or not space_plot.drawable(shown):
            self._entitle("")
            words = "values over settings come here"
            return [Strip.blank(width, base)] * (height // 2) + [
                Strip([Segment(words.center(width), base)])
            ]
        inner = width - 2
        if self.view == PARALLEL:
            rows, count = space_plot.parallel(shown, self._order, self._here, inner, height)
            about = "◆ best" if shown.best is not None else ""
        else:
            rows, count = space_plot.slices(shown, self._order, self._here, inner, height)
            about = space_plot.span(shown)
        left = len(shown.spec.space) - count
        self._entitle(f"{about}  {left} more in a larger window" if rows and left else about)
        if not rows:
            return [Strip([Segment("too little room for this".center(width), base)])]
        return [
            Strip([Segment(" ", base), *(self._segment(part, base) for part in row)])
            for row in rows
        ]

    def _entitle(self, about: str) -> None:
        title = "value over each setting" if self.view == SLICES else "trials across all settings"
        # Not while painting: a border that changes has the pane drawn anew.
        self.call_later(entitle, self, title, safe_text(about))

    def _segment(self, part: tuple[str, str], base: Style) -> Segment:
        text, name = part
        bold = name.startswith("bold ")
        colour = self.app.theme_variables.get(name.removeprefix("bold "), "")[:7]
        style = Style(color=colour if colour.startswith("#") else None, bold=bold or None)
        return Segment(safe_text(text), base + style)
