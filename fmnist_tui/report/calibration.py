"""The reliability diagram: accuracy by confidence."""

from __future__ import annotations

from dataclasses import dataclass

from fmnist_tui.report.scores import SplitScores
from fmnist_tui.report.svg_chart import ChartAxes, PlotArea
from fmnist_tui.report.tables import ReportTable, format_percents
from fmnist_tui.util.formatting import format_percent

# A bin's dot grows with the number of its images.
_MIN_RADIUS, _MAX_RADIUS = 2.5, 7.0


@dataclass(frozen=True, slots=True)
class ReliabilityDiagram:
    """The chart, and its bins as a table.

    `dots` are the bins in pixels: x, y, the y where accuracy would equal confidence, and radius.
    """

    description: str
    axes: ChartAxes
    dots: list[tuple[float, float, float, float]]
    table: ReportTable


def reliability_diagram(scores: SplitScores) -> ReliabilityDiagram | None:
    """None if the predictions were not stored."""
    evaluation = scores.evaluation
    if not evaluation.reliability:
        return None
    area = PlotArea(0.0, 1.0, 0.0, 1.0)
    dots, rows = [], []
    for entry in evaluation.reliability:
        confidence, accuracy = entry.confidence, entry.accuracy
        share = (entry.count / evaluation.count) ** 0.5
        radius = _MIN_RADIUS + share * (_MAX_RADIUS - _MIN_RADIUS)
        dots.append((area.x(confidence), area.y(accuracy), area.y(confidence), radius))
        rows.append((*format_percents(confidence, accuracy), f"{entry.count:,}"))
    return ReliabilityDiagram(
        f"Reliability on {scores.split}: accuracy by confidence. On average they differ by"
        f" {format_percent(evaluation.ece)}.",
        ChartAxes.build(area, "confidence", "accuracy, %", lambda value: f"{100 * value:.0f}"),
        dots,
        ReportTable(
            "Mean confidence, accuracy and number of images of each bin",
            ("confidence", "accuracy", "images"),
            rows,
        ),
    )
