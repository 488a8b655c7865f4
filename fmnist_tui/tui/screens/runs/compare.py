"""Compare runs: their curves, their results and the settings in which they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len
from textual.content import Content

from fmnist_tui.analysis.metrics import wilson_interval
from fmnist_tui.config.problems import format_setting
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.protocol.events import ENSEMBLE, SWEEP, TRAIN
from fmnist_tui.protocol.validation import MARK, MARK_MEANING
from fmnist_tui.render.line_chart import Line
from fmnist_tui.runs.listing import RunSummary
from fmnist_tui.sweeps.run_settings import differing_settings
from fmnist_tui.tui.screens.runs.history import RunHistory
from fmnist_tui.tui.screens.runs.table import MARK_COLOURS
from fmnist_tui.tui.shared.run_names import run_name
from fmnist_tui.tui.widgets.columns import fit_text
from fmnist_tui.util.formatting import (
    NO_VALUE,
    format_duration,
    format_percent,
    format_percent_margin,
)
from fmnist_tui.util.paths import format_path
from fmnist_tui.util.text import safe_text

_VALUE_WIDTH = 24
# Settings shown for every run, even at their defaults.
_MAIN_SETTINGS = ("epochs", "batch_size", "optimizer", "lr", "schedule", "seed")
_NOT_LISTED = ("recipe", "dataset", "model", *_MAIN_SETTINGS)
_NAME, _MUTED, _WARNING = "$primary", "$foreground 70%", "$warning"
_ALERT_STYLES = {"note": _MUTED, "error": "$error"}


@dataclass(frozen=True, slots=True)
class RunComparison:
    """A run to compare; `mark` is its number if the user has marked it."""

    summary: RunSummary
    history: RunHistory
    mark: int | None = None
    colour: str = ""


def build_page(runs: Sequence[RunComparison]) -> Content:
    """All facts of one run, or several runs side by side."""
    if not runs:
        return Content("")
    return _single_run(runs[0]) if len(runs) == 1 else _side_by_side(runs)


def build_lines(runs: Sequence[RunComparison], curve: str) -> list[Line]:
    """A chart line for each run that has this curve, by epoch."""
    lines = []
    for run in runs:
        if points := run.history.curves.get(curve, ()):
            name = f"{run.mark} {run.summary.run.id}" if run.mark else run_name(run.summary)
            xs, ys = zip(*points, strict=True)
            lines.append(Line(name, list(xs), list(ys), MARK_COLOURS[(run.mark or 1) - 1]))
    return lines


def _single_run(run: RunComparison) -> Content:
    summary, history = run.summary, run.history
    started, settings = history.started, history.settings
    rows = [("state", _state(summary))]
    if summary.kind == SWEEP:
        trials = f"{summary.epochs_done} of {summary.epochs_total} here"
        rows += [
            ("data", safe_text(summary.dataset)),
            ("model", safe_text(summary.model)),
            ("trials", trials),
            ("", "7 Sweep shows all"),
            ("best val", format_percent(summary.best_val_accuracy)),
            *(settings.varied.items() if settings is not None else ()),
        ]
    elif started is not None:
        synthetic = " (SYNTHETIC)" if started.synthetic else ""
        rows += [
            ("data", f"{safe_text(started.dataset)}{synthetic}"),
            ("", f"{started.train_count:,} train, {started.val_count:,} val"),
            ("model", safe_text(started.model)),
            ("", f"{started.parameters:,} parameters, {started.precision}"),
            ("device", safe_text(started.device_details) or started.device),
        ]
    rows += [*_result_rows(history), *_time_rows(summary)]
    if settings is not None:
        own, changed = settings.own, RunConfig().differences(settings.config)
        names = (*_MAIN_SETTINGS, *(name for name in changed if name not in _NOT_LISTED))
        if summary.kind == ENSEMBLE:
            names = ("tta", *(name for name in names if name in own and name != "tta"))
        rows += [(name, _setting(own, name)) for name in names if name not in settings.varied]
    width = max(len(name) for name, _ in rows)
    lines = [Content.assemble((f"{name:<{width}}  ", _NAME), value) for name, value in rows]
    if history.error:
        lines.append(Content.styled(safe_text(history.error), _WARNING))
    for alert in history.alerts:
        style = _ALERT_STYLES.get(alert.level, _WARNING)
        lines.append(Content.styled(safe_text(alert.message), style))
    lines.append(Content.styled(format_path(summary.run.path), _MUTED))
    return Content("\n").join(lines)


def _state(summary: RunSummary) -> str:
    text = summary.state
    if summary.holder is not None:
        text += f" in {summary.holder}"
    return text + (f": {safe_text(summary.reason)}" if summary.reason else "")


def _result_rows(history: RunHistory) -> list[tuple[str, str]]:
    val, val_count, test, test_count = _results(history)
    rows = []
    if history.val is not None:
        epoch = history.val.epoch
        rows.append(("best val" if epoch else "val", f"{val} of {val_count}"))
        if epoch:
            rows.append(("", f"epoch {epoch}"))
        if history.val.note:
            rows.append(("", f"{MARK} {history.val.note}"))
    if test_count:
        rows.append(("test", f"{test} of {test_count}"))
    return rows


def _time_rows(summary: RunSummary) -> list[tuple[str, str]]:
    """The wall time of the run and the time in its training steps."""
    training = ""
    if summary.train_seconds:
        training = f", {format_duration(summary.train_seconds)} of training"
    return [("time", f"{format_duration(summary.seconds)}{training}")] if summary.seconds else []


def _side_by_side(runs: Sequence[RunComparison]) -> Content:
    """A column for each run, a row for each setting in which they differ."""
    names = ["val", "images", "test", "images"]
    cells = [list(row) for row in zip(*(_results(run.history) for run in runs), strict=True)]
    known = [run.history.settings for run in runs]
    settings = [each.own if each is not None else {} for each in known]
    differences = differing_settings(settings)
    for name in differences:
        names.append(name)
        cells.append([_setting(values, name) for values in settings])
    heads = [f"{run.mark or ''} {safe_text(run.summary.run.id, _VALUE_WIDTH - 2)}" for run in runs]
    widths = [max(map(cell_len, column)) for column in zip(heads, *cells, strict=True)]
    name_width = max(map(len, names))
    head = [
        (f"  {fit_text(text, width)}", f"bold {run.colour}")
        for text, width, run in zip(heads, widths, runs, strict=True)
    ]
    lines = [Content.assemble(" " * name_width, *head)]
    for name, row in zip(names, cells, strict=True):
        values = "".join(
            f"  {fit_text(cell, width)}" for cell, width in zip(row, widths, strict=True)
        )
        lines.append(Content.assemble((f"{name:<{name_width}}", _NAME), values.rstrip()))
    if any(run.history.val is not None and run.history.val.note for run in runs):
        lines.append(Content.styled(MARK_MEANING, _MUTED))
    if not differences and all(each is not None and each.kind == TRAIN for each in known):
        lines.append(Content.styled("all settings are the same", _MUTED))
    errors = [run.history.error for run in runs if run.history.error]
    lines += [Content.styled(safe_text(error), _WARNING) for error in errors]
    return Content("\n").join(lines)


def _results(history: RunHistory) -> list[str]:
    """Validation and test accuracy, each with half its interval and its number of images."""
    val, test = history.val, history.test
    cells = [NO_VALUE, "", NO_VALUE, ""]
    if val is not None:
        bounds = wilson_interval(round(val.accuracy * val.count), val.count)
        mark = MARK if val.note else ""
        cells[:2] = mark + format_percent_margin(val.accuracy, *bounds), f"{val.count:,}"
    if test is not None:
        margin = format_percent_margin(test.accuracy, test.accuracy_low, test.accuracy_high)
        cells[2:] = margin, f"{test.count:,}"
    return cells


def _setting(values: Mapping[str, Any], name: str) -> str:
    if name not in values:
        return NO_VALUE
    value = values[name]
    return safe_text(value if isinstance(value, str) else format_setting(value), _VALUE_WIDTH)
