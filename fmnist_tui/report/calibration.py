"""How far its confidence can be believed: a reliability diagram and the figures behind it."""

from __future__ import annotations

from fmnist_tui.report.formatting import percent
from fmnist_tui.report.html import Html, join, tag
from fmnist_tui.report.parts import table
from fmnist_tui.report.scores import SplitScores
from fmnist_tui.report.svg_chart import PlotArea, axes, drawing

# A bin's dot shows by its size how many images are in it.
_SMALL, _LARGE = 2.5, 7.0


def calibration(scores: SplitScores) -> Html | None:
    """None where single predictions were not kept."""
    if not scores.reliability:
        return None
    frame = PlotArea(0.0, 1.0, 0.0, 1.0)
    parts = [
        axes(frame, "confidence", "right, %", lambda value: f"{100 * value:.0f}"),
        tag(
            "line",
            x1=frame.x(0),
            y1=frame.y(0),
            x2=frame.x(1),
            y2=frame.y(1),
            class_="ideal",
        ),
    ]
    for found in scores.reliability:
        x, y = frame.x(found.confidence), frame.y(found.accuracy)
        parts.append(tag("line", x1=x, x2=x, y1=frame.y(found.confidence), y2=y, class_="gap"))
        share = (found.count / scores.count) ** 0.5
        radius = _SMALL + share * (_LARGE - _SMALL)
        parts.append(tag("circle", cx=x, cy=y, r=radius, class_="dot bin"))
    about = (
        f"Reliability on {scores.split}: how often predictions of a confidence were right. On"
        f" average the two lie {percent(scores.ece)} apart."
    )
    chart = tag(
        "figure",
        drawing(about, *parts),
        tag(
            "figcaption",
            "Dots on the dashed line would be confidence that can be believed; below it the"
            " network is surer than it is right. Larger dots are more images.",
        ),
    )
    rows = [
        (percent(found.confidence, 1), percent(found.accuracy, 1), f"{found.count:,}")
        for found in scores.reliability
    ]
    figures = tag(
        "details",
        tag("summary", "The dots as figures"),
        table(
            "Mean confidence of a bin, how often it was right, and its images",
            ("confidence", "right", "images"),
            rows,
        ),
    )
    return join(chart, figures)
