"""Charts as text: size, symbols, and any values."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist_tui.render.line_chart import Line, draw_chart, format_chart, tick_values

FALLING = Line("train", range(50), [math.exp(-step / 10) for step in range(50)])
VALIDATION = Line("val", [10, 20, 49], [0.6, 0.4, 0.3], "orange")


def test_a_chart_fits_its_size() -> None:
    for width, height in ((60, 10), (100, 20)):
        lines = format_chart(
            "loss", [FALLING, VALIDATION], width, height, colour=False
        ).splitlines()
        assert len(lines) == height
        assert max(map(len, lines)) == width


def test_colour_uses_ansi_codes_and_plain_charts_have_none() -> None:
    assert "\x1b[" in format_chart("loss", [FALLING], 60, 10)
    plain = format_chart("loss", [FALLING, VALIDATION], 60, 10, colour=False)
    assert "\x1b" not in plain
    assert "** train" in plain and "++ val" in plain


def test_ascii_charts_draw_their_lines_in_ascii() -> None:
    body = format_chart("loss", [FALLING], 60, 10, ascii_only=True, colour=False)
    assert "*" in body and not any(0x2800 <= ord(letter) < 0x2900 for letter in body)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize(
    "values",
    [[], [1.0], [1.0, 1.0], [0.0, 0.0], [math.nan, 1.0], [math.inf, -math.inf], [-1.0, 1e30]],
)
def test_arbitrary_values_can_be_drawn(values: list[float], log: bool) -> None:
    text = format_chart("x", [Line("y", range(len(values)), values)], 60, 10, log=log)
    drawable = [value for value in values if math.isfinite(value) and (value > 0 or not log)]
    assert bool(text) == bool(drawable)


def test_exponents_are_labelled_as_powers_of_ten() -> None:
    rates = Line("loss", [-6.0, -4.0, -2.0, 0.0], [2.0, 1.0, 0.5, 3.0])
    foot = format_chart("loss", [rates], 80, 12, colour=False, powers=True).splitlines()[-1]
    assert foot.split() == ["1e-6", "1e-5", "0.0001", "0.001", "0.01", "0.1", "1"]


def test_a_span_is_the_least_range_of_a_chart() -> None:
    chart = draw_chart([Line("loss", [2.0, 3.0], [1.0, 0.5])], 60, 10, span=(0.0, 10.0))
    assert chart is not None and (chart.low, chart.high) == (0.0, 10.0)
    beyond = draw_chart([Line("loss", [-5.0, 3.0], [1.0, 0.5])], 60, 10, span=(0.0, 10.0))
    assert beyond is not None and (beyond.low, beyond.high) == (-5.0, 10.0)


def test_a_space_too_small_for_a_chart_stays_empty() -> None:
    assert format_chart("loss", [FALLING], 10, 3) == ""


@given(st.floats(-1e6, 1e6), st.floats(1e-9, 1e6), st.integers(3, 8))
def test_ticks_are_few_and_inside_the_range(low: float, span: float, count: int) -> None:
    high = low + span
    if high - low < abs(low) * 1e-9:
        return
    values = tick_values(low, high, count)
    slack = (high - low) * 1e-6 + 1e-9
    assert all(low - slack <= value <= high + slack for value in values)
    assert len(values) <= 2 * count + 1


def test_ticks_are_round() -> None:
    assert tick_values(0.0, 0.97, 5) == [0.0, 0.2, 0.4, 0.6, 0.8]
    assert tick_values(0.3, 2.1, 5) == [0.5, 1.0, 1.5, 2.0]
    assert tick_values(0.0, 1.0, 4) == [0.0, 0.5, 1.0]
    assert tick_values(0.0, 1.0, 4, (1, 2, 2.5, 5, 10)) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert tick_values(0.0, 1e-5, 5) == [0.0, 2e-6, 4e-6, 6e-6, 8e-6, 1e-5]
