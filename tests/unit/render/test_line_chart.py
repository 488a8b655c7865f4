"""Charts as text: size, symbols, and any values."""

from __future__ import annotations

import math
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist_tui.render.axis import (
    POWERS,
    SECONDS,
    create_x_axis,
    create_y_axis,
    round_ticks,
)
from fmnist_tui.render.line_chart import (
    Chart,
    Line,
    describe_outside,
    draw_chart,
    suggest_log,
)
from fmnist_tui.render.printed_chart import format_chart

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
    foot = format_chart("loss", [rates], 80, 12, colour=False, numbers=POWERS).splitlines()[-1]
    assert foot.split() == ["1e-6", "0.0001", "0.01", "1"]


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
    values = round_ticks(low, high, count)
    slack = (high - low) * 1e-6 + 1e-9
    assert all(low - slack <= value <= high + slack for value in values)
    assert 2 <= len(values) <= count + 1


def test_ticks_are_round() -> None:
    assert round_ticks(0.0, 0.97, 5) == [0.0, 0.2, 0.4, 0.6, 0.8]
    assert round_ticks(0.3, 2.1, 5) == [0.5, 1.0, 1.5, 2.0]
    assert round_ticks(0.0, 1.0, 3) == [0.0, 0.5, 1.0]
    assert round_ticks(0.0, 1e-5, 5) == [0.0, 2e-6, 4e-6, 6e-6, 8e-6, 1e-5]
    assert round_ticks(1.0, 4.0, 5, whole=True) == [1.0, 2.0, 3.0, 4.0]


SPIKE = Line("train", range(40), [9.0, *(1 - step / 100 for step in range(39))])


def plot(chart: Chart | None) -> list[str]:
    """The cells of the plot, row by row."""
    assert chart is not None
    rows = ["".join(text for text, _ in row) for row in chart.rows]
    return [row[chart.left : chart.right + 1] for row in rows[chart.top : chart.bottom + 1]]


def test_a_first_spike_does_not_flatten_the_rest_and_is_said() -> None:
    chart = draw_chart([SPIKE], 60, 12)
    assert chart is not None and chart.y_axis.high < 1.5
    assert plot(chart)[0].startswith("▲") and describe_outside(chart) == "▲ up to 9"
    few = draw_chart([Line("val", range(4), [9.0, 1.0, 0.9, 0.8])], 60, 12)
    assert few is not None and few.y_axis.high >= 9.0 and describe_outside(few) == ""


def test_a_band_is_drawn_in_a_quiet_colour_behind_its_line() -> None:
    raw = [0.5 + 0.4 * (-1) ** step for step in range(80)]
    line = Line("train", range(80), [0.5] * 80, low=raw, high=raw)
    chart = draw_chart([line], 60, 12)
    assert chart is not None
    colours = [{name for _, name in row} for row in chart.rows]
    assert any("dim cyan" in names for names in colours[chart.top : chart.bottom])
    middle = next(row for row, names in zip(chart.rows, colours, strict=True) if "cyan" in names)
    text = next(text for text, name in middle if name == "cyan")
    # The line alone, without dots of the band
    assert all((ord(cell) - 0x2800).bit_count() <= 2 for cell in text)
    marks = "".join(plot(draw_chart([line], 60, 12, ascii_only=True)))
    assert set(marks) == {"*", ".", " "}


def test_charts_of_one_size_have_the_same_columns() -> None:
    big = Line("loss", FALLING.xs, [1000 * y for y in FALLING.ys])
    charts = [draw_chart([line], 60, 12) for line in (FALLING, big)]
    charts.append(draw_chart([FALLING], 60, 12, percent=True))
    assert len({(chart.left, chart.right) for chart in charts if chart is not None}) == 1


@pytest.mark.parametrize(
    ("low", "high", "log", "labels"),
    [
        (0.0, 1.0, False, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0.1, 2.5, True, ["0.1", "0.2", "0.5", "1", "2"]),
        (1e-6, 10.0, True, ["1e-6", "0.0001", "0.01", "1"]),
    ],
)
def test_a_y_axis_has_about_five_round_ticks_of_one_form(
    low: float, high: float, log: bool, labels: list[str]
) -> None:
    assert [label for _, label in create_y_axis(low, high, 12, log=log).ticks] == labels


def test_linear_ticks_are_equal_numbers_of_rows_apart() -> None:
    for low, high, rows in product((0.2, 0.655), (0.369, 0.978), range(5, 30)):
        if high <= low:
            continue
        axis = create_y_axis(low, high, rows, percent=True)
        at = [axis.share(value) * (rows - 1) for value, _ in axis.ticks]
        assert at == pytest.approx([round(row) for row in at]) and len(at) >= 2
        assert len({round(b - a) for a, b in pairwise(at)}) == 1
        assert axis.low <= low and axis.high >= high


def test_times_have_round_ticks() -> None:
    labels = [label for _, label in create_x_axis(0.0, 1000.0, 60, SECONDS).ticks]
    assert labels == ["0:00", "5:00", "10:00", "15:00"]


def test_epoch_boundaries_are_behind_the_curves() -> None:
    drawn = plot(draw_chart([FALLING], 60, 12, guides=[24.5]))
    column = round(0.5 * (len(drawn[0]) - 1))
    assert [row[column] for row in drawn].count("┊") >= len(drawn) - 2


def test_a_log_scale_is_suggested_where_values_span_a_factor() -> None:
    assert suggest_log([FALLING]) and not suggest_log([VALIDATION]) and not suggest_log([])
    assert not suggest_log([Line("x", [1, 2], [0.0, 9.0])])
