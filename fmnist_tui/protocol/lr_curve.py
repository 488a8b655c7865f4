"""The curve of a search for a learning rate: which rates are tried, and what their losses say.

The rate rises by the same factor from one training step to the next while the loss is
watched. At first nothing happens; then the loss falls, at some rate fastest; in the end the
steps are too long and it rises. `read` finds these places in points however noisy, or says
why there are none.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fmnist_tui.util.errors import UsageError

DEFAULT_LOW, DEFAULT_HIGH, DEFAULT_STEPS = 1e-6, 10.0, 160
# Within the bounds of RunConfig.lr: whatever is found must be of use.
MIN_RATE, MAX_RATE = 1e-12, 100.0
MIN_STEPS, MAX_STEPS = 20, 2000

# What is larger is no loss: sums of such would be no numbers.
_HUGE = 1e30
# Of fewer losses that are numbers nothing can be told.
MIN_POINTS = 12
# The smoothing's bandwidth as a share of the curve, and the least of it in points.
_SHARE, _NARROWEST = 0.04, 2.0
# So many standard errors of the smoothed curve must the loss have fallen, and by such a share.
_ERRORS, _WORTH = 8.0, 0.02
# Where the end is above the beginning by such a share of it, the loss rises.
_RISE = 0.2
# The fall begins and ends where this much of it is behind or ahead.
_EDGE = 0.1
# What rises further above the beginning than the deepest fall went below it counts as no
# higher: an exploding loss must not drag the points before it along.
_BEYOND = 0.5
# Loss above the best one by this factor: the steps are too long for good.
DIVERGENCE_FACTOR = 4.0
_STEADY = 0.8

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class RateRange:
    """The rates that a search tries: `steps` of them from `low` to `high`."""

    low: float = DEFAULT_LOW
    high: float = DEFAULT_HIGH
    steps: int = DEFAULT_STEPS

    def __post_init__(self) -> None:
        """Refuse what would be no search."""
        for name, value in (("from-lr", self.low), ("to-lr", self.high)):
            if not MIN_RATE <= value <= MAX_RATE:
                raise UsageError(
                    f"{name} = {value:g}: must be a number from {MIN_RATE:g} to {MAX_RATE:g}"
                )
        if not self.low < self.high:
            raise UsageError(
                f"from-lr = {self.low:g} is not below to-lr = {self.high:g}: the rate rises"
                " from the first to the second"
            )
        if not MIN_STEPS <= self.steps <= MAX_STEPS:
            raise UsageError(
                f"steps = {self.steps}: a curve needs {MIN_STEPS} to {MAX_STEPS:,} steps"
                f" (default: {DEFAULT_STEPS})"
            )

    def rate_at(self, step: int) -> float:
        """The rate of step `step`, counted from 0."""
        return float(self.low * (self.high / self.low) ** (step / (self.steps - 1)))


@dataclass(frozen=True, slots=True)
class LrSuggestion:
    """What a curve says. `smooth` has a point for each loss that is a number.

    `lr` is the rate at which the loss falls fastest (rounded, so that it can be typed),
    `loss` the smoothed loss there; the loss falls from `low` on and is lowest at `high`.
    None, with the reason in `message`, where nothing can be suggested.
    """

    smooth: tuple[Point, ...] = ()
    lr: float | None = None
    loss: float | None = None
    low: float | None = None
    high: float | None = None
    message: str = ""

    def nearest_index(self, lr: float) -> int:
        """The place among `smooth` of the point nearest to a rate."""
        return min(
            range(len(self.smooth)),
            key=lambda at: abs(math.log(self.smooth[at][0] / lr)),
            default=0,
        )


class DivergenceDetector:
    """Watches a loss as it comes: whether it is beyond hope."""

    def __init__(self) -> None:
        self._mean = self._weight = 0.0
        self._best = math.inf

    def diverges(self, loss: float) -> bool:
        """Take in the next loss; whether higher rates can only make it worse."""
        if not math.isfinite(loss):
            return True
        self._mean = _STEADY * self._mean + (1 - _STEADY) * loss
        self._weight = _STEADY * self._weight + (1 - _STEADY)
        steady = self._mean / self._weight
        self._best = min(self._best, steady)
        return steady > DIVERGENCE_FACTOR * max(self._best, 1e-3)


def suggest_rate(points: Iterable[Point]) -> LrSuggestion:
    """What the points (rate, loss), in the order of their rates, say."""
    found = _usable(points)
    if len(found) < MIN_POINTS:
        few = f"only {len(found)} steps gave a loss of use and {MIN_POINTS} are needed"
        return LrSuggestion(tuple(found), message=f"{few}: begin lower, or take more steps")
    losses = [loss for _, loss in found]
    head = max(3, len(losses) // 10)
    start = statistics.median(losses[:head])
    capped = _capped(losses, start)
    lines = _fitted(capped)
    levels = [level for level, _ in lines]
    smooth = tuple((lr, level) for (lr, _), level in zip(found, levels, strict=True))
    least = min(range(len(levels)), key=levels.__getitem__)
    fall = start - levels[least]
    error = _error(capped, levels, least)
    if least < head or fall <= max(_ERRORS * error, _WORTH * abs(start)):
        return LrSuggestion(smooth, message=_flat(found, start, levels[least], error))
    begun = max(at for at in range(least + 1) if levels[at] >= start - _EDGE * fall or at == 0)
    done = min(at for at in range(begun, least + 1) if levels[at] <= levels[least] + _EDGE * fall)
    steepest = min(range(begun, done + 1), key=lambda at: lines[at][1])
    return LrSuggestion(
        smooth,
        lr=round_rate(smooth[steepest][0]),
        loss=levels[steepest],
        low=round_rate(smooth[begun][0]),
        high=round_rate(smooth[least][0]),
    )


def round_rate(lr: float) -> float:
    """A rate with two digits: no curve knows more."""
    return float(f"{lr:.1e}")


def chart_points(points: Iterable[Point], smooth: Sequence[Point]) -> list[Point]:
    """The points for a chart: what explodes goes no higher than the frame, whose height
    is for what falls."""
    levels = [level for _, level in smooth]
    if not levels:
        return []
    start, least = levels[0], min(levels)
    ceiling = max(start, max(levels)) + 0.25 * max(start - least, abs(start) / 10)
    return [(lr, min(loss, ceiling)) for lr, loss in _usable(points)]


def _usable(points: Iterable[Point]) -> list[Point]:
    return [(lr, loss) for lr, loss in points if 0 < lr < math.inf and abs(loss) < _HUGE]


def _capped(losses: Sequence[float], start: float) -> list[float]:
    ceiling = start + _BEYOND * max(start - min(losses), 0.0)
    return [min(loss, ceiling) for loss in losses]


def _fitted(losses: Sequence[float]) -> list[tuple[float, float]]:
    """Level and slope at each place: of the line that fits best there, near points counting
    most."""
    count = len(losses)
    width = max(_NARROWEST, _SHARE * count)
    reach = math.ceil(3 * width)
    weights = [math.exp(-0.5 * (away / width) ** 2) for away in range(reach + 1)]
    found = []
    for at in range(count):
        total = first = second = level = slope = 0.0
        for place in range(max(0, at - reach), min(count, at + reach + 1)):
            away = place - at
            weight = weights[abs(away)]
            total += weight
            first += weight * away
            second += weight * away * away
            level += weight * losses[place]
            slope += weight * away * losses[place]
        spread = total * second - first * first
        found.append(
            ((second * level - first * slope) / spread, (total * slope - first * level) / spread)
        )
    return found


def _error(losses: Sequence[float], levels: Sequence[float], least: int) -> float:
    """The standard error of the smoothed level at `least`, by how far the losses lie off the
    curve up to there, or on the first half of it."""
    count = len(losses)
    until = max(least + 1, count // 2, MIN_POINTS)
    apart = [abs(a - b) for a, b in zip(losses[:until], levels[:until], strict=False)]
    width = max(_NARROWEST, _SHARE * count)
    together = 2 * math.sqrt(math.pi) * width
    # A line through points on one side only is twice as unsure.
    unsure = 2 if min(least, count - 1 - least) < width else 1
    return unsure * 1.4826 * statistics.median(apart) / math.sqrt(together)


def _flat(found: Sequence[Point], start: float, lowest: float, error: float) -> str:
    """Why there is nothing to suggest on a curve that never falls."""
    first, last = found[0][0], found[-1][0]
    figures = f"({start:.3g} at first, {lowest:.3g} at best)"
    high = start + max(2 * _ERRORS * error, _RISE * abs(start))
    levels = [loss for _, loss in found]
    risen = [at for at in range(len(found) - 2) if min(levels[at : at + 3]) > high]
    if not risen:
        return f"the loss never falls between {first:.2g} and {last:.2g} {figures}"
    if risen[0] < len(found) // 4:
        return f"the loss only rises from {first:.2g} on: begin lower"
    return f"the loss does not fall before it rises near {found[risen[0]][0]:.2g} {figures}"
