"""The heat of a confusion matrix: its colours, and a small matrix that lives with a run.

Right answers are told in the theme's primary colour and wrong ones in that of errors, a
pair that colour-blind people can tell apart; that the right ones lie on the diagonal needs
no colour at all.
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

from fmnist_tui.render.contact_sheet import cell_width
from fmnist_tui.tui.widgets.incremental import IncrementalWidget
from fmnist_tui.util.text import safe_text

LEVELS = 8
# One mistake in ten is already a lot: the colours of mistakes are used up by one in five.
WORST = 0.2
_DEEPEST = 0.9
HALF = "▀"
Counts = Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class HeatColours:
    """Grounds of a theme by level, 0 for next to nothing; each with a readable text on it."""

    right: tuple[Style, ...]
    wrong: tuple[Style, ...]
    cursor: Style

    def style(self, share: float, right: bool) -> Style:
        """The style of a cell that holds this share of its row (or column)."""
        return (self.right if right else self.wrong)[level(share, right)]


def level(share: float, right: bool) -> int:
    """How hot a share is."""
    scaled = share if right else share / WORST
    return max(0, min(LEVELS - 1, int(scaled * LEVELS)))


def palette(theme: Mapping[str, str], dark: bool) -> HeatColours:
    """The colours of a theme, given its variables (`App.theme_variables`)."""
    names = ("background", "primary", "error", "accent")
    return _palette(*(theme[name] for name in names), dark)


@lru_cache(maxsize=8)
def _palette(background: str, right: str, wrong: str, cursor: str, dark: bool) -> HeatColours:
    ground = Color.parse(background)
    if ground.ansi is not None:
        # A theme of the terminal's own colours does not say what its ground is.
        ground = Color.parse("#000000" if dark else "#ffffff")

    def plain(name: str) -> Color:
        colour = Color.parse(name)
        return Color(colour.r, colour.g, colour.b)

    def scale(name: str) -> tuple[Style, ...]:
        hot = plain(name)
        return tuple(
            _style(ground.blend(hot, _DEEPEST * at / LEVELS)) for at in range(1, LEVELS + 1)
        )

    return HeatColours(scale(right), scale(wrong), _style(plain(cursor)) + Style(bold=True))


def _style(ground: Color) -> Style:
    text = ground.get_contrast_text(1.0)
    return Style(color=_rich(text), bgcolor=_rich(ground))


def _rich(colour: Color) -> RichColor:
    return RichColor.from_rgb(colour.r, colour.g, colour.b)


def shares(confusion: Counts, by_column: bool = False) -> tuple[tuple[float, ...], ...]:
    """Every cell as a part of its row, or of its column; 0 where that is empty."""
    totals = [sum(line) for line in (zip(*confusion, strict=True) if by_column else confusion)]
    return tuple(
        tuple(
            count / total if (total := totals[said if by_column else true]) else 0.0
            for said, count in enumerate(row)
        )
        for true, row in enumerate(confusion)
    )


def fitted(text: str, width: int, *, right: bool = False) -> str:
    """A class's name in exactly so many cells: its beginning is what tells it apart."""
    text = safe_text(text)
    while cell_width(text) > width:
        text = text[:-1]
    blank = " " * (width - cell_width(text))
    return blank + text if right else text + blank


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a matrix is laid into so many cells."""

    head: int
    cell: int
    half: bool
    left: int
    top: int


def plan(width: int, height: int, count: int, longest: int, digits: int) -> _Plan | None:
    """The most readable way to lay `count` classes into a place; None where there is none."""
    if not count or width < count or height < 3:
        return None
    half = height < count + 1
    if half and 2 * height < count:
        return None
    cell = 1
    if not half:
        # Two digits are worth a name cut to three letters, better cells want better names.
        wide = range(min(digits + 1, 6), 1, -1)
        names = {2: 3, 3: 5}
        fits = (at for at in wide if at * count + min(longest, names.get(at, 7)) < width)
        cell = next(fits, 1)
    head = 0 if half else min(longest + 1, 14, width - cell * count)
    head = head if head >= 4 else 0
    used = head + cell * count
    rows = (count + 1) // 2 if half else count + 1
    return _Plan(head, cell, half, max(0, (width - used) // 2), max(0, (height - rows) // 2))


class ConfusionHeat(IncrementalWidget):
    """A small confusion matrix, true classes as rows, kept up to date by `show`.

    Cells hold counts where these fit and per cent of the row where they do not; where there
    are many classes the heat alone is left, two rows a line."""

    DEFAULT_CSS = "ConfusionHeat { height: 1fr; min-height: 3; }"

    def __init__(
        self,
        empty: str = "no validation yet",
        *,
        id: str | None = None,  # noqa: A002 - Textual's name for it
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._empty = empty
        self._confusion: tuple[tuple[int, ...], ...] = ()
        self._names: tuple[str, ...] = ()
        self._shares: tuple[tuple[float, ...], ...] = ()

    def show(self, confusion: Counts, classes: Sequence[str]) -> None:
        """Show these counts; an empty matrix is none."""
        counts = tuple(tuple(row) for row in confusion)
        names = tuple(classes)
        if (counts, names) == (self._confusion, self._names):
            return
        sound = len(counts) == len(names) and all(len(row) == len(names) for row in counts)
        self._confusion, self._names = (counts, names) if sound else ((), ())
        self._shares = shares(self._confusion)
        self.repaint()

    def paint(self, width: int, height: int, base: Style) -> Sequence[Strip]:
        found = self._plan(width, height)
        return [self._line(y, found, base) for y in range(height)]

    def _line(self, y: int, found: _Plan | None, base: Style) -> Strip:
        if found is None:
            return self._told(y, base)
        row = y - found.top
        if found.half:
            segments = self._halves(row)
        elif row == 0:
            segments = self._heads(found, base)
        else:
            segments = self._row(found, row - 1, base)
        indent = [Segment(" " * found.left, base)] if found.left else []
        return Strip([*indent, *segments])

    def _plan(self, width: int, height: int) -> _Plan | None:
        if not self._confusion:
            return None
        most = max(max(row) for row in self._confusion)
        longest = max(cell_width(safe_text(name)) for name in self._names)
        return plan(width, height, len(self._names), longest, len(str(most)))

    def _told(self, y: int, base: Style) -> Strip:
        """Why there is no matrix, in the middle of the place for it."""
        told = self._empty
        if self._confusion:
            told = f"{len(self._names)} classes need more room"
        width = self.size.width
        text = told if y == self.size.height // 2 else ""
        centred = fitted(text, min(width, cell_width(text))).center(width)
        return Strip([Segment(centred, base)]).adjust_cell_length(width, base)

    def _heads(self, found: _Plan, base: Style) -> list[Segment]:
        style = base + Style(dim=True)
        corner = "count" if self._counted(found) else "row %"
        if found.cell < 2:
            corner = ""
        gap = 1 if found.cell > 2 else 0
        names = [fitted(name, found.cell - gap) for name in self._names]
        text = fitted(corner, found.head) + "".join(" " * gap + name for name in names)
        return [Segment(text, style)]

    def _row(self, found: _Plan, true: int, base: Style) -> list[Segment]:
        if not 0 <= true < len(self._names):
            return []
        heat = palette(self.app.theme_variables, self.app.current_theme.dark)
        segments = []
        if found.head:
            segments.append(Segment(fitted(self._names[true], found.head - 1) + " ", base))
        for said, count in enumerate(self._confusion[true]):
            share = self._shares[true][said]
            text = str(count) if self._counted(found) else _short(share, found.cell)
            style = base + heat.style(share, true == said) if count else base + Style(dim=True)
            shown = text if count else "·"
            segments.append(Segment(fitted(shown, found.cell, right=True), style))
        return segments

    def _counted(self, found: _Plan) -> bool:
        most = max(max(row) for row in self._confusion)
        return found.cell > len(str(most))

    def _halves(self, row: int) -> list[Segment]:
        """Two rows of the matrix in a line of half-blocks."""
        heat = palette(self.app.theme_variables, self.app.current_theme.dark)
        nothing = heat.right[0].bgcolor
        segments = []
        if not 0 <= 2 * row < len(self._names):
            return []
        for said in range(len(self._names)):
            grounds = []
            for true in (2 * row, 2 * row + 1):
                filled = true < len(self._names) and self._confusion[true][said]
                share = self._shares[true][said] if filled else 0.0
                grounds.append(heat.style(share, true == said).bgcolor if filled else nothing)
            segments.append(Segment(HALF, Style(color=grounds[0], bgcolor=grounds[1])))
        return segments


def _short(share: float, width: int) -> str:
    """A share in per cent in two or three cells; all of it, and only that, is `100` or `●`."""
    if width < 2:
        return " "
    if share >= 1:
        return "100" if width > 2 else "●"
    hundredths = int(100 * share)
    return str(hundredths) if hundredths or width > 2 else "·"
