"""The tables of studies and trials: filter, sort, format as rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from rich.cells import cell_len
from rich.text import Text

from fmnist_tui.render.sparkline import draw_sparkline
from fmnist_tui.sweeps import trial_states
from fmnist_tui.sweeps.snapshot import Snapshot, StudySummary, TrialView
from fmnist_tui.sweeps.space import format_value
from fmnist_tui.tui.theme import TableColours
from fmnist_tui.tui.widgets.columns import (
    GAP,
    Column,
    RowCache,
    fit_columns,
    format_row,
    total_width,
)
from fmnist_tui.util.class_names import short_names
from fmnist_tui.util.formatting import NO_VALUE, format_duration, format_percent
from fmnist_tui.util.text import safe_text

STATE_SIGNS = {
    trial_states.RUNNING: ("●", "success"),
    trial_states.WAITING: ("·", "foreground-muted"),
    trial_states.COMPLETE: ("✓", "foreground"),
    trial_states.PRUNED: ("▽", "warning"),
    trial_states.KILLED: ("✗", "warning"),
    trial_states.FAILED: ("✗", "error"),
    trial_states.STOPPED: ("○", "foreground-muted"),
    trial_states.LOST: ("○", "foreground-muted"),
}
BEST = "◆"
_SEPARATOR = " · "

ORDERS: dict[str, Callable[[TrialView], tuple[float, float]]] = {
    "newest": lambda trial: (0, -trial.number),
    "best": lambda trial: (-(trial.value or 0.0), trial.number),
    "number": lambda trial: (0, trial.number),
    "state": lambda trial: (trial_states.STATES.index(trial.state), -trial.number),
}

STUDY_COLUMNS = (
    Column("sign", "", 1, 1),
    Column("name", "study", 8, 0),
    Column("done", "done", 6, 2, right=True),
    Column("best", "best", 6, 3, right=True),
    Column("where", "stored in", 30, 4),
)
_TRIAL_COLUMNS = (
    Column("best", "", 1, 2),
    Column("number", "trial", 5, 1, right=True),
    Column("state", "state", 10, 1),
    Column("value", "best val", 8, 1, right=True),
    Column("curve", "by epoch", 10, 7),
    Column("epochs", "epoch", 7, 6, right=True),
    Column("time", "time", 7, 5, right=True),
)
# What makes room for the settings: columns that are left out, and the width of their titles.
_ROOM: tuple[tuple[tuple[str, ...], int], ...] = (
    ((), 99),
    (("curve",), 99),
    (("curve",), 8),
    (("curve", "epochs"), 8),
)
_MIN_SETTINGS_WIDTH = 26
_MAX_REASON = 10


def search_text(trial: TrialView) -> str:
    """What the filter looks for words in."""
    parts = (str(trial.number), trial.state, trial.why, trial.host, *_settings(trial))
    return " ".join(parts).lower()


def format_study(study: StudySummary, columns: Sequence[Column], colours: TableColours) -> Text:
    """A study as a row; an error takes its whole width."""
    if study.error:
        width = total_width(columns)
        columns = [STUDY_COLUMNS[0], Column("error", "", width - 3, 0)]
        error = f"{study.name}: {study.error}" if study.name else study.error
        cells = {"sign": Text("✗", colours.get("error")), "error": Text(safe_text(error))}
        return format_row(columns, cells)
    sign, colour = ("●", "success") if study.running else ("○", "foreground-muted")
    if not study.running and study.done >= study.total:
        sign, colour = "✓", "success"
    cells = {
        "sign": Text(sign, colours.get(colour)),
        "name": Text(safe_text(study.name)),
        "done": Text(f"{study.done}/{study.total}"),
        "best": Text(format_percent(study.best, 1)),
        "where": Text(safe_text(study.location.name)),
    }
    return format_row(columns, cells)


def trial_columns(study: Snapshot | None, width: int) -> list[Column]:
    """The columns that fit: one for each setting, or else one for all of them."""
    trials = study.trials if study is not None else ()
    space = study.spec.space if study is not None else ()
    widths = {part.key: _value_width(part.key, trials) for part in space}
    reason = max((cell_len(_reason(trial)) for trial in trials), default=0)
    why = Column("why", "", max(1, min(_MAX_REASON, reason)), 0)
    for left_out, title_width in _ROOM:
        settings = [
            _setting_column(key, max(min(len(key), title_width), value_width))
            for key, value_width in widths.items()
        ]
        columns = [column for column in _TRIAL_COLUMNS if column.key not in left_out] + settings
        if total_width([*columns, why]) <= width:
            return fit_columns([*columns, why], width)
    kept = [column for column in _TRIAL_COLUMNS if column.key not in ("curve", "epochs")]
    longest = max((cell_len(_SEPARATOR.join(_details(trial))) for trial in trials), default=0)
    room = max(_MIN_SETTINGS_WIDTH, width - total_width(kept) - GAP)
    joined = Column("settings", "settings", max(_MIN_SETTINGS_WIDTH, min(room, longest)), 0)
    return fit_columns([*_TRIAL_COLUMNS, joined], width)


def _setting_column(key: str, width: int) -> Column:
    (title,) = short_names((key,), width)
    return Column(f"={key}", title, width, 1, right=True)


def _value_width(key: str, trials: Sequence[TrialView]) -> int:
    values = {trial.params[key] for trial in trials if key in trial.params}
    return max((cell_len(format_value(value)) for value in values), default=1)


def build_trial_rows(
    cache: RowCache[TrialView],
    trials: Mapping[str, TrialView],
    study: Snapshot,
    columns: Sequence[Column],
    colours: TableColours,
) -> list[tuple[str, Text]]:
    """Trials as table rows, by key."""
    best, bounds = study.best, curve_bounds(study)
    epochs = study.spec.base.epochs
    layout = (study.name, columns, colours.theme, best and best.number, bounds, epochs)

    def format_trial(trial: TrialView) -> Text:
        is_best = best is not None and trial.number == best.number
        return _format_trial(trial, is_best, bounds, epochs, columns, colours)

    return cache.build(trials, layout, format_trial)


def curve_bounds(study: Snapshot) -> tuple[float, float]:
    """The lowest and highest accuracy of all trials: the scale of their sparklines."""
    values = [value for trial in study.trials for _, value in trial.curve if value == value]
    return min(values, default=0.0), max(values, default=1.0)


def _format_trial(
    trial: TrialView,
    is_best: bool,
    bounds: tuple[float, float],
    epochs: int,
    columns: Sequence[Column],
    colours: TableColours,
) -> Text:
    sign, colour = STATE_SIGNS[trial.state]
    curve = [value for _, value in trial.curve]
    cells = {
        "best": Text(BEST if is_best else "", colours.get("accent")),
        "number": Text(str(trial.number)),
        "state": Text(f"{sign} {trial.state}", colours.get(colour)),
        "value": Text(format_percent(trial.value), "bold" if is_best else ""),
        "curve": Text(draw_sparkline(curve, 10, *bounds)),
        "epochs": Text(_format_epochs(trial, epochs)),
        "time": Text(format_duration(trial.seconds)),
        "settings": Text(_join_fitting(_details(trial), columns[-1].width)),
        "why": Text(_reason(trial)),
        **{f"={key}": Text(format_value(value)) for key, value in trial.params.items()},
    }
    return format_row(columns, cells)


def _format_epochs(trial: TrialView, epochs: int) -> str:
    """The epochs that are done, of a running trial also how many it will have."""
    if trial.state == trial_states.RUNNING:
        places = 1 if epochs < 100 else 0
        done = trial.epochs if trial.share is None else f"{trial.share * epochs:.{places}f}"
        return f"{done}/{epochs}"
    return str(trial.epochs or NO_VALUE)


def table_title(study: Snapshot | None) -> str:
    """`search  4/6  1 running  best 80.00 % (trial 1)`."""
    if study is None:
        return "Trials"
    running = f"  {study.running} running" if study.running else ""
    best = study.best
    result = f"  best {format_percent(best.value)} (trial {best.number})" if best else ""
    return f"{safe_text(study.name, 30)}  {study.done}/{study.total}{running}{result}"


def table_subtitle(
    trial: TrialView | None, ending: str, columns: Sequence[Column], width: int
) -> str:
    """What the columns do not show of the trial under the cursor, as far as it fits, and `ending`:
    all its settings, or a reason that is longer than its column."""
    if trial is None:
        return ending
    reason, widths = _reason(trial), {column.key: column.width for column in columns}
    if "settings" in widths:
        missing = _details(trial) if trial.params else []
    else:
        missing = [reason] if cell_len(reason) > widths.get("why", 0) else []
    if not missing:
        return ending
    room = max(1, width - len(ending) - 6)
    details = f"{trial.number}: {', '.join(missing)}"
    return f"{details if len(details) <= room else f'{details[: room - 1]}…'}  {ending}"


def _details(trial: TrialView) -> list[str]:
    """The reason of its state, if there is one, and its settings."""
    return [part for part in (_reason(trial), *_settings(trial)) if part]


def _reason(trial: TrialView) -> str:
    if trial.is_silent:
        return f"quiet {format_duration(trial.silent_seconds)}"
    if trial.why or trial.retry_of is None:
        return safe_text(trial.why)
    return f"retry of {trial.retry_of}"


def _settings(trial: TrialView) -> list[str]:
    return [f"{key} {format_value(value)}" for key, value in trial.params.items()]


def _join_fitting(parts: Sequence[str], width: int) -> str:
    """As many of the parts as fit, from the first."""
    text = ""
    for part in parts:
        longer = f"{text}{_SEPARATOR}{part}" if text else part
        if cell_len(longer) > width - 2 and text:
            return f"{text} …"
        text = longer
    return text
