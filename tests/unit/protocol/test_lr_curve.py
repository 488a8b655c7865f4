"""The suggestion from the curve of a learning-rate search."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist_tui.protocol.lr_curve import (
    MAX_RATE,
    MAX_STEPS,
    MIN_POINTS,
    MIN_RATE,
    MIN_STEPS,
    DivergenceDetector,
    RatePoint,
    RateRange,
    chart_points,
    round_rate,
    suggest_rate,
)
from fmnist_tui.util.errors import UsageError
from tests.unit.support import PROPERTY


def curve(
    centre: float = -2.5,
    *,
    start: float = 2.3,
    floor: float = 0.6,
    noise: float = 0.0,
    explodes: float | None = 0.3,
    seed: int = 0,
    rates: RateRange | None = None,
) -> list[RatePoint]:
    """A loss that falls around 10^centre and explodes around 10^explodes."""
    draw = random.Random(seed)
    rates = rates or RateRange()
    points = []
    for step in range(rates.steps):
        lr = rates.rate_at(step)
        x = math.log10(lr)
        loss = floor + (start - floor) / (1 + math.exp(8 * (x - centre)))
        if explodes is not None:
            loss += 10 ** (3 * (x - explodes))
        points.append((lr, loss + draw.gauss(0, noise)))
    return points


def ended(points: list[RatePoint]) -> list[RatePoint]:
    """The points of a search that ends when its loss explodes."""
    watch = DivergenceDetector()
    return [point for point in points if not watch.diverges(point[1])]


def decades(lr: float | None, centre: float) -> float:
    assert lr is not None
    return abs(math.log10(lr) - centre)


# -- the rates that are tried -------------------------------------------------------------


def test_rates_rise_by_a_constant_factor() -> None:
    rates = RateRange(1e-4, 1.0, 21)
    tried = [rates.rate_at(step) for step in range(21)]
    assert tried[0] == 1e-4 and tried[-1] == pytest.approx(1.0)
    assert [b / a for a, b in zip(tried, tried[1:])] == pytest.approx([10**0.2] * 20)  # noqa: B905, RUF007


@pytest.mark.parametrize(
    ("low", "high", "steps", "why"),
    [
        (1.0, 0.1, 100, "from-lr = 1 must be below to-lr = 0.1"),
        (0.1, 0.1, 100, "must be below"),
        (0.0, 0.1, 100, "from-lr = 0: must be a number from 1e-12 to 100"),
        (-1.0, 0.1, 100, "from-lr = -1"),
        (math.nan, 0.1, 100, "from-lr = nan"),
        (0.1, math.inf, 100, "to-lr = inf"),
        (0.1, 1000.0, 100, "to-lr = 1000"),
        (1e-6, 0.1, MIN_STEPS - 1, "a curve needs 20 to 2,000 steps"),
        (1e-6, 0.1, MAX_STEPS + 1, "steps = 2001"),
    ],
)
def test_an_invalid_range_is_refused_in_one_line(
    low: float, high: float, steps: int, why: str
) -> None:
    with pytest.raises(UsageError) as refused:
        RateRange(low, high, steps)
    assert why in str(refused.value) and "\n" not in str(refused.value)


# -- the suggestion -----------------------------------------------------------------------


@PROPERTY
@given(
    centre=st.floats(-4.5, -1.5),
    noise=st.floats(0, 0.3),
    seed=st.integers(0, 1000),
    steps=st.integers(80, 300),
)
def test_the_suggestion_is_where_the_loss_falls_fastest_despite_noise(
    centre: float, noise: float, seed: int, steps: int
) -> None:
    suggestion = suggest_rate(curve(centre, noise=noise, seed=seed, rates=RateRange(steps=steps)))
    assert decades(suggestion.lr, centre) < 0.35
    assert suggestion.low is not None and suggestion.high is not None and suggestion.lr is not None
    assert suggestion.low <= suggestion.lr <= suggestion.high and not suggestion.message


@PROPERTY
@given(height=st.floats(1e-3, 1e3), faster=st.floats(1e-3, 1e2), seed=st.integers(0, 1000))
def test_scaling_losses_or_rates_does_not_change_the_suggestion(
    height: float, faster: float, seed: int
) -> None:
    points = curve(noise=0.05, seed=seed)
    plain = suggest_rate(points)
    scaled = suggest_rate([(lr * faster, loss * height) for lr, loss in points])
    assert plain.lr is not None and scaled.lr is not None
    # Within a digit that is rounded away.
    assert scaled.lr / faster == pytest.approx(plain.lr, rel=0.06)


@PROPERTY
@given(seed=st.integers(0, 10_000), steps=st.integers(60, 400), noise=st.floats(0, 0.5))
def test_a_flat_curve_gives_no_suggestion_but_a_reason(seed: int, steps: int, noise: float) -> None:
    suggestion = suggest_rate(
        curve(floor=2.3, noise=noise, explodes=None, seed=seed, rates=RateRange(steps=steps))
    )
    assert suggestion.lr is None and suggestion.low is None and suggestion.high is None
    assert "the loss never falls between 1e-06 and 10" in suggestion.message
    assert len(suggestion.smooth) == steps


def test_noise_is_not_taken_for_a_rise() -> None:
    flat = curve(floor=2.3, noise=0.5, explodes=None, seed=611, rates=RateRange(steps=60))
    assert "the loss never falls between 1e-06 and 10" in suggest_rate(flat).message


def test_a_curve_that_only_rises_is_reported() -> None:
    suggestion = suggest_rate(
        ended([(RateRange().rate_at(step), 2.3 * 1.03**step) for step in range(160)])
    )
    assert suggestion.lr is None and "only rises from 1e-06 on: start lower" in suggestion.message


def test_a_curve_that_rises_without_falling_is_reported() -> None:
    suggestion = suggest_rate(ended(curve(floor=2.3, explodes=-1, noise=0.05)))
    assert suggestion.lr is None
    assert "does not fall before it rises near 0.0" in suggestion.message


def test_a_curve_that_still_falls_at_the_end_gives_a_suggestion() -> None:
    suggestion = suggest_rate(curve(-2.0, explodes=None, rates=RateRange(1e-6, 1e-2)))
    assert suggestion.lr is not None and 3e-3 < suggestion.lr <= 1e-2
    assert suggestion.high == pytest.approx(1e-2)


def test_a_curve_that_falls_from_the_start_gives_a_suggestion() -> None:
    suggestion = suggest_rate(curve(-5.9, rates=RateRange(1e-6, 10.0)))
    assert suggestion.lr is not None and suggestion.lr < 1e-5


@pytest.mark.parametrize("count", [0, 1, 2, MIN_POINTS - 1])
def test_too_few_losses_give_no_suggestion_but_a_reason(count: int) -> None:
    suggestion = suggest_rate(curve()[:count])
    assert suggestion.lr is None and f"only {count} steps" in suggestion.message
    assert list(suggestion.smooth) == curve()[:count]


def test_losses_that_are_not_finite_are_ignored() -> None:
    points = curve(noise=0.05)
    odd = [(lr, loss if index % 7 else math.nan) for index, (lr, loss) in enumerate(points)]
    odd += [(20.0, math.inf), (30.0, 1e300), (-1.0, 1.0), (math.nan, 1.0)]
    suggestion = suggest_rate(odd)
    assert decades(suggestion.lr, -2.5) < 0.2
    assert len(suggestion.smooth) == sum(1 for index in range(len(points)) if index % 7)


def test_divergence_does_not_distort_the_curve_before_it() -> None:
    mild, wild = curve(noise=0.02), curve(noise=0.02)
    index = next(at for at, (lr, _) in enumerate(wild) if lr > 1.0)
    wild[index:] = [(lr, 1e12) for lr, _ in wild[index:]]
    assert suggest_rate(wild).lr == suggest_rate(mild).lr


def test_a_few_spikes_are_not_a_fall() -> None:
    points = curve(floor=2.3, noise=0.02, explodes=None)
    for index in (40, 90, 120):
        points[index] = (points[index][0], 9.0)
    assert suggest_rate(points).lr is None


@PROPERTY
@given(
    st.lists(st.tuples(st.floats(), st.floats(allow_nan=True, allow_infinity=True)), max_size=40)
)
def test_arbitrary_points_are_handled(points: list[RatePoint]) -> None:
    suggestion = suggest_rate(points)
    assert (suggestion.lr is None) == bool(suggestion.message)
    assert all(math.isfinite(level) for _, level in suggestion.smooth)
    assert all(math.isfinite(loss) for _, loss in chart_points(points, suggestion.smooth))


def test_the_nearest_point_is_nearest_on_a_log_scale() -> None:
    suggestion = suggest_rate(curve())
    assert suggestion.lr is not None
    index = suggestion.nearest_index(suggestion.lr)
    assert decades(suggestion.smooth[index][0], math.log10(suggestion.lr)) < 0.03
    assert suggestion.nearest_index(MIN_RATE) == 0
    assert suggestion.nearest_index(MAX_RATE) == len(suggestion.smooth) - 1
    assert suggest_rate([]).nearest_index(0.1) == 0


def test_a_rate_is_rounded_to_two_digits() -> None:
    assert round_rate(0.00237468) == 0.0024
    assert round_rate(9.96e-4) == 1e-3


def test_the_chart_caps_diverging_losses_and_keeps_the_fall() -> None:
    points = curve(explodes=-1.0)
    shown = chart_points(points, suggest_rate(points).smooth)
    assert max(loss for _, loss in shown) < 5
    assert [loss for _, loss in shown[:100]] == [loss for _, loss in points[:100]]
    assert chart_points([], ()) == []


# -- when to stop -------------------------------------------------------------------------


def test_divergence_is_detected_soon_and_noise_is_not_divergence() -> None:
    watch = DivergenceDetector()
    seen = [watch.diverges(loss) for _, loss in curve(noise=0.1)]
    assert True in seen
    lr, loss = curve()[seen.index(True)]
    assert lr > 1 and loss > 2.3
    draw = random.Random(0)
    steady = DivergenceDetector()
    assert not any(steady.diverges(1 + draw.gauss(0, 0.3)) for _ in range(2000))


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_counts_as_divergence(loss: float) -> None:
    assert DivergenceDetector().diverges(loss)
