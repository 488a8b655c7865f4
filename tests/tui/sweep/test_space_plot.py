"""Plots over the search space, and the canvas they are drawn on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fmnist_tui.sweeps.space import Dimension, Value
from fmnist_tui.tui.screens.sweep import space_plot
from fmnist_tui.tui.screens.sweep.braille_canvas import BrailleCanvas
from tests.tui.sweep.support import make_study, make_trial


@pytest.mark.parametrize("count", [0, 1, 2, 300])
@pytest.mark.parametrize(("width", "height"), [(10, 3), (20, 6), (46, 14), (76, 7), (130, 50)])
def test_plots_fit_their_size(count: int, width: int, height: int) -> None:
    study = make_study(count)
    for rows, settings in (
        space_plot.draw_slices(study, ("flip",), 1, width, height),
        space_plot.draw_parallel(study, ("flip",), 1, width, height),
    ):
        assert len(rows) <= height and 0 <= settings <= 4
        for row in rows:
            assert sum(len(part) for part, _ in row) <= width + 2


def test_the_most_important_settings_are_drawn_where_few_fit() -> None:
    rows, settings = space_plot.draw_slices(make_study(20), ("flip", "lr"), None, 40, 5)
    assert settings == 2
    title = "".join(part for part, _ in rows[0])
    assert title.split() == ["flip", "lr", "(log)"]


def test_outliers_do_not_squeeze_the_value_axis() -> None:
    good = [make_trial(number=number, value=0.9 + number / 1000) for number in range(9)]
    low, high = space_plot.value_bounds([make_trial(number=9, value=0.1), *good])
    assert 0.88 < low < 0.9 and high == pytest.approx(0.908)


def test_outliers_below_the_value_axis_are_counted_and_its_end_says_so() -> None:
    good = [make_trial(number=number, value=0.9 + number / 1000) for number in range(9)]
    study = make_study(0)
    assert "below" not in space_plot.describe_values(study, good)
    assert space_plot.value_labels(good) == ("90.0 %", "90.8 %")
    trials = [make_trial(number=9, value=0.1), *good]
    assert space_plot.describe_values(study, trials).endswith("  1 below")
    assert space_plot.value_labels(trials) == ("≤89.6 %", "90.8 %")


def test_slices_have_a_value_axis_and_choices_stay_whole_where_they_fit() -> None:
    good = [make_trial(number=number, value=0.9 + number / 1000) for number in range(9)]
    study = make_study(0)
    params: dict[str, Value] = {"lr": 0.01, "optimizer": "sgd", "dropout": 0.1, "flip": True}
    trials = [replace(trial, params=params) for trial in [*good, make_trial(number=9, value=0.1)]]
    rows, _ = space_plot.draw_slices(replace(study, trials=tuple(trials)), (), None, 80, 12)
    lines = ["".join(part for part, _ in row) for row in rows]
    assert lines[1].startswith(" 90.8 %") and lines[4].startswith("≤89.6 %")
    part = Dimension("schedule", ("constant", "onecycle", "cosine"))
    assert space_plot._axis(part, 24) == "constant onecycle cosine"
    assert space_plot._axis(part, 20).split() == ["const…", "onecy…", "cosine"]


def test_a_canvas_draws_points_lines_and_symbols_at_their_positions() -> None:
    canvas = BrailleCanvas(4, 2)
    canvas.line((0, 0), (1, 1), "a")
    canvas.symbol(0, 1, "◆", "b")
    top, bottom = ("".join(text for text, _ in row) for row in canvas.rows())
    assert top[0] == "◆" and top[3] != " " and bottom[0] != " " and bottom[3] == " "
    canvas = BrailleCanvas(3, 1)
    canvas.vertical_line(0.5, "a")
    assert canvas.rows() == [[(" ", ""), ("│", "a"), (" ", "")]]
