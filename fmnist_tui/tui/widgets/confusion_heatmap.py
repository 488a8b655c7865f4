"""Colours of confusion matrices, and a small matrix that is updated while a run trains.

Correct predictions have the theme's primary colour and errors its error colour, a pair that
colour-blind people can tell apart; the diagonal shows the correct ones without colour.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rich.color import Color as RichColor
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.strip import Strip

from fmnist_tui.render.halfblock import HALF
from fmnist_tui.tui.theme import contrast_ratio, muted_style
from fmnist_tui.tui.widgets.incremental import IncrementalWidget
from fmnist_tui.util.class_names import names_width, short_name, short_names
from fmnist_tui.util.text import cell_width, safe_text

LEVELS = 8
# Between the names of the rows and the cells; class names are at most as long as this.
SEPARATOR = "│"
MAX_NAME = 14
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


# The colours of text, of which the one that can be read better is taken.
_INKS = Color(0, 0, 0), Color(255, 255, 255)


def _style(ground: Color) -> Style:
    text = max(_INKS, key=lambda colour: contrast_ratio(colour, ground))
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
    """The layout of a matrix: cells of the row labels and of a column, the first of which is a
    separator; whether names or numbers head the columns; half rows; margins."""

    label: int
    cell: int
    named: bool
    half: bool
    left: int
    top: int


def plan_layout(width: int, height: int, names: Sequence[str]) -> HeatLayout | None:
    """The most readable layout of these classes in this space; None if none fits."""
    count = len(names)
    if not count or width < count or height < 3:
        return None
    half = height < count + 1
    if half and 2 * height < count:
        return None
    label, cell, named = (0, 1, False) if half else _plan_columns(width, names)
    used = label + cell * count
    rows = (count + 1) // 2 if half else count + 1
    return HeatLayout(
        label, cell, named, half, max(0, (width - used) // 2), max(0, (height - rows) // 2)
    )


def _plan_columns(width: int, names: Sequence[str]) -> tuple[int, int, bool]:
    """The cells of the labels and of a column, and whether names head the columns."""
    count, widest = len(names), names_width(names, MAX_NAME)
    number = 0 if _are_numbers(names) else len(str(count - 1)) + 1
    for cell, limit, named in (
        (max(widest + 1, 4), MAX_NAME, True),
        (4, MAX_NAME, False),
        (3, MAX_NAME, False),
        (3, 4, False),
        (2, 4, False),
    ):
        prefix = 0 if named else number
        label = prefix + min(widest, limit) + len(SEPARATOR)
        if (named or not number or cell > number) and label + cell * count <= width:
            room = width - cell * count - prefix - len(SEPARATOR)
            return prefix + min(widest, room) + len(SEPARATOR), cell, named
    return 0, 2 if 2 * count <= width else 1, False


def _are_numbers(names: Sequence[str]) -> bool:
    return all(name == str(number) for number, name in enumerate(names))


class ConfusionHeat(IncrementalWidget):
    """A small confusion matrix with true classes as rows, updated by `show`.

    Every number is per cent of its true class, a row. With many classes only the colours remain,
    two rows per line."""

    DEFAULT_CSS = "ConfusionHeat { height: 1fr; min-height: 3; }"

    _confusion: tuple[tuple[int, ...], ...] = ()
    _names: tuple[str, ...] = ()
    _shares: tuple[tuple[float, ...], ...] = ()

    def show(self, confusion: Counts, classes: Sequence[str]) -> None:
        """Show these counts, or a text if there are none."""
        counts = tuple(tuple(row) for row in confusion)
        names = tuple(classes)
        if (counts, names) == (self._confusion, self._names):
            return
        is_valid = len(counts) == len(names) and all(len(row) == len(names) for row in counts)
        self._confusion, self._names = (counts, names) if is_valid else ((), ())
        self._shares = cell_shares(self._confusion)
        self.repaint()

    def paint(self, width: int, height: int, base: Style) -> Sequence[Strip]:
        layout = plan_layout(width, height, self._names) if self._confusion else None
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

    def _empty_line(self, y: int, base: Style) -> Strip:
        """Why there is no matrix, in the middle of the widget."""
        count, width = len(self._names), self.size.width
        message = f"{count} classes need more space" if count else "no validation yet"
        text = message if y == self.size.height // 2 else ""
        centred = fit_label(text, min(width, cell_width(text))).center(width)
        return Strip([Segment(centred, base)]).adjust_cell_length(width, base)

    def _header(self, layout: HeatLayout, base: Style) -> list[Segment]:
        numbers = [str(number) for number in range(len(self._names))]
        heads = short_names(self._names, layout.cell - 1) if layout.named else numbers
        text = "".join(fit_label(head, layout.cell, right=True) for head in heads)
        if layout.cell <= len(numbers[-1]):
            text = ""
        return [Segment(" " * layout.label + text, base + muted_style(self.app.theme_variables))]

    def _row(self, layout: HeatLayout, true: int, base: Style) -> list[Segment]:
        if not 0 <= true < len(self._names):
            return []
        heat = heat_colours(self.app.theme_variables, self.app.current_theme.dark)
        segments = [*self._label(layout, true, base)]
        for predicted, count in enumerate(self._confusion[true]):
            share = self._shares[true][predicted]
            text = _format_share(share, layout.cell) if count else "·"
            if text in "·0":
                faint = fit_label(text, layout.cell, right=True)
                segments.append(Segment(faint, base + Style(dim=True)))
                continue
            # Between coloured cells there is a blank, unless three digits need it.
            gap = layout.cell > max(2, len(text))
            number = fit_label(text, layout.cell - gap, right=True)
            style = base + heat.style(share, true == predicted)
            segments += [Segment(" " * gap, base), Segment(number, style)]
        return segments

    def _label(self, layout: HeatLayout, true: int, base: Style) -> Iterator[Segment]:
        if not layout.label:
            return
        last, room = len(self._names) - 1, layout.label - len(SEPARATOR)
        if not layout.named and not _are_numbers(self._names):
            number = f"{true:>{len(str(last))}} "
            yield Segment(number, base + muted_style(self.app.theme_variables))
            room -= len(number)
        yield Segment(fit_label(short_name(self._names, true, room), room), base)
        yield Segment(SEPARATOR, base + Style(dim=True))

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
    """A share in whole per cent, rounded down: only exactly 1 is `100`, in two cells `●`."""
    if width < 2:
        return " "
    if share >= 1:
        return "100" if width > 2 else "●"
    hundredths = int(100 * share)
    return str(hundredths) if hundredths or width > 2 else "·"
