"""Curves in bounded memory."""

from __future__ import annotations

import math

from hypothesis import example, given
from hypothesis import strategies as st

from fmnist_tui.protocol.series import MAX_POINTS, CurvePoint, Series
from tests.unit.support import PROPERTY


def make_series(values: list[float]) -> Series:
    series = Series()
    for step, value in enumerate(values, start=1):
        series.add(step, value)
    return series


def wave(count: int) -> list[float]:
    return [math.sin(step / 7) + step % 13 for step in range(count)]


@PROPERTY
@given(st.lists(st.floats(allow_nan=False), max_size=200))
def test_a_short_curve_is_kept_completely(values: list[float]) -> None:
    assert make_series(values).points() == list(enumerate(values, start=1))


def test_a_curve_of_any_length_stays_small_and_in_order() -> None:
    series = Series()
    for step, value in enumerate(wave(100_000)):
        series.add(step, value)
        if step % 997 == 0:
            assert len(series.points()) <= MAX_POINTS
    steps = [step for step, _ in series.points()]
    assert MAX_POINTS // 4 < len(steps) <= MAX_POINTS
    assert steps == sorted(set(steps))


@PROPERTY
@given(st.integers(5000, 20_000), st.integers(0, 10**6), st.integers(0, 10**6))
def test_spikes_and_both_ends_are_kept(count: int, up: int, down: int) -> None:
    values = wave(count)
    values[up % count] = 1e6
    values[down % count] = -1e6
    points = make_series(values).points()
    assert points[0] == (1, values[0])
    assert points[-1] == (count, values[-1])
    assert max(value for _, value in points) == max(values)
    assert min(value for _, value in points) == min(values)


def test_many_spikes_are_all_kept() -> None:
    values = wave(50_000)
    for index in range(250, 50_000, 500):
        values[index], values[index + 1] = 1e6, -1e6
    points = make_series(values).points()
    assert [step for step, value in points if value == 1e6] == list(range(251, 50_000, 500))
    assert [step for step, value in points if value == -1e6] == list(range(252, 50_000, 500))
    assert {(step, values[step - 1]) for step, _ in points} == set(points)


def test_the_density_of_points_is_even() -> None:
    points = make_series(wave(200_000)).points()
    quarters = [0, 0, 0, 0]
    for step, _ in points:
        quarters[min(3, step * 4 // 200_000)] += 1
    assert min(quarters) > 0.6 * max(quarters)


@PROPERTY
@given(st.integers(0, 2), st.integers(1, 9998), st.integers(1, 9998))
def test_nan_does_not_hide_other_values(rest: int, up: int, down: int) -> None:
    values = [math.nan if index % 3 == rest else value for index, value in enumerate(wave(10_000))]
    values[0] = values[-1] = math.nan
    values[up] = 1e6
    values[down] = -1e6
    points = make_series(values).points()
    numbers = [value for _, value in points if not math.isnan(value)]
    assert max(numbers) == (1e6 if up != down else max(v for v in values if not math.isnan(v)))
    assert min(numbers) == -1e6
    assert math.isnan(points[0][1]) and math.isnan(points[-1][1])


@PROPERTY
@given(st.integers(0, 12_000), st.integers(0, 12_000))
@example(4086, 4)
@example(1022, 1022)
def test_dropping_removes_all_points_after_a_step(count: int, step: int) -> None:
    series = make_series(wave(count))
    before = series.points()
    series.drop_after(step)
    assert series.points() == [point for point in before if point[0] <= step]
    series.add(step + 1, 5.0)
    assert series.points()[-1] == series.last == (step + 1, 5.0)


def test_repeated_dropping_keeps_a_curve_small() -> None:
    series = Series()
    for step in range(1200):
        series.add(step, step % 7)
        series.drop_after(step)
    assert len(series.points()) <= MAX_POINTS


def test_an_empty_curve_has_no_points_and_no_last() -> None:
    series = Series()
    points: list[CurvePoint] = []
    assert (series.points(), series.last, bool(series)) == (points, None, False)
    series.add(1, 2.0)
    assert (series.last, bool(series)) == ((1, 2.0), True)
