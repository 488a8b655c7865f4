"""The page: one HTML file with its own style, which loads nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import fmnist_tui
from fmnist_tui.analysis.metrics import wilson_interval
from fmnist_tui.protocol.events import ENSEMBLE, FINISHED
from fmnist_tui.protocol.validation import find_validation, training_note
from fmnist_tui.report import provenance
from fmnist_tui.report.calibration import reliability_diagram
from fmnist_tui.report.collect import ReportFacts
from fmnist_tui.report.confusion_matrix import build_matrix
from fmnist_tui.report.learning_curves import learning_curves
from fmnist_tui.report.tables import class_table, confused_pairs_table, members_table
from fmnist_tui.util.formatting import (
    format_count,
    format_duration,
    format_number,
    format_percent,
    format_time,
)
from fmnist_tui.util.text import safe_text

if TYPE_CHECKING:
    import jinja2

_HERE = Path(__file__).parent
# With more classes than this, the matrix and the class table need the full width.
_MAX_HALF_WIDTH_CLASSES = 12


@dataclass(frozen=True, slots=True)
class ReportSection:
    """A section: `content` is drawn by the template of this name. `is_half` sections stand two
    side by side where there is room."""

    id: str
    title: str
    template: str
    content: object
    is_half: bool = False


@dataclass(frozen=True, slots=True)
class ScoreTile:
    """One of the figures at the top."""

    name: str
    value: str
    details: str
    is_wide: bool = False


def render_page(facts: ReportFacts) -> str:
    """The page as text."""
    style = (_HERE / "style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    template = templates().get_template("page.html.jinja")
    return template.render(
        style=style,
        style_digest=digest,
        version=fmnist_tui.__version__,
        written=format_time(time.time(), utc=True),
        title=safe_text(f"{facts.summary.recipe} {facts.folder.id}".strip(), 80),
        subtitle=_subtitle(facts),
        status=_status(facts),
        is_finished=facts.summary.state == FINISHED,
        facts=facts,
        tiles=list(_tiles(facts)),
        sections=[section for section in _sections(facts) if section.content is not None],
    )


@cache
def templates() -> jinja2.Environment:
    """The templates of the report: every value is escaped, and an unknown name is an error."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_plain_value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": format_percent,
        "utc_time": lambda t: format_time(t, utc=True),
        "thousands": "{:,}".format,
    }
    return environment


def _plain_value(value: object) -> object:
    """What a template writes for a value: text without control characters, short numbers."""
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return safe_text(value)
    return value


def _subtitle(facts: ReportFacts) -> str:
    summary, started = facts.summary, facts.state.started
    parts = [facts.dataset.title if facts.dataset is not None else summary.dataset, summary.model]
    if started is not None and started.parameters:
        parts.append(format_count(started.parameters, "parameter"))
    parts.append(format_time(summary.started, utc=True))
    return " · ".join(part for part in parts if part)


def _status(facts: ReportFacts) -> str:
    """Whether the run has ended, and how."""
    summary, state = facts.summary, facts.state
    done = format_count(state.epochs_done, "epoch")
    if summary.is_live:
        total = f" of {summary.epochs_total:,}" if summary.epochs_total else ""
        return (
            f"NOT FINISHED ({summary.state}): {state.epochs_done:,}{total} epochs done when this"
            " report was written"
        )
    if summary.state == FINISHED:
        after = f" after {done}" if summary.kind != ENSEMBLE else ""
        seconds = format_duration(state.warm_seconds or state.seconds, units=True)
        return f"finished{after}, {seconds}{' warm' if state.warm_seconds else ''}"
    reason = f": {summary.reason}" if summary.reason else ""
    return f"{summary.state.upper()} after {done}{reason}"


def _tiles(facts: ReportFacts) -> Iterator[ScoreTile]:
    scores, val = facts.scores, find_validation(facts.state)
    if scores is not None:
        result, split = scores.evaluation, scores.split
        yield _accuracy_tile(split, result.accuracy, result.interval, result.count)
        loss = f"loss {format_number(result.loss)}"
        yield ScoreTile("macro F1", format_percent(result.macro_f1), loss)
        yield ScoreTile("calibration error", format_percent(result.ece), f"ECE on {split}")
    if val is not None and (val.note or scores is None or scores.split != "val"):
        interval = wilson_interval(round(val.accuracy * val.count), val.count)
        when = f", epoch {val.epoch}" if val.epoch else ""
        name = f"val{when}" + (f", {val.note}" if val.note else "")
        yield _accuracy_tile(name, val.accuracy, interval, val.count)
    if scores is not None:
        epoch = f", epoch {scores.epoch}" if scores.epoch is not None else ""
        details = f"checkpoint {scores.checkpoint}{epoch}"
        yield ScoreTile("errors", f"{scores.evaluation.wrong:,}", details)
    if facts.fit is not None:
        yield ScoreTile("fit", facts.fit.verdict, "explained below")


def _accuracy_tile(
    split: str, accuracy: float, interval: tuple[float, float], count: int
) -> ScoreTile:
    low, high = map(format_percent, interval)
    details = f"95 %: {low} – {high}, {format_count(count, 'image')}"
    return ScoreTile(f"accuracy on {split}", format_percent(accuracy), details, is_wide=True)


def _sections(facts: ReportFacts) -> Iterator[ReportSection]:
    """All sections in order; those without content are left out of the page."""
    scores, is_ensemble = facts.scores, facts.summary.kind == ENSEMBLE
    is_narrow = len(facts.classes) <= _MAX_HALF_WIDTH_CLASSES
    curves = learning_curves(facts.state) if not is_ensemble else None
    yield ReportSection("learning", "Learning curves", "learning_curves", curves)
    if scores is not None:
        matrix, classes = build_matrix(scores), class_table(scores)
        yield ReportSection("matrix", "Confusion matrix", "confusion_matrix", matrix, is_narrow)
        yield ReportSection("classes", "Classes", "table", classes, is_narrow)
        pairs = confused_pairs_table(scores)
        yield ReportSection("pairs", "Most confused pairs", "table", pairs, True)
        diagram = reliability_diagram(scores)
        yield ReportSection("calibration", "Calibration", "calibration", diagram, True)
    yield ReportSection("errors", "Errors", "errors", facts.images)
    members = members_table(facts) if is_ensemble else None
    yield ReportSection("members", "Members", "members", members)
    yield ReportSection("fit", f"Fit, {training_note(facts.state.started)}", "fit", facts.fit)
    yield ReportSection("settings", "Settings", "settings", provenance.settings_section(facts))
    command = provenance.reproduce_section(facts)
    yield ReportSection("reproduce", "How to reproduce it", "reproduce", command)
    yield ReportSection("data", "Data", "definitions", provenance.data_rows(facts), True)
    machine = provenance.machine_section(facts)
    yield ReportSection("machine", "Machine and versions", "machine", machine, True)
    yield ReportSection("alerts", "Alerts", "alerts", facts.state.alerts or None)
