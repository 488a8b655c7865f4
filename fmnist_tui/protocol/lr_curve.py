"""The curve of a learning-rate search: the rates to try, and the suggestion from their losses.

The rate rises by a constant factor from one training step to the next. At first the loss
hardly changes, then it falls, fastest at some rate, and finally the steps are too large and
it rises. `suggest_rate` finds these points in a noisy curve, or says why there are none.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fmnist_tui.util.errors import UsageError

DEFAULT_LOW, DEFAULT_HIGH, DEFAULT_STEPS = 1e-6, 10.0, 160
# Within the bounds of RunConfig.lr, so that any suggestion can be used.
MIN_RATE, MAX_RATE = 1e-12, 100.0
MIN_STEPS, MAX_STEPS = 20, 2000

# Larger losses are ignored, so that sums stay finite.
_MAX_LOSS = 1e30
# Fewer usable losses give no suggestion.
MIN_POINTS = 12
# Bandwidth of the smoothing: share of the curve, and least number of points.
_BANDWIDTH_SHARE, _MIN_BANDWIDTH = 0.04, 2.0
# A fall counts from this many standard errors of the smoothed curve and this share of the loss.
_MIN_FALL_ERRORS, _MIN_FALL_SHARE = 8.0, 0.02
# A rise counts from this share of the initial loss.
_MIN_RISE_SHARE = 0.2
# Share of the fall that is left out at its beginning and its end.
_FALL_MARGIN = 0.1
# Losses are capped at the initial loss plus this share of the deepest fall, so that an
# exploding loss does not distort the smoothed points before it.
_CAP_SHARE = 0.5
# The loss diverges when it exceeds the best one by this factor.
DIVERGENCE_FACTOR = 4.0
_DECAY = 0.8

RatePoint = tuple[float, float]


@dataclass(frozen=True, slots=True)
class RateRange:
    """The rates of a search: `steps` rates from `low` to `high`, evenly on a log scale."""

    low: float = DEFAULT_LOW
    high: float = DEFAULT_HIGH
    steps: int = DEFAULT_STEPS

    def __post_init__(self) -> None:
        for name, value in (("from-lr", self.low), ("to-lr", self.high)):
            if not MIN_RATE <= value <= MAX_RATE:
                raise UsageError(
                    f"{name} = {value:g}: must be a number from {MIN_RATE:g} to {MAX_RATE:g}"
                )
        if not self.low < self.high:
            raise UsageError(f"from-lr = {self.low:g} must be below to-lr = {self.high:g}")
        if not MIN_STEPS <= self.steps <= MAX_STEPS:
            raise UsageError(
                f"steps = {self.steps}: a curve needs {MIN_STEPS} to {MAX_STEPS:,} steps"
                f" (default: {DEFAULT_STEPS})"
            )

    def rate_at(self, step: int) -> float:
        """The rate at `step`, counted from 0."""
        return float(self.low * (self.high / self.low) ** (step / (self.steps - 1)))


@dataclass(frozen=True, slots=True)
class LrSuggestion:
    """The result of a curve. `smooth` has a point for each usable loss.

    `lr` is the rate at which the loss falls fastest (rounded to two digits), `loss` the
    smoothed loss there; the loss falls from `low` on and is lowest at `high`. They are None,
    with the reason in `message`, if there is no suggestion.
    """

    smooth: tuple[RatePoint, ...] = ()
    lr: float | None = None
    loss: float | None = None
    low: float | None = None
    high: float | None = None
    message: str = ""

    def nearest_index(self, lr: float) -> int:
        """The index in `smooth` of the point nearest to a rate."""
        return min(
            range(len(self.smooth)),
            key=lambda index: abs(math.log(self.smooth[index][0] / lr)),
            default=0,
        )


class DivergenceDetector:
    """Watches a loss from step to step for divergence."""

    def __init__(self) -> None:
        self._mean = self._weight = 0.0
        self._best = math.inf

    def diverges(self, loss: float) -> bool:
        """Add the next loss; whether the search should end."""
        if not math.isfinite(loss):
            return True
        self._mean = _DECAY * self._mean + (1 - _DECAY) * loss
        self._weight = _DECAY * self._weight + (1 - _DECAY)
        average = self._mean / self._weight
        self._best = min(self._best, average)
        return average > DIVERGENCE_FACTOR * max(self._best, 1e-3)


def suggest_rate(points: Iterable[RatePoint]) -> LrSuggestion:
    """The suggestion from points (rate, loss) in the order of their rates."""
    usable = _usable_points(points)
    if len(usable) < MIN_POINTS:
        few = f"only {len(usable)} steps gave a usable loss and {MIN_POINTS} are needed"
        return LrSuggestion(tuple(usable), message=f"{few}: start lower, or take more steps")
    losses = [loss for _, loss in usable]
    head = max(3, len(losses) // 10)
    start = statistics.median(losses[:head])
    capped = _cap_losses(losses, start)
    lines = _fit_lines(capped)
    levels = [level for level, _ in lines]
    smooth = tuple((lr, level) for (lr, _), level in zip(usable, levels, strict=True))
    least = min(range(len(levels)), key=levels.__getitem__)
    fall = start - levels[least]
    error = _standard_error(capped, levels, least)
    if least < head or fall <= max(_MIN_FALL_ERRORS * error, _MIN_FALL_SHARE * abs(start)):
        return LrSuggestion(smooth, message=_explain_no_fall(usable, start, levels[least], error))
    high = start - _FALL_MARGIN * fall
    low = levels[least] + _FALL_MARGIN * fall
    first = max(index for index in range(least + 1) if levels[index] >= high or index == 0)
    last = min(index for index in range(first, least + 1) if levels[index] <= low)
    steepest = min(range(first, last + 1), key=lambda index: lines[index][1])
    return LrSuggestion(
        smooth,
        lr=round_rate(smooth[steepest][0]),
        loss=levels[steepest],
        low=round_rate(smooth[first][0]),
        high=round_rate(smooth[least][0]),
    )


def round_rate(lr: float) -> float:
    """A rate rounded to two digits."""
    return float(f"{lr:.1e}")


def chart_points(points: Iterable[RatePoint], smooth: Sequence[RatePoint]) -> list[RatePoint]:
    """The points for a chart, with diverging losses capped so that the fall stays visible."""
    levels = [level for _, level in smooth]
    if not levels:
        return []
    start, least = levels[0], min(levels)
    ceiling = max(start, max(levels)) + 0.25 * max(start - least, abs(start) / 10)
    return [(lr, min(loss, ceiling)) for lr, loss in _usable_points(points)]


def _usable_points(points: Iterable[RatePoint]) -> list[RatePoint]:
    return [(lr, loss) for lr, loss in points if 0 < lr < math.inf and abs(loss) < _MAX_LOSS]


def _cap_losses(losses: Sequence[float], start: float) -> list[float]:
    ceiling = start + _CAP_SHARE * max(start - min(losses), 0.0)
    return [min(loss, ceiling) for loss in losses]


def _fit_lines(losses: Sequence[float]) -> list[tuple[float, float]]:
    """Level and slope at each point of a local linear regression with Gaussian weights."""
    count = len(losses)
    width = max(_MIN_BANDWIDTH, _BANDWIDTH_SHARE * count)
    reach = math.ceil(3 * width)
    weights = [math.exp(-0.5 * (distance / width) ** 2) for distance in range(reach + 1)]
    lines = []
    for index in range(count):
        total = first = second = level = slope = 0.0
        for other in range(max(0, index - reach), min(count, index + reach + 1)):
            offset = other - index
            weight = weights[abs(offset)]
            total += weight
            first += weight * offset
            second += weight * offset * offset
            level += weight * losses[other]
            slope += weight * offset * losses[other]
        spread = total * second - first * first
        lines.append(
            ((second * level - first * slope) / spread, (total * slope - first * level) / spread)
        )
    return lines


def _standard_error(losses: Sequence[float], levels: Sequence[float], least: int) -> float:
    """The standard error of the smoothed level at `least`, from the residuals up to there or
    of the first half of the curve, whichever is longer."""
    count = len(losses)
    end = max(least + 1, count // 2, MIN_POINTS)
    residuals = [abs(a - b) for a, b in zip(losses[:end], levels[:end], strict=False)]
    width = max(_MIN_BANDWIDTH, _BANDWIDTH_SHARE * count)
    samples = 2 * math.sqrt(math.pi) * width
    # Near an end, where points lie on one side only, the error is twice as large.
    factor = 2 if min(least, count - 1 - least) < width else 1
    return factor * 1.4826 * statistics.median(residuals) / math.sqrt(samples)


def _explain_no_fall(points: Sequence[RatePoint], start: float, lowest: float, error: float) -> str:
    first, last = points[0][0], points[-1][0]
    figures = f"({start:.3g} at first, {lowest:.3g} at best)"
    high = start + max(2 * _MIN_FALL_ERRORS * error, _MIN_RISE_SHARE * abs(start))
    losses = [loss for _, loss in points]
    # A loss that rises stays high; a few high ones in between are noise.
    rise = len(losses)
    while rise and losses[rise - 1] > high:
        rise -= 1
    if len(losses) - rise < 3:
        return f"the loss never falls between {first:.2g} and {last:.2g} {figures}"
    if rise < len(points) // 4:
        return f"the loss only rises from {first:.2g} on: start lower"
    return f"the loss does not fall before it rises near {points[rise][0]:.2g} {figures}"
