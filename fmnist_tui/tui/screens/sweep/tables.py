"""The tables of studies and trials: filter, sort, format as rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.cells import cell_len
from rich.text import Text

from fmnist_tui.render.sparkline import draw_sparkline
from fmnist_tui.sweeps import trial_states
from fmnist_tui.sweeps.snapshot import Snapshot, StudySummary, TrialView
from fmnist_tui.sweeps.space import Dimension, format_value
from fmnist_tui.tui.theme import TableColours
from fmnist_tui.tui.widgets.columns import Column, fit_columns, format_row, total_width
from fmnist_tui.util.formatting import NO_VALUE, format_duration, format_percent
from fmnist_tui.util.text import safe_text

# A running trial without a heartbeat for this long may be dead.
SILENT_SECONDS = 60.0
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

ORDERS: dict[str, Callable[[TrialView], tuple[float, float]]] = {
    "newest": lambda trial: (0, -trial.number),
    "best": lambda trial: (-(trial.value or 0.0), trial.number),
    "number": lambda trial: (0, trial.number),
    "state": lambda trial: (trial_states.STATES.index(trial.state), -trial.number),
}

_STUDY_COLUMNS = (
    Column("sign", "", 1, 1),
    Column("name", "study", 8, 0),
    Column("done", "done", 6, 2, right=True),
    Column("best", "best", 6, 3, right=True),
)
_TRIAL_COLUMNS = (
    Column("best", "", 1, 2),
    Column("number", "trial", 5, 1, right=True),
    Column("state", "state", 10, 1),
    Column("value", "best val", 8, 1, right=True),
    Column("curve", "by epoch", 10, 3),
    Column("epochs", "ep", 4, 6, right=True),
    Column("time", "time", 7, 7, right=True),
)
_MIN_SETTINGS_WIDTH = 30
_FLOAT_WIDTH = 9


def filter_trials(trials: Sequence[TrialView], text: str) -> list[TrialView]:
    """The trials that match every word of the text."""
    words = text.lower().split()
    return [trial for trial in trials if all(word in _searchable_text(trial) for word in words)]


def _searchable_text(trial: TrialView) -> str:
    parts = (str(trial.number), trial.state, trial.why, trial.host, *_settings(trial))
    return " ".join(parts).lower()


def sort_trials(trials: Sequence[TrialView], order: str) -> list[TrialView]:
    """The trials in one of `ORDERS`."""
    return sorted(trials, key=ORDERS[order])


def study_columns(width: int) -> list[Column]:
    return fit_columns(_STUDY_COLUMNS, width)


def format_study(study: StudySummary, columns: Sequence[Column], colours: TableColours) -> Text:
    """A study as a row; an error takes its whole width."""
    if study.error:
        width = total_width(columns)
        columns = [Column("sign", "", 1, 1), Column("error", "", width - 3, 0)]
        error = f"{study.name}: {study.error}" if study.name else study.error
        cells = {"sign": Text("✗", colours.get("error")), "error": Text(safe_text(error))}
        return format_row(columns, cells)
    sign, colour = ("●", "success") if study.running else ("○", "foreground-muted")
    if not study.running and study.done >= study.total:
        sign, colour = "✓", "success"
    return format_row(
        columns,
        {
            "sign": Text(sign, colours.get(colour)),
            "name": Text(safe_text(study.name)),
            "done": Text(f"{study.done}/{study.total}"),
            "best": Text(format_percent(study.best, 1)),
        },
    )


def trial_columns(space: Sequence[Dimension], width: int) -> list[Column]:
    """The columns that fit: one for each setting, or else one for all of them."""
    settings = [
        Column(f"={part.key}", part.key, max(len(part.key), _value_width(part)), 1, right=True)
        for part in space
    ]
    why = Column("why", "", 10, 0)
    for left_out in ((), ("time",), ("time", "epochs")):
        columns = [column for column in _TRIAL_COLUMNS if column.key not in left_out] + settings
        if total_width([*columns, why]) <= width:
            return fit_columns([*columns, why], width)
    return fit_columns(
        [*_TRIAL_COLUMNS, Column("settings", "settings", _MIN_SETTINGS_WIDTH, 0)], width
    )


def _value_width(part: Dimension) -> int:
    if part.choices:
        return max(len(format_value(choice)) for choice in part.choices)
    if part.is_integer:
        return max(len(format_value(part.low)), len(format_value(part.high)))
    return _FLOAT_WIDTH


class TrialRows:
    """Formats trials as table rows and reuses the rows of unchanged trials."""

    def __init__(self) -> None:
        self._layout: object = None
        self._cache: dict[int, tuple[TrialView, Text]] = {}

    def build(
        self,
        trials: Sequence[TrialView],
        study: Snapshot,
        columns: Sequence[Column],
        colours: TableColours,
    ) -> list[Text]:
        best, bounds = study.best, curve_bounds(study)
        best_number = best.number if best is not None else None
        layout = (study.name, tuple(columns), colours.theme, best_number, bounds)
        if layout != self._layout:
            self._layout, self._cache = layout, {}
        rows = []
        for trial in trials:
            entry = self._cache.get(trial.number)
            if entry is None or entry[0] != trial:
                is_best = trial.number == best_number
                entry = trial, _format_trial(trial, is_best, bounds, columns, colours)
                self._cache[trial.number] = entry
            rows.append(entry[1])
        return rows


def curve_bounds(study: Snapshot) -> tuple[float, float]:
    """The lowest and highest accuracy of all trials: the scale of their sparklines."""
    values = [value for trial in study.trials for _, value in trial.curve if value == value]
    return min(values, default=0.0), max(values, default=1.0)


def _format_trial(
    trial: TrialView,
    is_best: bool,
    bounds: tuple[float, float],
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
        "epochs": Text(str(trial.epochs or NO_VALUE)),
        "time": Text(format_duration(trial.seconds)),
        "settings": Text(_join_fitting(_details(trial), columns[-1].width)),
        "why": Text(_reason(trial)),
        **{f"={key}": Text(format_value(value)) for key, value in trial.params.items()},
    }
    return format_row(columns, cells)


def table_title(study: Snapshot | None) -> str:
    """`search  4/6  1 running  best 80.00 % (trial 1)`."""
    if study is None:
        return "Trials"
    running = f"  {study.running} running" if study.running else ""
    best = study.best
    result = f"  best {format_percent(best.value)} (trial {best.number})" if best else ""
    return f"{safe_text(study.name, 30)}  {study.done}/{study.total}{running}{result}"


def table_subtitle(trial: TrialView | None, order: str, words: str, width: int) -> str:
    """All settings of the trial under the cursor, the filter and the order."""
    ending = f"order: {order}"
    if words:
        ending = f"filter: {safe_text(words, 20)}  {ending}"
    if trial is None or not trial.params:
        return ending
    room = max(1, width - len(ending) - 6)
    details = f"{trial.number}: {', '.join(_details(trial))}"
    return f"{details if len(details) <= room else f'{details[: room - 1]}…'}  {ending}"


def _details(trial: TrialView) -> list[str]:
    """The reason of its state, if there is one, and its settings."""
    return [part for part in (_reason(trial), *_settings(trial)) if part]


def _reason(trial: TrialView) -> str:
    if trial.silent_seconds > SILENT_SECONDS:
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
        longer = f"{text} · {part}" if text else part
        if cell_len(longer) > width - 2 and text:
            return f"{text} …"
        text = longer
    return text
