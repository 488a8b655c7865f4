"""Compare runs: their curves, their results and the settings in which they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from textual.content import Content

from fmnist_tui.analysis.metrics import wilson_interval
from fmnist_tui.analysis.seeds import mean_of_curves
from fmnist_tui.analysis.verdict import Verdict
from fmnist_tui.config.problems import format_setting
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.protocol.events import ENSEMBLE, SWEEP, TRAIN
from fmnist_tui.protocol.run_state import TRAIN_ACCURACY, TRAIN_LOSS, VAL_ACCURACY, VAL_LOSS
from fmnist_tui.protocol.validation import MARK, MARK_MEANING
from fmnist_tui.render.line_chart import Line
from fmnist_tui.render.smoothing import LIGHT, OFF, smooth_line
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import RunSummary
from fmnist_tui.runs.notes import format_tags
from fmnist_tui.runs.seed_groups import SeedGroup
from fmnist_tui.sweeps.run_settings import RunSettings, differing_settings
from fmnist_tui.tui.key_names import name_keys
from fmnist_tui.tui.screens.runs.comparison import Compared
from fmnist_tui.tui.screens.runs.history import RunHistory
from fmnist_tui.tui.screens.runs.table import MARK_COLOURS, format_score
from fmnist_tui.tui.widgets.columns import fit_text
from fmnist_tui.util.formatting import (
    NO_VALUE,
    format_count,
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
# What is measured in training for a curve that has a point only at the end of an epoch.
_IN_TRAINING = {VAL_ACCURACY: TRAIN_ACCURACY, VAL_LOSS: TRAIN_LOSS}
_NAME, _MUTED, _WARNING = "$primary", "$foreground 70%", "$warning"
_ALERT_STYLES = {"note": _MUTED, "error": "$error"}


def build_page(runs: Sequence[Compared], colours: Mapping[str, str]) -> Content:
    """All facts of one run or group, or several side by side, with the colours of lines."""
    if not runs:
        return Content("")
    if len(runs) > 1:
        return _side_by_side(runs, colours)
    item = runs[0].item
    return _group_page(runs[0], item) if isinstance(item, SeedGroup) else _run_page(runs[0], item)


def build_verdicts(verdicts: Sequence[Verdict]) -> Content:
    """A line for each verdict; how it is known only if there is one."""
    lines = [Content.styled(verdict.text, "bold") for verdict in verdicts]
    if len(verdicts) == 1 and verdicts[0].method:
        lines.append(Content.styled(verdicts[0].method, _MUTED))
    return Content("\n").join(lines)


def shows_steps(runs: Sequence[Compared]) -> bool:
    """Whether no run has more than an epoch to show: then curves are by step."""
    histories = [history for run in runs for history in (*run.histories, *run.members)]
    points = [len(history.curves.get(VAL_ACCURACY, ())) for history in histories]
    return max(points, default=0) < 2 and any(h.curves.get(TRAIN_LOSS) for h in histories)


def build_lines(runs: Sequence[Compared], curve: str) -> list[Line]:
    """A chart line for each run that has this curve, by epoch (or by step, see `shows_steps`); of
    a group, the mean; of an ensemble, a line for each member."""
    by_step = shows_steps(runs)
    alone = len(runs) == 1
    lines = []
    for run in runs:
        name = run.short_name if run.mark else run.name
        colour = MARK_COLOURS[(run.mark or 1) - 1]
        curves = [points for each in run.histories if (points := each.curves.get(curve, ()))]
        if run.members:
            for member, other in zip(run.members, MARK_COLOURS, strict=False):
                lines += _run_lines(
                    member, curve, member.folder.id, other, by_step=by_step, alone=alone
                )
        elif len(curves) > 1:
            mean = mean_of_curves(curves)
            label = f"{name}, mean ± sd"
            lines.append(Line(label, mean.xs, mean.ys, colour, mean.low, mean.high))
        else:
            lines += _run_lines(run.history, curve, name, colour, by_step=by_step, alone=alone)
    return lines


def _run_lines(
    history: RunHistory, curve: str, name: str, colour: str, *, by_step: bool, alone: bool
) -> list[Line]:
    """The line of a run; while it has only a point, that of the training too."""
    points = history.curves.get(curve, ())
    parts = [(name, points, LIGHT if curve == TRAIN_LOSS else OFF)]
    training = history.curves.get(_IN_TRAINING.get(curve, ""), ())
    if len(points) < 2 and training:
        parts = [(f"{name} train", training, LIGHT), (f"{name} val", points, OFF)]
    scale = history.steps_per_epoch if by_step else 1
    # Of several runs the one point is left to the table of results.
    return [
        smooth_line(label, [(x * scale, y) for x, y in part], colour, smoothing)
        for label, part, smoothing in (parts[:1] if by_step and not alone else parts)
        if part
    ]


def _group_page(compared: Compared, group: SeedGroup) -> Content:
    """Mean and standard deviation of the seeds, each run of them, and their settings."""
    history = compared.history
    counts = {each.val.count for each in compared.histories if each.val is not None}
    tests = {each.test.count for each in compared.histories if each.test is not None}
    rows = [("data", safe_text(group.dataset)), ("model", safe_text(group.model))]
    for name, score, count in (("best val", group.val, counts), ("test", group.test, tests)):
        if score is not None:
            images = f" of {count.pop():,}" if len(count) == 1 else ""
            rows.append((name, f"{format_score(score)}{images}"))
            rows.append(("", f"mean ± sd of {format_count(score.count, 'seed')}"))
    rows.append(("time", f"{format_duration(group.shown_seconds)} on average"))
    for run in group.counted:
        test = f", test {format_percent(run.test_accuracy)}" if run.test_accuracy else ""
        rows.append((f"seed {run.seed}", f"{run.val_text}{test}  {safe_text(run.run.id)}"))
    if len(group.members) > len(group.counted):
        rows.append(("", "of a seed the newest run counts"))
    if history.settings is not None:
        own = history.settings.own
        names = _setting_names(history.settings.config)
        rows += [(name, _setting(own, name)) for name in names if name != "seed"]
    return Content("\n").join(_format_rows(rows))


def _format_rows(rows: Sequence[tuple[str, str]]) -> list[Content]:
    width = max(len(name) for name, _ in rows)
    return [Content.assemble((f"{name:<{width}}  ", _NAME), value) for name, value in rows]


def _setting_names(config: RunConfig) -> tuple[str, ...]:
    """The settings to show of a run: the main ones, and those that are not at their defaults."""
    changed = RunConfig().differences(config)
    return (*_MAIN_SETTINGS, *(name for name in changed if name not in _NOT_LISTED))


def _run_page(compared: Compared, summary: RunSummary) -> Content:
    history = compared.history
    started, settings = history.started, history.settings
    rows = [("state", _state(summary))]
    if summary.notes.tags:
        rows.append(("tags", format_tags(summary.notes)))
    if summary.kind == SWEEP:
        trials = f"{summary.epochs_done} of {summary.epochs_total} here"
        rows += [
            ("data", safe_text(summary.dataset)),
            ("model", safe_text(summary.model)),
            ("trials", trials),
            ("", name_keys("{show.sweep} Sweep shows all")),
            ("best val", format_percent(summary.best_val_accuracy)),
            *(settings.varied.items() if settings is not None else ()),
            *(settings.search.items() if settings is not None else ()),
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
        own, names = settings.own, _setting_names(settings.config)
        if summary.kind == ENSEMBLE:
            names = ("tta", *(name for name in names if name in own and name != "tta"))
            rows += _member_rows(compared, settings)
        rows += [(name, _setting(own, name)) for name in names if name not in settings.varied]
    lines = _format_rows(rows)
    for note, style in ((summary.notes.note, "italic"), (summary.notes.problem, _WARNING)):
        if note:
            lines.insert(0, Content.styled(note, style))
    if history.error:
        lines.append(Content.styled(safe_text(history.error), _WARNING))
    has_members = settings is not None and bool(settings.members)
    for alert in history.alerts:
        if has_members and alert.message.startswith("member "):
            continue  # it has a row
        style = _ALERT_STYLES.get(alert.level, _WARNING)
        lines.append(Content.styled(safe_text(alert.message), style))
    lines.append(Content.styled(format_path(summary.run.path), _MUTED))
    return Content("\n").join(lines)


def _member_rows(compared: Compared, settings: RunSettings) -> list[tuple[str, str]]:
    """The runs of an ensemble, with their checkpoints and their validation accuracies."""
    known = {history.folder.name: history.val for history in compared.members}
    rows = []
    for number, (name, checkpoint) in enumerate(settings.members, 1):
        val = known.get(name)
        figure = f", val {val.format()}" if val is not None else ""
        run = safe_text(RunFolder(Path(name)).id, 12)
        text = f"{run} {safe_text(Path(checkpoint).stem, 20)}{figure}"
        rows.append((f"member {number}", text))
    return rows


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
    """The warm wall time of a training, the time in its steps, and the wall time of the run."""
    if not summary.seconds:
        return []
    wall, rows = format_duration(summary.seconds), []
    if summary.warm_seconds is not None:
        rows.append(("time", f"{format_duration(summary.warm_seconds)} warm"))
    if summary.train_seconds:
        rows.append(("in steps", format_duration(summary.train_seconds)))
    return [*rows, ("in all", wall)] if rows else [("time", wall)]


def _side_by_side(runs: Sequence[Compared], colours: Mapping[str, str]) -> Content:
    """A column for each run, a row for each setting in which they differ."""
    names = ["val", "images", "test", "images"]
    cells = [list(row) for row in zip(*(_results_of(run) for run in runs), strict=True)]
    known = [run.history.settings for run in runs]
    settings = [_own_settings(run) for run in runs]
    differences = differing_settings(settings)
    for name in differences:
        names.append(name)
        cells.append([_setting(values, name) for values in settings])
    heads = [run.short_name for run in runs]
    widths = [max(map(cell_len, column)) for column in zip(heads, *cells, strict=True)]
    name_width = max(map(len, names))
    head = [
        (f"  {fit_text(text, width)}", f"bold {colours[MARK_COLOURS[(run.mark or 1) - 1]]}")
        for text, width, run in zip(heads, widths, runs, strict=True)
    ]
    lines = [Content.assemble(" " * name_width, *head)]
    for name, row in zip(names, cells, strict=True):
        values = "".join(
            f"  {fit_text(cell, width)}" for cell, width in zip(row, widths, strict=True)
        )
        lines.append(Content.assemble((f"{name:<{name_width}}", _NAME), values.rstrip()))
    histories = [history for run in runs for history in run.histories]
    if any(history.val is not None and history.val.note for history in histories):
        lines.append(Content.styled(MARK_MEANING, _MUTED))
    if not differences and all(each is not None and each.kind == TRAIN for each in known):
        lines.append(Content.styled("all settings are the same", _MUTED))
    errors = [history.error for history in histories if history.error]
    lines += [Content.styled(safe_text(error), _WARNING) for error in errors]
    return Content("\n").join(lines)


def _own_settings(compared: Compared) -> dict[str, Any]:
    """The settings of a run, those of a group without its seeds."""
    settings = compared.history.settings
    own = settings.own if settings is not None else {}
    if isinstance(compared.item, SeedGroup):
        own = {name: value for name, value in own.items() if name != "seed"}
    return own


def _results_of(compared: Compared) -> list[str]:
    """The results of a run; of a group mean and standard deviation, with its number of seeds."""
    cells, group = _results(compared.history), compared.item
    if isinstance(group, SeedGroup):
        for index, score in ((0, group.val), (2, group.test)):
            cells[index] = format_score(score)
            if score is not None:
                cells[index + 1] += f", sd of {score.count}"
    return cells


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
