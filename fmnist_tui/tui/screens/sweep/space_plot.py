"""A study's trials drawn over its search space: a slice for each setting, or lines across all."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from fmnist_tui.sweeps.snapshot import Snapshot, TrialView
from fmnist_tui.sweeps.space import Dimension, format_value
from fmnist_tui.sweeps.trial_states import COMPLETE
from fmnist_tui.tui.screens.sweep.braille_canvas import BrailleCanvas
from fmnist_tui.tui.widgets.columns import fitted
from fmnist_tui.util.formatting import format_percent

Rows = list[list[tuple[str, str]]]

# The colours by what they are for, as themes name them.
USUAL, FADED, BEST, HERE, NAME = "primary", "edge", "accent", "foreground", "foreground"
BEST_SIGN, HERE_SIGN = "◆", "◉"
# A slice narrower or lower than this says nothing.
SLICE_WIDTH, SLICE_HEIGHT = 16, 5
_WIDE_SLICE = 26
_GAP = 2
# So many lines across the settings are as many as can be drawn in a moment.
MOST_LINES = 250
_LEAST_GAP = 7


def drawable(shown: Snapshot) -> list[TrialView]:
    """The trials that have a value and all their settings, worst first."""
    count = len(shown.spec.space)
    found = [
        trial for trial in shown.trials if trial.value is not None and len(trial.params) == count
    ]
    return sorted(found, key=lambda trial: (trial.value or 0.0, -trial.number))


def ends(trials: Sequence[TrialView]) -> tuple[float, float]:
    """Which values are told apart: a few that are hopeless are not to squeeze the others."""
    values = [trial.value or 0.0 for trial in trials]
    if not values:
        return 0.0, 1.0
    top, middle = values[-1], values[len(values) // 2]
    low = max(values[0], top - 3 * (top - middle)) if top > middle else values[0]
    return (low, top) if top > low else (low - 0.01, top + 0.01)


def span(shown: Snapshot) -> str:
    """Between which values the plots are drawn."""
    low, high = ends(drawable(shown))
    return f"{format_percent(low, 1)} … {format_percent(high, 1)}"


# -- slices -------------------------------------------------------------------------------


def slices(
    shown: Snapshot, order: Sequence[str], here: int | None, width: int, height: int
) -> tuple[Rows, int]:
    """Values over each setting, in `order` as far as there is room; and how many are shown."""
    space = {part.key: part for part in shown.spec.space}
    keys = [key for key in order if key in space] + [key for key in space if key not in order]
    across, down = _grid(len(keys), width, height)
    keys = keys[: across * down]
    if not keys:
        return [], 0
    down = -(-len(keys) // across)
    each = (width - _GAP * (across - 1)) // across
    heights = [height // down + (row < height % down) for row in range(down)]
    rows: Rows = []
    for row, high in enumerate(heights):
        blocks = [
            _slice(shown, space[key], here, each, high)
            for key in keys[row * across : (row + 1) * across]
        ]
        for parts in zip(*blocks, strict=True):
            line: list[tuple[str, str]] = []
            for part in parts:
                line += [*part, (" " * _GAP, "")]
            rows.append(line)
    return rows, len(keys)


def _grid(count: int, width: int, height: int) -> tuple[int, int]:
    """How many slices stand beside and above each other."""
    if not count or width < SLICE_WIDTH or height < SLICE_HEIGHT:
        return 0, 0
    most = (width + _GAP) // (SLICE_WIDTH + _GAP)
    across = max(1, min(count, (width + _GAP) // (_WIDE_SLICE + _GAP)))
    while across < min(most, count) and -(-count // across) * SLICE_HEIGHT > height:
        across += 1
    return across, max(1, height // SLICE_HEIGHT)


def _slice(shown: Snapshot, part: Dimension, here: int | None, width: int, height: int) -> Rows:
    trials = drawable(shown)
    low, high = ends(trials)
    canvas = BrailleCanvas(width, height - 2)
    best = shown.best
    for trial in trials:
        x, y = _across(part, trial), ((trial.value or 0.0) - low) / (high - low)
        canvas.dot(x, y, USUAL if trial.state == COMPLETE else FADED)
    for trial in trials:
        x, y = _across(part, trial), ((trial.value or 0.0) - low) / (high - low)
        if best is not None and trial.number == best.number:
            canvas.sign(x, y, BEST_SIGN, BEST)
        elif trial.number == here:
            canvas.sign(x, y, HERE_SIGN, HERE)
    title = part.key + (" (log)" if part.log else "")
    return [
        [(fitted(_cut(title, width), width), f"bold {NAME}")],
        *canvas.rows(),
        [(_axis(part, width), FADED)],
    ]


def _across(part: Dimension, trial: TrialView) -> float:
    """Where a trial stands in a slice: choices in the middle of their shares of the width."""
    value = trial.params[part.key]
    if part.choices and value in part.choices:
        return (part.choices.index(value) + 0.5) / len(part.choices)
    return part.position(value)


def _axis(part: Dimension, width: int) -> str:
    if part.choices:
        each = width // len(part.choices)
        if each >= 3:
            names = (_cut(format_value(choice), each - 1).center(each) for choice in part.choices)
            return fitted("".join(names), width)
        return fitted(f"{len(part.choices)} choices", width)
    left, right = format_value(part.low), format_value(part.high)
    room = max(1, width - len(left) - len(right) - 2)
    return fitted(f"{left} {'─' * room} {right}", width)


# -- lines across all settings --------------------------------------------------------------


def parallel(
    shown: Snapshot, order: Sequence[str], here: int | None, width: int, height: int
) -> tuple[Rows, int]:
    """A line for each trial, through its settings to its value on the right; and through how
    many: where there is no room for all, those first in `order`."""
    space = shown.spec.space
    if width < 2 * _LEAST_GAP or height < SLICE_HEIGHT + 2:
        return [], 0
    count = min(len(space), width // _LEAST_GAP - 1)
    if count < len(space):
        ranks = {key: rank for rank, key in enumerate(order)}
        first = sorted(space, key=lambda part: ranks.get(part.key, len(ranks)))[:count]
        space = tuple(part for part in space if part in first)
    gap = (width - 1) / count
    columns = [round(number * gap) for number in range(count + 1)]
    trials = drawable(shown)
    low, high = ends(trials)
    canvas = BrailleCanvas(width, height - 3)
    axes = [column / max(1, width - 1) for column in columns]
    for axis in axes:
        canvas.upright(axis, FADED)
    best = shown.best.number if shown.best is not None else None
    trials = trials[-MOST_LINES:]
    good = len(trials) * 3 // 4
    for rank, trial in enumerate(trials):
        if trial.number not in (best, here):
            _thread(canvas, axes, space, trial, (low, high), USUAL if rank >= good else FADED)
    for trial in trials:
        if trial.number in (best, here):
            colour = BEST if trial.number == best else HERE
            _thread(canvas, axes, space, trial, (low, high), colour)
    tops = [format_value(part.choices[-1] if part.choices else part.high) for part in space]
    bottoms = [format_value(part.choices[0] if part.choices else part.low) for part in space]
    rows: Rows = [
        [(_labels([part.key for part in space] + ["value"], columns, width), f"bold {NAME}")],
        [(_labels([*tops, format_percent(high, 1)], columns, width), FADED)],
        *canvas.rows(),
        [(_labels([*bottoms, format_percent(low, 1)], columns, width), FADED)],
    ]
    return rows, count


def _thread(
    canvas: BrailleCanvas,
    axes: Sequence[float],
    space: Sequence[Dimension],
    trial: TrialView,
    span: tuple[float, float],
    colour: str,
) -> None:
    low, high = span
    heights = [part.position(trial.params[part.key]) for part in space]
    heights.append(((trial.value or 0.0) - low) / (high - low))
    places = list(zip(axes, heights, strict=True))
    for start, end in pairwise(places):
        canvas.line(start, end, colour)


def _labels(words: Sequence[str], columns: Sequence[int], width: int) -> str:
    """Words at their columns, none over another; the last one ends at the right."""
    last = words[-1][:width]
    line = ""
    for place, word in enumerate(words[:-1]):
        start = columns[place]
        following = columns[place + 1] if place + 2 < len(words) else width - len(last)
        line = line.ljust(start)[:start] + _cut(word, max(1, following - start - 1))
    return line.ljust(width - len(last))[: width - len(last)] + last


def _cut(word: str, width: int) -> str:
    return word if len(word) <= width else f"{word[: width - 1]}…"
