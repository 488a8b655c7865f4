"""The reliability diagram: accuracy by confidence."""

from __future__ import annotations

from dataclasses import dataclass

from fmnist_tui.report.scores import SplitScores
from fmnist_tui.report.svg_chart import ChartAxes, PlotArea
from fmnist_tui.report.tables import ReportTable
from fmnist_tui.util.formatting import format_percent

# A bin's dot grows with the number of its images.
_MIN_RADIUS, _MAX_RADIUS = 2.5, 7.0


@dataclass(frozen=True, slots=True)
class ReliabilityDot:
    """A bin in pixels; `ideal_y` is where accuracy would equal confidence."""

    x: float
    y: float
    ideal_y: float
    radius: float


@dataclass(frozen=True, slots=True)
class ReliabilityDiagram:
    """The chart, and its bins as a table."""

    description: str
    axes: ChartAxes
    dots: list[ReliabilityDot]
    table: ReportTable


def reliability_diagram(scores: SplitScores) -> ReliabilityDiagram | None:
    """None if the predictions were not stored."""
    evaluation = scores.evaluation
    if not evaluation.reliability:
        return None
    area = PlotArea(0.0, 1.0, 0.0, 1.0)
    dots = []
    for reliability_bin in evaluation.reliability:
        share = (reliability_bin.count / evaluation.count) ** 0.5
        dots.append(
            ReliabilityDot(
                area.x(reliability_bin.confidence),
                area.y(reliability_bin.accuracy),
                area.y(reliability_bin.confidence),
                _MIN_RADIUS + share * (_MAX_RADIUS - _MIN_RADIUS),
            )
        )
    return ReliabilityDiagram(
        f"Reliability on {scores.split}: accuracy by confidence. On average they differ by"
        f" {format_percent(evaluation.ece)}.",
        ChartAxes.build(area, "confidence", "accuracy, %", lambda value: f"{100 * value:.0f}"),
        dots,
        ReportTable(
            "Mean confidence, accuracy and number of images of each bin",
            ("confidence", "accuracy", "images"),
            [
                (
                    format_percent(entry.confidence, 1),
                    format_percent(entry.accuracy, 1),
                    f"{entry.count:,}",
                )
                for entry in evaluation.reliability
            ],
        ),
    )
