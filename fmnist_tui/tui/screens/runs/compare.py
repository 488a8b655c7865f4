"""Runs side by side: their curves, what they came to, and in what their settings differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from textual.content import Content

from fmnist_tui.analysis.metrics import interval
from fmnist_tui.config.problems import format_setting
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.protocol.events import ENSEMBLE, SWEEP
from fmnist_tui.render.line_chart import Line
from fmnist_tui.runs.listing import RunSummary
from fmnist_tui.tui.screens.runs.history import RunHistory
from fmnist_tui.tui.screens.runs.table import MARK_COLOURS
from fmnist_tui.tui.shared.run_names import run_name
from fmnist_tui.tui.widgets.columns import fitted
from fmnist_tui.util import formatting
from fmnist_tui.util.paths import from_home
from fmnist_tui.util.text import safe_text

_VALUE = 24
# What is said of every run, whether or not it is the usual.
_MAIN = ("epochs", "batch_size", "optimizer", "lr", "schedule", "seed")
_OF_ENSEMBLE = ("tta",)
_UNSAID = ("recipe", "dataset", "model", *_MAIN)
_NAME, _MUTED = "$primary", "$foreground 70%"
_LEVELS = {"note": _MUTED, "error": "$error"}
_NO_DIFFERENCE = "their settings are the same"


@dataclass(frozen=True, slots=True)
class RunComparison:
    """A run with the number it is marked with, if it is."""

    summary: RunSummary
    course: RunHistory
    number: int | None = None
    colour: str = ""


def compared(runs: Sequence[RunComparison]) -> Content:
    """One run by itself, or several side by side."""
    if not runs:
        return Content("")
    return _alone(runs[0]) if len(runs) == 1 else _beside(runs)


def lines(runs: Sequence[RunComparison], curve: str) -> list[Line]:
    """A curve of each run that has one, by epoch."""
    found = []
    for run in runs:
        points = run.course.curves.get(curve, ())
        if points:
            label = f"{run.number} {run.summary.run.id}" if run.number else run_name(run.summary)
            colour = MARK_COLOURS[(run.number or 1) - 1]
            found.append(Line(label, [x for x, _ in points], [y for _, y in points], colour))
    return found


def _alone(run: RunComparison) -> Content:
    summary, course = run.summary, run.course
    rows = [("state", _state(summary))]
    if summary.kind == SWEEP:
        rows += _of_sweep(run)
    elif course.started is not None:
        started = course.started
        synthetic = " (SYNTHETIC)" if started.synthetic else ""
        rows += [
            ("data", f"{safe_text(started.dataset)}{synthetic}"),
            ("", f"{started.train_count:,} train, {started.val_count:,} val"),
            ("network", f"{safe_text(started.model)}, {started.parameters:,} parameters"),
            ("on", safe_text(f"{started.device_name or started.device}, {started.precision}")),
        ]
    rows += _results(course)
    if course.config is not None:
        config = course.config
        unusual = [name for name in RunConfig().differences(config) if name not in _UNSAID]
        # An ensemble's other settings are those of its first member.
        names = _OF_ENSEMBLE if summary.kind == ENSEMBLE else (*_MAIN, *unusual)
        rows += [(name, _setting(config, name)) for name in names if name not in course.varied]
    column = max(len(name) for name, _ in rows)
    told = [Content.assemble((f"{name:<{column}}  ", _NAME), value) for name, value in rows]
    if course.trouble:
        told.append(Content.styled(safe_text(course.trouble), "$warning"))
    for note in course.notes:
        told.append(Content.styled(safe_text(note.message), _LEVELS.get(note.level, "$warning")))
    return Content("\n").join([*told, Content.styled(from_home(summary.run.path), _MUTED)])


def _of_sweep(run: RunComparison) -> list[tuple[str, str]]:
    summary = run.summary
    rows = [
        ("data", safe_text(summary.dataset)),
        ("network", safe_text(summary.model)),
        ("trials", f"{summary.epochs_done} of {summary.epochs_total} here (7 Sweep shows all)"),
        ("best val", formatting.percent(summary.best_val_accuracy)),
    ]
    return rows + list(run.course.varied.items())


def _state(summary: RunSummary) -> str:
    words = summary.state
    if summary.holder is not None:
        words += f" in {summary.holder}"
    return words + (f": {safe_text(summary.reason)}" if summary.reason else "")


def _results(course: RunHistory) -> list[tuple[str, str]]:
    val, val_count, test, test_count = _figures(course)
    rows = []
    if course.best is not None and val_count:
        rows.append(("best val", f"{val} of {val_count}, epoch {course.best.epoch}"))
    elif val_count:
        rows.append(("val", f"{val} of {val_count}"))
    if test_count:
        rows.append(("test", f"{test} of {test_count}"))
    return rows


def _beside(runs: Sequence[RunComparison]) -> Content:
    """A column for each run, a row for each setting that is not the same in all of them."""
    names = ["val", "of", "test", "of"]
    cells = [list(row) for row in zip(*(_figures(run.course) for run in runs), strict=True)]
    configs = [run.course.config for run in runs]
    differing = _differing(configs)
    for name in differing:
        names.append(name)
        cells.append([_setting(config, name) for config in configs])
    heads = [f"{run.number or ''} {safe_text(run.summary.run.id, _VALUE - 2)}" for run in runs]
    widths = [
        max(cell_len(head), *(cell_len(row[place]) for row in cells))
        for place, head in enumerate(heads)
    ]
    column = max(map(len, names))
    told = [
        Content.assemble(
            " " * column,
            *(
                (f"  {fitted(head, width)}", f"bold {run.colour}")
                for head, width, run in zip(heads, widths, runs, strict=True)
            ),
        )
    ]
    for name, row in zip(names, cells, strict=True):
        values = "".join(
            f"  {fitted(cell, width)}" for cell, width in zip(row, widths, strict=True)
        )
        told.append(Content.assemble((f"{name:<{column}}", _NAME), values.rstrip()))
    if not differing and all(config is not None for config in configs):
        told.append(Content.styled(_NO_DIFFERENCE, _MUTED))
    for run in runs:
        if run.course.trouble:
            told.append(Content.styled(safe_text(run.course.trouble), "$warning"))
    return Content("\n").join(told)


def _figures(course: RunHistory) -> tuple[str, str, str, str]:
    """Accuracies with half the width of their intervals, each with its count of images."""
    best, test = course.best, course.test
    val, val_count = formatting.NONE, ""
    if best is not None and best.val_accuracy is not None:
        ends = interval(round(best.val_accuracy * best.val_count), best.val_count)
        val, val_count = _about(best.val_accuracy, ends), f"{best.val_count:,}"
    elif best is None and course.val is not None:
        found = course.val
        ends = found.accuracy_low, found.accuracy_high
        val, val_count = _about(found.accuracy, ends), f"{found.count:,}"
    if test is None:
        return val, val_count, formatting.NONE, ""
    ends = test.accuracy_low, test.accuracy_high
    return val, val_count, _about(test.accuracy, ends), f"{test.count:,}"


def _about(accuracy: float, ends: tuple[float, float]) -> str:
    return f"{100 * accuracy:.2f} ±{50 * (ends[1] - ends[0]):.2f} %"


def _differing(configs: Sequence[RunConfig | None]) -> list[str]:
    known = [config for config in configs if config is not None]
    found: dict[str, None] = {}
    for other in known[1:]:
        found.update(dict.fromkeys(known[0].differences(other)))
    return [name for name in RunConfig.model_fields if name in found]


def _setting(config: RunConfig | None, name: str) -> str:
    if config is None:
        return formatting.NONE
    value = getattr(config, name)
    return safe_text(value if isinstance(value, str) else format_setting(value), _VALUE)
