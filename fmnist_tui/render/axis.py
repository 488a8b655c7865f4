"""The axes of charts: the range that is shown, round ticks, and numbers as short text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fmnist_tui.util.formatting import format_duration

# What the numbers of an x axis are; powers are exponents of ten.
NUMBERS, WHOLE, POWERS, SECONDS = "numbers", "whole", "powers", "seconds"
TICKS = 5
# A log scale is suggested for values that span more than this factor.
LOG_FACTOR = 5.0
# Outliers are left out where the rest would have less than this share of the axis, and only
# among so many values that the rest can be judged.
_LEAST_SHARE = 0.5
_JUDGED_VALUES = 16
# Ticks are a power of ten times one of these apart.
_STEPS = (1, 2, 2.5, 5, 10, 20, 25, 50)
_ROUND_SECONDS = (
    *(1, 2, 5, 10, 20, 30),
    *(60 * minutes for minutes in (1, 2, 5, 10, 20, 30)),
    *(3600 * hours for hours in (1, 2, 4, 6, 12)),
)


@dataclass(frozen=True, slots=True)
class Axis:
    """The shown range of an axis, with its ticks as (value, label)."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    log: bool = False

    def share(self, value: float) -> float:
        """Where a value is, from 0 at the low end to 1 at the high end; beyond if it is outside."""
        if self.log:
            low = math.log10(self.low)
            return (math.log10(value) - low) / (math.log10(self.high) - low)
        return (value - self.low) / (self.high - self.low)


