"""The runs there are, told from a glance at each: nothing here reads a record whole."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from fmnist_tui.protocol.events import (
    ENSEMBLE,
    EVENTS,
    LRFIND,
    SWEEP,
    TRAIN,
    EpochEnded,
    Event,
    RunStarted,
    run_title,
)
from fmnist_tui.protocol.json_codec import DecodeError
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.runs.folder import RunFolder, run_folders
from fmnist_tui.runs.lock import LockHolder, holder
from fmnist_tui.util.errors import UserError, did_you_mean, reason
from fmnist_tui.util.paths import expand_home
from fmnist_tui.util.text import safe_text

RUNNING, PAUSED, CRASHED, BROKEN = "running", "paused", "crashed", "broken"

# So much of a record's beginning and end is looked at; more of the end where the best
# epoch (or whether a live run is paused) is not in it.
_HEAD = _TAIL = 1 << 16
_LONG_TAIL = 1 << 22

_EVENT, _BEGINNING, _PROGRESS = b'{"is":"', b'{"is":"RunStarted"', b'{"is":"Progress"'
_FREQUENT = (_PROGRESS, b'{"is":"Telemetry"', b'{"is":"Glance"', b'{"is":"LrProbed"')
_CANDIDATES = 5


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A line of the list of runs.

    `state` is running, paused, finished, stopped, detached, failed, crashed or broken,
    the last with its `reason` (which also says why a run failed). `best_val_accuracy` and
    `test_accuracy` are fractions. `started` is when the run first began, in seconds since
    1970; `seconds` how long its latest session took so far. A sweep's epochs are its trials.
    """

    run: RunFolder
    state: str
    reason: str = ""
    holder: LockHolder | None = None
    kind: str = "train"
    recipe: str = ""
    dataset: str = ""
    model: str = ""
    synthetic: bool = False
    epochs_done: int = 0
    epochs_total: int = 0
    best_val_accuracy: float | None = None
    test_accuracy: float | None = None
    seconds: float = 0.0
    started: float = 0.0

    def refusal(self, what: str) -> str:
        """Why this run cannot be resumed, forked or searched (`what`), which only trainings can;
        nothing for a training."""
        if self.kind == TRAIN:
            return ""
        known = {ENSEMBLE: "an ensemble", LRFIND: "a learning-rate search", SWEEP: "a sweep"}
        members = {ENSEMBLE: ": its members can", SWEEP: ": its trials can"}
        kind = known.get(self.kind, "no training")
        return f"{safe_text(self.run.name)} is {kind} and cannot be {what}" + members.get(
            self.kind, ""
        )

    @property
    def title(self) -> str:
        """The recipe it was made by, after the kind of run where it is no training."""
        return run_title(self.kind, self.recipe)

    @property
    def is_live(self) -> bool:
        return self.holder is not None


def list_runs(runs_dir: Path) -> list[RunSummary]:
    """The runs in `runs_dir`, newest first; one that cannot be read is listed as broken."""
    summaries = [summarise(run) for run in run_folders(runs_dir)]
    return sorted(summaries, key=lambda s: (s.started, s.run.name), reverse=True)


def summarise(run: RunFolder) -> RunSummary:
    """What the ends of a run's record and its lock say of it."""
    try:
        # The lock first: a run that ends in between is then seen as ended, not as crashed.
        live = holder(run.path)
        first, state = _glance(run.events, is_live=live is not None)
        if live is None and state.end is None:
            # It may have begun in between.
            live = holder(run.path)
    except OSError as error:
        return RunSummary(run, BROKEN, reason(error), started=_changed_at(run))
    if state.started is None:
        if live is not None:
            return RunSummary(run, RUNNING, holder=live, started=live.started)
        why = "it has no record that can be read"
        return RunSummary(run, BROKEN, why, started=_changed_at(run))
    val, test = state.evaluation("val"), state.evaluation("test")
    # What was not trained in epochs, an ensemble, has been judged all the same.
    best = state.best.val_accuracy if state.best else val.accuracy if val else None
    done = state.epochs_done or max(0, state.epoch - 1)
    if state.trial is not None:
        best, done = state.trial.best, state.trial.done
    return RunSummary(
        run=run,
        state=state.end_reason
        or (CRASHED if live is None else PAUSED if state.paused else RUNNING),
        reason=state.message,
        holder=live,
        kind=state.started.kind,
        recipe=state.started.recipe,
        dataset=state.started.dataset,
        model=state.started.model,
        synthetic=state.started.synthetic,
        epochs_done=done,
        epochs_total=state.started.epochs if state.started.kind != LRFIND else 0,
        best_val_accuracy=best,
        test_accuracy=test.accuracy if test else None,
        seconds=state.seconds,
        started=first.t if first else state.started.t,
    )


