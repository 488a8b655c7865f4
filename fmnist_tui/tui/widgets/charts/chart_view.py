"""What charts have in common: the part of the x axis that they show, the cursor, the scale."""

from __future__ import annotations

from typing import Protocol

from fmnist_tui.render.line_chart import MARGIN
from fmnist_tui.tui.state.settings import Settings

# The y axis of charts that may have a log scale: by the values, or as the user has chosen.
AUTO, LOG, LINEAR = "auto", "log", "linear"
SCALE_SETTING = "chart.scale"
# The narrowest part, as a share of everything.
_NARROWEST = 0.002


class ViewedChart(Protocol):
    """A chart that shows a view."""

    @property
    def extent(self) -> tuple[float, float] | None:
        """The range of its xs; None if it has none."""

    @property
    def label_cells(self) -> int:
        """The cells that the labels of its y axis need."""

    def view_changed(self, *, redraw: bool, keys: bool) -> None:
        """The cursor has moved or, with `redraw`, the part or the scale has changed; with `keys`
        other keys work than before."""


class ChartView:
    """`part` is the range of the x axis that is shown, None for all; `cursor` is an x."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.part: tuple[float, float] | None = None
        self.cursor: float | None = None
        # The cells beside the y axis, the same for all charts: they have the same columns.
        self.margin = MARGIN
        self.charts: list[ViewedChart] = []
        self._settings = settings
        self._scale = AUTO

    @property
    def scale(self) -> str:
        """The user's choice, of all charts that have one."""
        return self._settings.get(SCALE_SETTING, AUTO) if self._settings else self._scale

    @property
    def extent(self) -> tuple[float, float] | None:
        """The range of the xs of all charts."""
        extents = [chart.extent for chart in self.charts if chart.extent is not None]
        if not extents:
            return None
        return min(low for low, _ in extents), max(high for _, high in extents)

    def choose_scale(self, log: bool, suggested: bool) -> None:
        """Choose a log scale or not; what the values suggest is chosen as long as they do."""
        self._scale = AUTO if log == suggested else LOG if log else LINEAR
        if self._settings is not None:
            self._settings.save(SCALE_SETTING, self._scale)
        self._notify(redraw=True)

    def fit_margin(self) -> None:
        """Give all charts as many cells beside the y axis as one of them needs."""
        margin = max(MARGIN, *(chart.label_cells for chart in self.charts))
        if margin != self.margin:
            self.margin = margin
            self._notify(redraw=True)

    def move_cursor(self, x: float | None) -> None:
        if x != self.cursor:
            appears = (x is None) != (self.cursor is None)
            self.cursor = x
            self._notify(redraw=False, keys=appears)

    def zoom(self, factor: float, around: float) -> None:
        """Show `factor` times as much, with `around` where it is."""
        if (extent := self.extent) is None:
            return
        low, high = self.part or extent
        widest = extent[1] - extent[0]
        width = (high - low) * factor
        if width >= widest:
            self.show_all()
        elif width >= _NARROWEST * widest:
            share = (around - low) / (high - low)
            self._show(around - share * width, width, extent)

    def pan(self, by: float) -> None:
        """Move the part that is shown, by a share of its width."""
        if self.part is not None and (extent := self.extent) is not None:
            low, high = self.part
            self._show(low + by * (high - low), high - low, extent)

    def show_all(self) -> None:
        if self.part is not None:
            self.part = None
            self._notify(redraw=True)

    def _show(self, low: float, width: float, extent: tuple[float, float]) -> None:
        low = max(extent[0], min(extent[1] - width, low))
        if self.part != (low, low + width):
            self.part = (low, low + width)
            self._notify(redraw=True)

    def _notify(self, *, redraw: bool, keys: bool = True) -> None:
        for chart in self.charts:
            chart.view_changed(redraw=redraw, keys=keys)