def create_x_axis(low: float, high: float, cells: int, numbers: str = NUMBERS) -> Axis:
    """An axis from `low` to `high`, `cells` wide."""
    low, high = _widen(low, high)
    ticks = [low]
    most = max(2, min(TICKS, cells // 10))
    if numbers == SECONDS and high - low >= most:
        step = next((each for each in _ROUND_SECONDS if (high - low) / each <= most), None)
        step = step or 24 * 3600 * math.ceil((high - low) / most / 24 / 3600)
        ticks = _multiples(low, high, step)
    else:
        whole = numbers == WHOLE and high - low >= 1
        ticks = round_ticks(low, high, most, whole=whole)
    if numbers == POWERS:
        labels = [format_power(tick) for tick in ticks]
    elif numbers == SECONDS:
        labels = [format_duration(tick) for tick in ticks]
    else:
        labels = format_ticks(ticks)
    return Axis(low, high, tuple(zip(ticks, labels, strict=True)))


def create_y_axis(
    low: float, high: float, rows: int, *, log: bool = False, percent: bool = False
) -> Axis:
    """An axis that holds `low` to `high`, `rows` high, with ends that seldom change as it grows."""
    low, high = _widen(low, high, log=log)
    most = max(2, min(TICKS, (rows + 1) // 2))
    if log:
        margin = (high / low) ** 0.02
        low, high = low / margin, high * margin
        ticks = _log_ticks(low, high, most)
        labels = [format_axis_number(100 * tick if percent else tick) for tick in ticks]
    else:
        low, high, ticks = _fit_rows(low, high, rows, most)
        labels = format_ticks([100 * tick for tick in ticks] if percent else ticks)
    if percent:
        labels = [f"{label}%" for label in labels]
    return Axis(low, high, tuple(zip(ticks, labels, strict=True)), log)


def shown_range(values: Sequence[float]) -> tuple[float, float]:
    """The range of these values without outliers that would flatten the rest."""
    ordered = sorted(values)
    low, high = ordered[0], ordered[-1]
    if len(ordered) < _JUDGED_VALUES:
        return low, high
    quarter = len(ordered) // 4
    reach = 3 * (ordered[-1 - quarter] - ordered[quarter])
    least, most = ordered[quarter] - reach, ordered[-1 - quarter] + reach
    inner_low = next(value for value in ordered if value >= least)
    inner_high = next(value for value in reversed(ordered) if value <= most)
    if 0 < inner_high - inner_low < _LEAST_SHARE * (high - low):
        return inner_low, inner_high
    return low, high


def _fit_rows(low: float, high: float, rows: int, most: int) -> tuple[float, float, list[float]]:
    """A range that holds `low` to `high`, with round ticks that are equal numbers of rows apart."""
    magnitude = 10.0 ** math.floor(math.log10((high - low) / most))
    choices = []
    for step in (part * magnitude for part in _STEPS):
        for apart in range(int((rows - 1) * step / (high - low) + 1e-9), 0, -1):
            row = step / apart
            start = math.floor(low / row + 1e-9)
            if row * (start + rows - 1) >= high - 1e-9 * row:
                ends = float(f"{row * start:.10g}"), float(f"{row * (start + rows - 1):.10g}")
                ticks = _multiples(*ends, step)
                unused = 1 - (high - low) / (ends[1] - ends[0])
                cost = abs(len(ticks) - most + 0.5) + 8 * unused + _is_less_round(step)
                choices.append((len(ticks) > most + 1 or len(ticks) < 2, cost, *ends, ticks))
                break
    if not choices:
        return low, high, round_ticks(low, high, most)
    return min(choices, key=lambda choice: choice[:2])[2:]


def round_ticks(low: float, high: float, most: int, *, whole: bool = False) -> list[float]:
    """At most `most` round numbers from `low` to `high`, or one more, evenly spaced."""
    if not high > low:
        return [low]
    magnitude = 10.0 ** math.floor(math.log10((high - low) / most))
    choices = []
    for step in (part * magnitude for part in _STEPS):
        if not whole or step == int(step):
            ticks = _multiples(low, high, step)
            cost = abs(len(ticks) - most + 0.5) + _is_less_round(step)
            choices.append((len(ticks) > most + 1 or len(ticks) < 2, cost, ticks))
    ticks = min(choices, key=lambda choice: choice[:2])[2] if choices else []
    return ticks or [low, high]


def _is_less_round(step: float) -> bool:
    """Whether it is a step such as 25, which is less round than 20 or 50."""
    return f"{step:e}"[:3] == "2.5"


def format_ticks(ticks: Sequence[float]) -> list[str]:
    """Labels of one form for all ticks of an axis: 0.5 and 1.0, 5k and 10k."""
    largest = max(map(abs, ticks), default=0.0)
    scale, unit = _unit(largest)
    scaled = [tick / scale for tick in ticks]
    decimals = next(
        (
            digits
            for digits in range(5)
            if all(abs(round(tick, digits) - tick) < 1e-9 * (largest / scale) for tick in scaled)
        ),
        None,
    )
    if decimals is None:
        return [f"{tick:.2g}".replace("e-0", "e-") for tick in ticks]
    return [f"{tick:.{decimals}f}{unit if tick else ''}" for tick in scaled]


def format_power(exponent: float) -> str:
    """A power of ten in short form: 1e-6, 0.003, 3.2."""
    return f"{10**exponent:.2g}".replace("e-0", "e-")


def format_x(x: float, numbers: str) -> str:
    """An x as the cursor reads it."""
    if numbers == POWERS:
        return format_power(x)
    if numbers == SECONDS:
        return format_duration(x)
    return f"{round(x):,}" if numbers == WHOLE else f"{x:.4g}"


def format_axis_number(number: float) -> str:
    """A number for an axis: 15000 is 15k."""
    scale, unit = _unit(abs(number))
    return f"{number / scale:.4g}".replace("e-0", "e-") + unit


def _unit(number: float) -> tuple[float, str]:
    for limit, scale, unit in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if number >= limit:
            return scale, unit
    return 1.0, ""


def _widen(low: float, high: float, *, log: bool = False) -> tuple[float, float]:
    """A range that is not empty."""
    if high - low > 1e-8 * max(abs(low), abs(high)):
        return low, high
    if log:
        return low / 1.1, high * 1.1
    margin = abs(low) / 10 or 0.5
    return low - margin, high + margin


def _multiples(low: float, high: float, step: float) -> list[float]:
    """The multiples of `step` from `low` to `high`, without binary fractions."""
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{number * step:.10g}") for number in range(first, last + 1)]


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers that are about evenly spaced on a log scale."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    choices = [round_ticks(low, high, most)] if high < 4 * low else []
    for parts in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3)):
        choices.append([part * 10.0**power for power in range(first, last) for part in parts])
    for by in (1, 2, 3, 5, 10):
        powers = range(first + -first % by, last + 1, by)
        choices.append([10.0**power for power in powers])
    inside = [[float(f"{tick:.10g}") for tick in ticks if low <= tick <= high] for ticks in choices]
    return min(inside, key=lambda ticks: (len(ticks) > most + 1, abs(len(ticks) - most + 0.5)))
