"""Colours of confusion matrices, and a small matrix that is updated while a run trains.

Correct predictions have the theme's primary colour and errors its error colour, a pair that
colour-blind people can tell apart; the diagonal shows the correct ones without colour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.strip import Strip

from fmnist_tui.render.halfblock import HALF
from fmnist_tui.tui.widgets.incremental import IncrementalWidget
from fmnist_tui.util.text import cell_width, safe_text

LEVELS = 8
# The strongest error colour stands for this share of a row and everything above.
MAX_ERROR_SHARE = 0.2
_MAX_BLEND = 0.9
Counts = Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class HeatColours:
    """Cell styles by heat level, from almost 0 up, each with readable text."""

    right: tuple[Style, ...]
    wrong: tuple[Style, ...]
    cursor: Style

    def style(self, share: float, right: bool) -> Style:
        """The style of a cell that holds this share of its row (or column)."""
        return (self.right if right else self.wrong)[heat_level(share, right)]


def heat_level(share: float, right: bool) -> int:
    scaled = share if right else share / MAX_ERROR_SHARE
    return max(0, min(LEVELS - 1, int(scaled * LEVELS)))


def heat_colours(theme: Mapping[str, str], dark: bool) -> HeatColours:
    """The colours for a theme with these variables (`App.theme_variables`)."""
    names = ("background", "primary", "error", "accent")
    return _cached_colours(*(theme[name] for name in names), dark)


@lru_cache(maxsize=8)
def _cached_colours(
    background: str, right: str, wrong: str, cursor: str, dark: bool
) -> HeatColours:
    ground = Color.parse(background)
    if ground.ansi is not None:
        # A theme of the terminal's own colours has an unknown background.
        ground = Color.parse("#000000" if dark else "#ffffff")

    def plain(name: str) -> Color:
        colour = Color.parse(name)
        return Color(colour.r, colour.g, colour.b)

    def scale(name: str) -> tuple[Style, ...]:
        strongest = plain(name)
        return tuple(
            _style(ground.blend(strongest, _MAX_BLEND * level / LEVELS))
            for level in range(1, LEVELS + 1)
        )

    return HeatColours(scale(right), scale(wrong), _style(plain(cursor)) + Style(bold=True))


def _style(ground: Color) -> Style:
    text = ground.get_contrast_text(1.0)
    return Style(color=_rich(text), bgcolor=_rich(ground))


def _rich(colour: Color) -> RichColor:
    return RichColor.from_rgb(colour.r, colour.g, colour.b)


def cell_shares(confusion: Counts, by_column: bool = False) -> tuple[tuple[float, ...], ...]:
    """Every cell as a share of its row, or of its column; 0 if that is empty."""
    totals = [sum(line) for line in (zip(*confusion, strict=True) if by_column else confusion)]
    return tuple(
        tuple(
            count / total if (total := totals[predicted if by_column else true]) else 0.0
            for predicted, count in enumerate(row)
        )
        for true, row in enumerate(confusion)
    )


def fit_label(text: str, width: int, *, right: bool = False) -> str:
    """A class name in exactly `width` cells; its beginning is kept."""
    text = safe_text(text)
    while cell_width(text) > width:
        text = text[:-1]
    blank = " " * (width - cell_width(text))
    return blank + text if right else text + blank


@dataclass(frozen=True, slots=True)
class HeatLayout:
    """The layout of a matrix: widths of header and cells, half rows, margins."""

    head: int
    cell: int
    half: bool
    left: int
    top: int


def plan_layout(
    width: int, height: int, count: int, longest: int, digits: int
) -> HeatLayout | None:
    """The most readable layout of `count` classes in this space; None if none fits."""
    if not count or width < count or height < 3:
        return None
    half = height < count + 1
    if half and 2 * height < count:
        return None
    cell = 1
    if not half:
        # The wider the cells, the more of the class names must remain.
        widths = range(min(digits + 1, 6), 1, -1)
        name_widths = {2: 3, 3: 5}
        fits = (w for w in widths if w * count + min(longest, name_widths.get(w, 7)) < width)
        cell = next(fits, 1)
    head = 0 if half else min(longest + 1, 14, width - cell * count)
    head = head if head >= 4 else 0
    used = head + cell * count
    rows = (count + 1) // 2 if half else count + 1
    return HeatLayout(head, cell, half, max(0, (width - used) // 2), max(0, (height - rows) // 2))


class ConfusionHeat(IncrementalWidget):
    """A small confusion matrix with true classes as rows, updated by `show`.

    Cells have counts if they fit, else per cent of the row; with many classes only the colours
    remain, two rows per line."""

    DEFAULT_CSS = "ConfusionHeat { height: 1fr; min-height: 3; }"

    _confusion: tuple[tuple[int, ...], ...] = ()
    _names: tuple[str, ...] = ()
    _shares: tuple[tuple[float, ...], ...] = ()
    # Of the largest count.
    _digits = 1

    def show(self, confusion: Counts, classes: Sequence[str]) -> None:
        """Show these counts, or a text if there are none."""
        counts = tuple(tuple(row) for row in confusion)
        names = tuple(classes)
        if (counts, names) == (self._confusion, self._names):
            return
        is_valid = len(counts) == len(names) and all(len(row) == len(names) for row in counts)
        self._confusion, self._names = (counts, names) if is_valid else ((), ())
        self._shares = cell_shares(self._confusion)
        self._digits = len(str(max((max(row) for row in self._confusion), default=0)))
        self.repaint()

    def paint(self, width: int, height: int, base: Style) -> Sequence[Strip]:
        layout = self._plan(width, height)
        return [self._line(y, layout, base) for y in range(height)]

    def _line(self, y: int, layout: HeatLayout | None, base: Style) -> Strip:
        if layout is None:
            return self._empty_line(y, base)
        row = y - layout.top
        if layout.half:
            segments = self._halves(row)
        elif row == 0:
            segments = self._header(layout, base)
        else:
            segments = self._row(layout, row - 1, base)
        indent = [Segment(" " * layout.left, base)] if layout.left else []
        return Strip([*indent, *segments])

    def _plan(self, width: int, height: int) -> HeatLayout | None:
        if not self._confusion:
            return None
        longest = max(cell_width(safe_text(name)) for name in self._names)
        return plan_layout(width, height, len(self._names), longest, self._digits)

    def _empty_line(self, y: int, base: Style) -> Strip:
        """Why there is no matrix, in the middle of the widget."""
        count, width = len(self._names), self.size.width
        message = f"{count} classes need more space" if count else "no validation yet"
        text = message if y == self.size.height // 2 else ""
        centred = fit_label(text, min(width, cell_width(text))).center(width)
        return Strip([Segment(centred, base)]).adjust_cell_length(width, base)

    def _header(self, layout: HeatLayout, base: Style) -> list[Segment]:
        style = base + Style(dim=True)
        corner = "count" if layout.cell > self._digits else "row %"
        if layout.cell < 2:
            corner = ""
        gap = 1 if layout.cell > 2 else 0
        names = [fit_label(name, layout.cell - gap) for name in self._names]
        text = fit_label(corner, layout.head) + "".join(" " * gap + name for name in names)
        return [Segment(text, style)]

    def _row(self, layout: HeatLayout, true: int, base: Style) -> list[Segment]:
        if not 0 <= true < len(self._names):
            return []
        heat = heat_colours(self.app.theme_variables, self.app.current_theme.dark)
        segments = []
        if layout.head:
            segments.append(Segment(fit_label(self._names[true], layout.head - 1) + " ", base))
        for predicted, count in enumerate(self._confusion[true]):
            share = self._shares[true][predicted]
            text = str(count) if layout.cell > self._digits else _format_share(share, layout.cell)
            style = base + heat.style(share, true == predicted) if count else base + Style(dim=True)
            label = fit_label(text if count else "·", layout.cell, right=True)
            segments.append(Segment(label, style))
        return segments

    def _halves(self, row: int) -> list[Segment]:
        """Two rows of the matrix in one line of half-blocks."""
        heat = heat_colours(self.app.theme_variables, self.app.current_theme.dark)
        empty_cell = heat.right[0].bgcolor
        segments: list[Segment] = []
        if not 0 <= 2 * row < len(self._names):
            return segments
        for predicted in range(len(self._names)):
            grounds = []
            for true in (2 * row, 2 * row + 1):
                filled = true < len(self._names) and self._confusion[true][predicted]
                share = self._shares[true][predicted] if filled else 0.0
                style = heat.style(share, true == predicted)
                grounds.append(style.bgcolor if filled else empty_cell)
            segments.append(Segment(HALF, Style(color=grounds[0], bgcolor=grounds[1])))
        return segments


def _format_share(share: float, width: int) -> str:
    """A share in per cent in two or three cells; only exactly 1 is `100` or `●`."""
    if width < 2:
        return " "
    if share >= 1:
        return "100" if width > 2 else "●"
    hundredths = int(100 * share)
    return str(hundredths) if hundredths or width > 2 else "·"
