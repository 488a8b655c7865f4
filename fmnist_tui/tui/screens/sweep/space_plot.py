"""The trials of a study over its search space: a slice per setting, or parallel coordinates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from rich.segment import Segment
from rich.style import Style
from textual.reactive import reactive
from textual.strip import Strip

from fmnist_tui.sweeps.snapshot import Snapshot, TrialView
from fmnist_tui.sweeps.space import Dimension, format_value
from fmnist_tui.sweeps.trial_states import COMPLETE
from fmnist_tui.tui.screens.sweep.braille_canvas import BrailleCanvas
from fmnist_tui.tui.theme import text_colour
from fmnist_tui.tui.widgets.columns import fit_text
from fmnist_tui.tui.widgets.incremental import IncrementalWidget, set_border_titles
from fmnist_tui.util.formatting import format_percent
from fmnist_tui.util.text import safe_text

SLICES, PARALLEL = "slices", "parallel"

# Spans of (text, theme variable) for each row.
Rows = list[list[tuple[str, str]]]
# Symbol and colour of the trials that stand out, by number.
Highlights = Mapping[int | None, tuple[str, str]]

# Theme variables.
NORMAL, FADED, TITLE, LABEL = "primary", "edge", "bold foreground", "foreground-muted"
BEST, CURRENT = ("◆", "accent"), ("◉", "foreground")

MIN_SLICE_WIDTH, MIN_SLICE_HEIGHT = 16, 5
_WIDE_SLICE = 26
_LABELLED_WIDTH = 44
_SLICE_GAP = 2
# More lines take too long to draw.
MAX_LINES = 250
_MIN_AXIS_GAP = 7


class SpacePlot(IncrementalWidget):
    """Draws a study; settings are ordered by importance, the trial under the cursor stands out."""

    DEFAULT_CSS = "SpacePlot { height: 1fr; min-height: 5; }"
    view = reactive(SLICES, init=False)

    _study: Snapshot | None = None
    _order: tuple[str, ...] = ()
    _current: int | None = None
    _last_content: object = None

    def show(
        self, study: Snapshot | None, order: Sequence[str] = (), current: int | None = None
    ) -> None:
        """Draw a study, if anything has changed; `current` is a trial's number."""
        trials = study and [(trial.number, trial.state, trial.value) for trial in study.trials]
        content = (study and study.name, trials, tuple(order), current)
        if content != self._last_content:
            self._last_content = content
            self._study, self._order, self._current = study, tuple(order), current
            self.repaint()

    def paint(self, width: int, height: int, base: Style) -> Sequence[Strip]:
        study = self._study
        trials = plottable_trials(study) if study is not None else []
        if study is None or not trials:
            self._update_titles("")
            text = "no trial has a value yet".center(width)
            return [Strip.blank(width, base)] * (height // 2) + [Strip([Segment(text, base)])]
        draw = draw_parallel if self.view == PARALLEL else draw_slices
        rows, count = draw(study, self._order, self._current, width - 2, height)
        about = describe_values(study, trials)
        hidden = len(study.spec.space) - count
        about += f"  {hidden} more in a larger window" if rows and hidden else ""
        self._update_titles(about)
        if not rows:
            return [Strip([Segment("not enough space".center(width), base)])]
        return [
            Strip([Segment(" ", base), *(self._segment(span, base) for span in row)])
            for row in rows
        ]

    def _update_titles(self, about: str) -> None:
        title = "Value over each setting" if self.view == SLICES else "Trials across all settings"
        # Not while painting: changing a border refreshes the whole pane.
        self.call_later(set_border_titles, self, title, safe_text(about))

    def _segment(self, span: tuple[str, str], base: Style) -> Segment:
        text, name = span
        bold = name.startswith("bold ")
        colour = text_colour(self.app.theme_variables.get(name.removeprefix("bold "), ""))
        style = Style(color=colour or None, bold=bold or None)
        return Segment(safe_text(text), base + style)


def plottable_trials(study: Snapshot) -> list[TrialView]:
    """The trials with a value and all their settings, lowest value first."""
    count = len(study.spec.space)
    trials = [
        trial for trial in study.trials if trial.value is not None and len(trial.params) == count
    ]
    return sorted(trials, key=lambda trial: (trial.value or 0.0, -trial.number))


def value_bounds(trials: Sequence[TrialView]) -> tuple[float, float]:
    """The range of the value axis. It leaves out low outliers, which would squeeze the rest: they
    are drawn at its lower end, and the title counts them."""
    values = [trial.value or 0.0 for trial in trials]
    if not values:
        return 0.0, 1.0
    top, median = values[-1], values[len(values) // 2]
    low = max(values[0], top - 3 * (top - median)) if top > median else values[0]
    return (low, top) if top > low else (low - 0.01, top + 0.01)


def describe_values(study: Snapshot, trials: Sequence[TrialView]) -> str:
    """What the symbol stands for, and how many values are below the value axis."""
    low, _ = value_bounds(trials)
    about = f"{BEST[0]} best" if study.best is not None else ""
    below = sum((trial.value or 0.0) < low for trial in trials)
    return f"{about}  {below} below" if below else about


def value_labels(trials: Sequence[TrialView]) -> tuple[str, str]:
    """The lower and the upper end of the value axis; `≤` where values are below it."""
    low, high = value_bounds(trials)
    is_clipped = any((trial.value or 0.0) < low for trial in trials)
    return f"{'≤' if is_clipped else ''}{format_percent(low, 1)}", format_percent(high, 1)


def _height(trial: TrialView, bounds: tuple[float, float]) -> float:
    low, high = bounds
    return ((trial.value or 0.0) - low) / (high - low)


def _highlights(study: Snapshot, current: int | None) -> Highlights:
    best = study.best
    return {current: CURRENT} | ({best.number: BEST} if best is not None else {})


def draw_slices(
    study: Snapshot, order: Sequence[str], current: int | None, width: int, height: int
) -> tuple[Rows, int]:
    """Values over each setting, in `order`, as many as fit; and how many these are."""
    space = {part.key: part for part in study.spec.space}
    keys = [key for key in order if key in space] + [key for key in space if key not in order]
    trials, highlights = plottable_trials(study), _highlights(study, current)
    labels = value_labels(trials)
    # The value axis is labelled once in each row, where there is room for it.
    margin = max(map(len, labels)) + 1 if width >= _LABELLED_WIDTH else 0
    width -= margin
    across, down = _slice_grid(len(keys), width, height)
    keys = keys[: across * down]
    if not keys:
        return [], 0
    down = -(-len(keys) // across)
    slice_width = (width - _SLICE_GAP * (across - 1)) // across
    rows: Rows = []
    for row in range(down):
        slice_height = height // down + (row < height % down)
        slices = [
            _draw_slice(trials, highlights, space[key], slice_width, slice_height)
            for key in keys[row * across : (row + 1) * across]
        ]
        # The title is above the canvas, the axis of the setting below it.
        ends = {1: labels[1], slice_height - 2: labels[0]}
        for line, parts in enumerate(zip(*slices, strict=True)):
            label = f"{ends.get(line, ''):>{margin - 1}} " if margin else ""
            spans = [span for part in parts for span in (*part, (" " * _SLICE_GAP, ""))]
            rows.append([(label, LABEL), *spans])
    return rows, len(keys)


def _slice_grid(count: int, width: int, height: int) -> tuple[int, int]:
    """How many slices fit beside and above each other."""
    if not count or width < MIN_SLICE_WIDTH or height < MIN_SLICE_HEIGHT:
        return 0, 0
    most = (width + _SLICE_GAP) // (MIN_SLICE_WIDTH + _SLICE_GAP)
    across = max(1, min(count, (width + _SLICE_GAP) // (_WIDE_SLICE + _SLICE_GAP)))
    while across < min(most, count) and -(-count // across) * MIN_SLICE_HEIGHT > height:
        across += 1
    return across, max(1, height // MIN_SLICE_HEIGHT)


def _draw_slice(
    trials: Sequence[TrialView], highlights: Highlights, part: Dimension, width: int, height: int
) -> Rows:
    bounds = value_bounds(trials)
    canvas = BrailleCanvas(width, height - 2)
    points = [(trial, _slice_x(part, trial), _height(trial, bounds)) for trial in trials]
    for trial, x, y in points:
        canvas.point(x, y, NORMAL if trial.state == COMPLETE else FADED)
    for trial, x, y in points:
        if trial.number in highlights:
            canvas.symbol(x, y, *highlights[trial.number])
    title = part.key + (" (log)" if part.log else "")
    return [
        [(fit_text(_truncate(title, width), width), TITLE)],
        *canvas.rows(),
        [(_axis(part, width), LABEL)],
    ]


def _slice_x(part: Dimension, trial: TrialView) -> float:
    """A trial's position in a slice; choices are in the middle of equal parts of the width."""
    value = trial.params[part.key]
    if part.choices and value in part.choices:
        return (part.choices.index(value) + 0.5) / len(part.choices)
    return part.position(value)


def _axis(part: Dimension, width: int) -> str:
    """The ends of a range, or choices below their points."""
    if not part.choices:
        left, right = format_value(part.low), format_value(part.high)
        room = max(1, width - len(left) - len(right) - 2)
        return fit_text(f"{left} {'─' * room} {right}", width)
    names = [format_value(choice) for choice in part.choices]
    if width // len(names) < 3:
        return fit_text(f"{len(names)} choices", width)
    limit = max(map(len, names))
    while sum(map(len, names)) + len(names) - 1 > width:
        limit -= 1
        names = [_truncate(name, limit) for name in names]
    # In the middle of its part of the width, or beside that if two names would touch.
    line, room = "", sum(map(len, names)) + len(names) - 1
    for index, name in enumerate(names):
        middle = (2 * index + 1) * width // (2 * len(names))
        start = min(max(len(line) + bool(line), middle - len(name) // 2), width - room)
        line = line.ljust(start) + name
        room -= len(name) + 1
    return fit_text(line, width)


def draw_parallel(
    study: Snapshot, order: Sequence[str], current: int | None, width: int, height: int
) -> tuple[Rows, int]:
    """A line per trial, through its settings to its value on the right; and how many settings
    fit: the first in `order`."""
    space = study.spec.space
    if width < 2 * _MIN_AXIS_GAP or height < MIN_SLICE_HEIGHT + 2:
        return [], 0
    count = min(len(space), width // _MIN_AXIS_GAP - 1)
    if count < len(space):
        ranks = {key: rank for rank, key in enumerate(order)}
        first = sorted(space, key=lambda part: ranks.get(part.key, len(ranks)))[:count]
        space = tuple(part for part in space if part in first)
    gap = (width - 1) / count
    columns = [round(number * gap) for number in range(count + 1)]
    axes = [column / max(1, width - 1) for column in columns]
    trials, highlights = plottable_trials(study), _highlights(study, current)
    bounds, (low, high) = value_bounds(trials), value_labels(trials)
    canvas = BrailleCanvas(width, height - 3)
    for axis in axes:
        canvas.vertical_line(axis, FADED)
    trials = trials[-MAX_LINES:]
    top_quarter = {trial.number for trial in trials[len(trials) * 3 // 4 :]}
    for trial in sorted(trials, key=lambda trial: trial.number in highlights):
        heights = [part.position(trial.params[part.key]) for part in space]
        heights.append(_height(trial, bounds))
        colour = NORMAL if trial.number in top_quarter else FADED
        _, colour = highlights.get(trial.number, ("", colour))
        for start, end in pairwise(zip(axes, heights, strict=True)):
            canvas.line(start, end, colour)
    tops = [format_value(part.choices[-1] if part.choices else part.high) for part in space]
    bottoms = [format_value(part.choices[0] if part.choices else part.low) for part in space]
    rows: Rows = [
        [(_labels([part.key for part in space] + ["value"], columns, width), TITLE)],
        [(_labels([*tops, high], columns, width), LABEL)],
        *canvas.rows(),
        [(_labels([*bottoms, low], columns, width), LABEL)],
    ]
    return rows, count


def _labels(words: Sequence[str], columns: Sequence[int], width: int) -> str:
    """Words at their columns without overlap; the last one is right-aligned."""
    last = words[-1][:width]
    line = ""
    for index, word in enumerate(words[:-1]):
        start = columns[index]
        end = columns[index + 1] if index + 2 < len(words) else width - len(last)
        line = line.ljust(start)[:start] + _truncate(word, max(1, end - start - 1))
    return line.ljust(width - len(last))[: width - len(last)] + last


def _truncate(word: str, width: int) -> str:
    return word if len(word) <= width else f"{word[: width - 1]}…"
