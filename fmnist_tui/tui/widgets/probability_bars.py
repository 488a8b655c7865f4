"""Class probabilities as bars, with the true class marked."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.strip import Strip

from fmnist_tui.tui.theme import text_colour
from fmnist_tui.tui.widgets.incremental import IncrementalWidget
from fmnist_tui.util.class_names import names_width, short_names

Ranked = Sequence[tuple[str, float]]

TRUE = "✓"
_EIGHTHS = " ▏▎▍▌▋▊▉"
_PER_CENT = len(" 100.0 %")
_SHORTEST_BAR = 4


class ProbabilityBars(IncrementalWidget):
    """`✓ Ankle boot ███████▌  61.3 %`, most probable class first.

    If space is short the last classes are left out, but never the true one. `empty` is shown
    without classes."""

    DEFAULT_CSS = "ProbabilityBars { height: auto; width: 1fr; }"

    empty = ""
    _ranked: tuple[tuple[str, float], ...] = ()
    _true: str | None = None
    _limit: int | None = None

    def show(self, ranked: Ranked, true: str | None = None, limit: int | None = None) -> None:
        """Draw these classes, at most `limit` of them."""
        before = len(select_classes(self._ranked, self._true, self._limit))
        self._ranked, self._true, self._limit = tuple(ranked), true, limit
        if before == len(select_classes(ranked, true, limit)):
            self.repaint()
        else:
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(select_classes(self._ranked, self._true, self._limit))

    def paint(self, width: int, height: int, base: Style) -> Sequence[Strip]:
        limit = height if self._limit is None else min(height, self._limit)
        names = {"right": "success", "sign": "success", "first": "accent", "other": "primary"}
        theme, bold = self.app.theme_variables, Style(bold=True)
        styles = {key: base + Style(color=text_colour(theme[name])) for key, name in names.items()}
        styles |= {"": base, "bold": base + bold, "sign": styles["sign"] + bold}
        rows = format_bars(select_classes(self._ranked, self._true, limit), self._true, width)
        if not rows and self.empty:
            rows = [[(self.empty[:width], "")]]
        return [Strip([Segment(text, styles[name]) for text, name in line]) for line in rows]


def select_classes(ranked: Ranked, true: str | None, limit: int | None) -> list[tuple[str, float]]:
    """The first `limit` classes; the true class replaces the last if it is not among them."""
    if limit is None or len(ranked) <= limit:
        return list(ranked)
    selected = list(ranked[:limit])
    if selected and true is not None and all(name != true for name, _ in selected):
        selected[-1:] = [pair for pair in ranked if pair[0] == true][:1] or selected[-1:]
    return selected


def format_bars(ranked: Ranked, true: str | None, width: int) -> list[list[tuple[str, str]]]:
    """A line per class, all equally wide, as (text, style name) parts."""
    if not ranked:
        return []
    names = [name for name, _ in ranked]
    sign = 0 if true is None else 2
    left = width - sign - _PER_CENT - 1
    column = names_width(names, max(1, left - _SHORTEST_BAR, (left + 1) // 2))
    bar_width = max(0, left - column)
    rows, labels = [], short_names(names, column)
    for index, ((name, share), label) in enumerate(zip(ranked, labels, strict=True)):
        is_true, is_first = name == true, index == 0
        parts = [(f"{TRUE} " if is_true else "  ", "sign")] if sign else []
        bar_style = "right" if is_true else "first" if is_first else "other"
        parts += [
            (set_cell_size(label, column), "bold" if is_first or is_true else ""),
            (" " + format_bar(share, bar_width), bar_style),
            (f" {100 * share:5.1f} %", "bold" if is_first else ""),
        ]
        rows.append(parts)
    return rows


def format_bar(share: float, width: int) -> str:
    """A bar for a share of `width` cells, to an eighth of a cell, padded with blanks."""
    eighths = round(8 * width * min(1.0, max(0.0, share)))
    full, rest = divmod(eighths, 8)
    # Everything above 0.0 per cent is visible.
    if eighths == 0 and share >= 0.0005 and width:
        rest = 1
    bar = "█" * full + (_EIGHTHS[rest] if rest else "")
    return bar.ljust(width)
