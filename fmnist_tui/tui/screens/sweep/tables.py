"""Trials and studies as lines of tables: in which order, and what of them there is room for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.cells import cell_len
from rich.text import Text

from fmnist_tui.render.sparkline import sparks
from fmnist_tui.sweeps import trial_states
from fmnist_tui.sweeps.snapshot import Snapshot, StudySummary, TrialView
from fmnist_tui.sweeps.space import Dimension, format_value
from fmnist_tui.tui.theme import TableColours
from fmnist_tui.tui.widgets.columns import Column, laid_out, line, line_width
from fmnist_tui.util.formatting import NO_VALUE, format_duration, format_percent
from fmnist_tui.util.text import safe_text

# A running trial that has given no sign for so long may be dead.
QUIET_SECONDS = 60.0
SIGNS = {
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

Order = Callable[[TrialView], tuple[float, float]]
ORDERS: dict[str, Order] = {
    "newest": lambda trial: (0, -trial.number),
    "best": lambda trial: (-(trial.value or 0.0), trial.number),
    "number": lambda trial: (0, trial.number),
    "state": lambda trial: (trial_states.STATES.index(trial.state), -trial.number),
}

_STUDY = (
    Column("sign", "", 1, 1),
    Column("name", "study", 8, 0),
    Column("done", "done", 6, 2, right=True),
    Column("best", "best", 6, 3, right=True),
)
_TRIAL = (
    Column("best", "", 1, 2),
    Column("number", "trial", 5, 1, right=True),
    Column("state", "state", 10, 1),
    Column("value", "best val", 8, 1, right=True),
    Column("curve", "by epoch", 10, 3),
    Column("epochs", "ep", 4, 6, right=True),
    Column("time", "time", 7, 7, right=True),
)
_LEAST_SETTINGS = 30


def matching(trials: Sequence[TrialView], text: str) -> list[TrialView]:
    """The trials that every word of the text says something of."""
    words = text.lower().split()
    return [trial for trial in trials if all(word in _said(trial) for word in words)]


def ordered(trials: Sequence[TrialView], order: str) -> list[TrialView]:
    """The trials in one of `ORDERS`."""
    return sorted(trials, key=ORDERS[order])


def study_columns(width: int) -> list[Column]:
    return laid_out(_STUDY, width)


def study_line(study: StudySummary, columns: Sequence[Column], palette: TableColours) -> Text:
    """A study on a line; of a storage that cannot be read the reason takes all the room."""
    if study.error:
        width = line_width(columns)
        whole = [Column("sign", "", 1, 1), Column("why", "", width - 3, 0)]
        what = f"{study.name}: {study.error}" if study.name else study.error
        cells = {"sign": Text("✗", palette.get("error")), "why": Text(safe_text(what))}
        return line(whole, cells)
    sign, colour = ("●", "success") if study.running else ("○", "foreground-muted")
    if not study.running and study.done >= study.total:
        sign, colour = "✓", "success"
    return line(
        columns,
        {
            "sign": Text(sign, palette.get(colour)),
            "name": Text(safe_text(study.name)),
            "done": Text(f"{study.done}/{study.total}"),
            "best": Text(format_percent(study.best, 1)),
        },
    )


def trial_columns(space: Sequence[Dimension], width: int) -> list[Column]:
    """The columns there is room for: one for each setting, or one for them all."""
    each = [
        Column(f"={part.key}", part.key, max(len(part.key), _widest(part)), 1, right=True)
        for part in space
    ]
    why = Column("why", "", 10, 0)
    for left_out in ((), ("time",), ("time", "epochs")):
        columns = [column for column in _TRIAL if column.key not in left_out] + each
        if line_width([*columns, why]) <= width:
            return laid_out([*columns, why], width)
    return laid_out([*_TRIAL, Column("settings", "settings", _LEAST_SETTINGS, 0)], width)


class TrialRows:
    """Trials as lines; those that would be what they were are not made anew."""

    def __init__(self) -> None:
        self._look: object = None
        self._kept: dict[int, tuple[TrialView, Text]] = {}

    def of(
        self,
        trials: Sequence[TrialView],
        shown: Snapshot,
        columns: Sequence[Column],
        palette: TableColours,
    ) -> list[Text]:
        best, span = shown.best, ends(shown)
        number = best.number if best is not None else None
        look = (shown.name, tuple(columns), palette.theme, number, span)
        if look != self._look:
            self._look, self._kept = look, {}
        found = []
        for trial in trials:
            before = self._kept.get(trial.number)
            if before is None or before[0] != trial:
                before = trial, _told(trial, trial.number == number, span, columns, palette)
                self._kept[trial.number] = before
            found.append(before[1])
        return found


def _told(
    trial: TrialView,
    is_best: bool,
    span: tuple[float, float],
    columns: Sequence[Column],
    palette: TableColours,
) -> Text:
    sign, colour = SIGNS[trial.state]
    low, high = span
    curve = [value for _, value in trial.curve]
    cells = {
        "best": Text(BEST if is_best else "", palette.get("accent")),
        "number": Text(str(trial.number)),
        "state": Text(f"{sign} {trial.state}", palette.get(colour)),
        "value": Text(format_percent(trial.value), "bold" if is_best else ""),
        "curve": Text(sparks(curve, 10, low, high)),
        "epochs": Text(str(trial.epochs or NO_VALUE)),
        "time": Text(format_duration(trial.seconds)),
        "settings": Text(_together([_reason(trial), *_settings(trial)], columns[-1].width)),
        "why": Text(_reason(trial)),
        **{f"={key}": Text(format_value(value)) for key, value in trial.params.items()},
    }
    return line(columns, cells)


def title(shown: Snapshot | None) -> str:
    """A study in a few words."""
    if shown is None:
        return "Trials"
    going = f"  {shown.running} running" if shown.running else ""
    best = shown.best
    found = f"  best {format_percent(best.value)} (trial {best.number})" if best else ""
    return f"{safe_text(shown.name, 30)}  {shown.done}/{shown.total}{going}{found}"


def about(trial: TrialView | None, order: str, words: str, width: int) -> str:
    """Below the trials: all settings of the one under the cursor, the filter and the order."""
    ending = f"order: {order}"
    if words:
        ending = f"filter: {safe_text(words, 20)}  {ending}"
    if trial is None or not trial.params:
        return ending
    room = max(1, width - len(ending) - 6)
    said = f"{trial.number}: {', '.join(filter(None, [_reason(trial), *_settings(trial)]))}"
    return f"{said if len(said) <= room else f'{said[: room - 1]}…'}  {ending}"


def ends(shown: Snapshot) -> tuple[float, float]:
    """Between which accuracies the trials of a study lie, so that their curves compare."""
    values = [value for trial in shown.trials for _, value in trial.curve if value == value]
    return min(values, default=0.0), max(values, default=1.0)


def _reason(trial: TrialView) -> str:
    if trial.silent_seconds > QUIET_SECONDS:
        return f"quiet {format_duration(trial.silent_seconds)}"
    why = safe_text(trial.why)
    return f"again {trial.retry_of}" if not why and trial.retry_of is not None else why


def _settings(trial: TrialView) -> list[str]:
    return [f"{key} {format_value(value)}" for key, value in trial.params.items()]


def _together(parts: Sequence[str], width: int) -> str:
    """As many of the parts as there is room for, from the first."""
    found = ""
    for part in filter(None, parts):
        longer = f"{found} · {part}" if found else part
        if cell_len(longer) > width - 2 and found:
            return f"{found} …"
        found = longer
    return found


def _widest(part: Dimension) -> int:
    if part.choices:
        return max(len(format_value(choice)) for choice in part.choices)
    return (
        9 if not part.is_integer else max(len(format_value(part.low)), len(format_value(part.high)))
    )


def _said(trial: TrialView) -> str:
    return " ".join(
        (str(trial.number), trial.state, trial.why, trial.host, *_settings(trial))
    ).lower()