def resolve(runs_dir: Path, text: str) -> RunFolder:
    """The run that `text` means: an id, a part of one folder's name, `last`, or a path."""
    runs = sorted(run_folders(runs_dir), key=lambda run: (run.id != run.name, run.name))
    runs.reverse()
    if text == "last":
        recorded = next((run for run in runs if run.events.exists()), None)
        if recorded is None:
            raise _no_runs(runs_dir)
        return recorded
    if "/" in text or text.startswith(("~", ".")):
        return _by_path(runs_dir, text)
    word = text.lower()
    for found in (
        [run for run in runs if run.name == text],
        [run for run in runs if run.id == word],
        [run for run in runs if word and word in run.name.lower()],
    ):
        if len(found) == 1:
            return found[0]
        if found:
            raise _ambiguous(text, found)
    if not runs:
        raise _no_runs(runs_dir)
    words = {word for run in runs for word in run.name.split("_")[2:]} | {run.id for run in runs}
    raise UserError(
        f'no run matches "{safe_text(text, 80)}" in {safe_text(runs_dir)}'
        f"{did_you_mean(text, sorted(words)) or '; `fmnist-tui runs list` shows them'}"
    )


def _by_path(runs_dir: Path, text: str) -> RunFolder:
    path = expand_home(text)
    # Runs below the runs folder, the archived ones, may be given from there too.
    below = runs_dir / path
    with contextlib.suppress(OSError, ValueError):
        if not path.exists() and below.is_dir():
            return RunFolder.open(below)
    return RunFolder.open(path)


def _no_runs(runs_dir: Path) -> UserError:
    return UserError(
        f"there are no runs in {safe_text(runs_dir)} yet; `fmnist-tui train` makes one"
    )


def _ambiguous(text: str, found: list[RunFolder]) -> UserError:
    names = ", ".join(safe_text(run.name) for run in found[:_CANDIDATES])
    more = f" and {len(found) - _CANDIDATES} more" if len(found) > _CANDIDATES else ""
    return UserError(f'"{safe_text(text, 80)}" could be {names}{more}; give an id, its last part')


def _glance(path: Path, *, is_live: bool) -> tuple[RunStarted | None, RunState]:
    """How a record began, and the state that its end adds up to (without the curves)."""
    state = RunState()
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None, state
    try:
        first = _beginning(os.pread(descriptor, _HEAD, 0))
        size = os.fstat(descriptor).st_size
        events = _telling(os.pread(descriptor, _TAIL, max(0, size - _TAIL)))
        if size > _TAIL and (is_live or not any(_is_best(event) for event in events)):
            events = _telling(os.pread(descriptor, _LONG_TAIL, max(0, size - _LONG_TAIL)))
    finally:
        os.close(descriptor)
    if first is not None and events[:1] != [first]:
        state.apply(first)
    for event in events:
        state.apply(event)
    return first, state


def _is_best(event: Event) -> bool:
    return isinstance(event, EpochEnded) and event.best


def _beginning(block: bytes) -> RunStarted | None:
    place = block.find(_BEGINNING)
    found = _decoded([block[place:].partition(b"\n")[0]]) if place >= 0 else []
    return next((event for event in found if isinstance(event, RunStarted)), None)


def _telling(block: bytes) -> list[Event]:
    """The events in a piece of a record that tell how the run fares, in their order.

    Of Progress, which is nearly all there is, only the last is decoded.
    """
    lines = block[: block.rfind(b"\n") + 1].split(b"\n")
    last = len(lines) - 1
    while last >= 0 and not lines[last].startswith(_PROGRESS):
        last -= 1
    return _decoded(
        [
            *(line for line in lines[: max(0, last)] if not line.startswith(_FREQUENT)),
            *lines[max(0, last) :],
        ]
    )


def _decoded(lines: list[bytes]) -> list[Event]:
    found = []
    for line in lines:
        if line.startswith(_EVENT):
            with contextlib.suppress(DecodeError):
                found.append(EVENTS.decode(line))
    return found


def _changed_at(run: RunFolder) -> float:
    try:
        return run.path.stat().st_mtime
    except OSError:
        return 0.0
