"""Lists and finds runs; reads only the beginning and the end of each run's events."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from fmnist_tui.protocol.events import (
    ENSEMBLE,
    EVENTS,
    FINISHED,
    LRFIND,
    SWEEP,
    TRAIN,
    EpochEnded,
    Event,
    Progress,
    RunStarted,
    run_title,
)
from fmnist_tui.protocol.json_codec import DecodeError
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.protocol.validation import find_validation, format_validation
from fmnist_tui.runs.folder import ARCHIVE_FOLDER, RunFolder, list_run_folders
from fmnist_tui.runs.lock import LockHolder, find_holder
from fmnist_tui.runs.notes import NO_NOTES, RunNotes, read_notes
from fmnist_tui.util.errors import UserError, did_you_mean, format_error
from fmnist_tui.util.paths import expand_home
from fmnist_tui.util.text import safe_text

RUNNING, PAUSED, CRASHED, BROKEN = "running", "paused", "crashed", "broken"

# Bytes read of a file's beginning and end; more of the end if the best epoch (or whether a
# live run is paused) is not in it.
_HEAD = _TAIL = 1 << 16
_LONG_TAIL = 1 << 22

_EVENT, _STARTED, _PROGRESS = b'{"is":"', b'{"is":"RunStarted"', b'{"is":"Progress"'
_FREQUENT = (_PROGRESS, b'{"is":"Telemetry"', b'{"is":"Glance"', b'{"is":"LrProbed"')
_MAX_CANDIDATES = 5
# Between local clocks: time zones go from UTC-12 to UTC+14.
_LARGEST_CLOCK_DIFFERENCE = timedelta(hours=26)


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A line of the list of runs.

    `state` is running, paused, finished, stopped, detached, failed, crashed or broken;
    `reason` says why it failed or is broken. `best_val_accuracy` and `test_accuracy` are
    fractions; `val_note` is that of `validation.Validation`. `started` is when the run first
    started, in seconds since 1970; `seconds` its wall time, `warm_seconds` that of the
    training, from its first step to usable weights, and `train_seconds` the time in training
    steps, of all its sessions. Runs of earlier versions tell only the wall time of the last one.
    The epochs of a sweep are its trials. `notes` are the user's.
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
    val_note: str = ""
    test_accuracy: float | None = None
    seconds: float = 0.0
    warm_seconds: float | None = None
    train_seconds: float | None = None
    started: float = 0.0
    seed: int | None = None
    notes: RunNotes = NO_NOTES

    def refusal(self, action: str) -> str:
        """Why this run cannot be resumed, forked or searched (`action`), as only trainings can;
        empty for a training."""
        if self.kind == TRAIN:
            return ""
        kinds = {ENSEMBLE: "an ensemble", LRFIND: "a learning-rate search", SWEEP: "a sweep"}
        hints = {ENSEMBLE: ": its members can", SWEEP: ": its trials can"}
        kind = kinds.get(self.kind, "not a training")
        return f"{safe_text(self.run.name)} is {kind} and cannot be {action}" + hints.get(
            self.kind, ""
        )

    @property
    def shown_seconds(self) -> float:
        """The warm wall time of a training; the wall time of a run that has none or is older."""
        return self.seconds if self.warm_seconds is None else self.warm_seconds

    @property
    def val_text(self) -> str:
        """The validation accuracy, marked if the training measured it."""
        return format_validation(self.best_val_accuracy, self.val_note)

    @property
    def title(self) -> str:
        """The name that the user has given it, or else its recipe, after the kind of run if that
        is not training."""
        return self.notes.name or run_title(self.kind, self.recipe)

    @property
    def is_live(self) -> bool:
        return self.holder is not None


def list_runs(runs_dir: Path) -> list[RunSummary]:
    """The runs in `runs_dir`, newest first; unreadable ones are listed as broken."""
    summaries = [summarise_run(run) for run in list_run_folders(runs_dir)]
    return sorted(summaries, key=lambda s: (s.started, s.run.name), reverse=True)


def find_newest_finished(runs_dir: Path) -> RunSummary | None:
    """The finished training or ensemble whose folder was named last."""
    newest_first = sorted(list_run_folders(runs_dir), key=lambda run: run.name, reverse=True)
    for run in newest_first:
        summary = summarise_run(run)
        if summary.state == FINISHED and summary.kind in (TRAIN, ENSEMBLE):
            return summary
    return None


def summarise_run(run: RunFolder) -> RunSummary:
    """Summarise a run from the ends of its event file, its lock and its notes."""
    notes = read_notes(run)
    try:
        # The lock first, so that a run that ends in between is not reported as crashed.
        live = find_holder(run.path)
        first, state = _read_ends(run.events, is_live=live is not None)
        if live is None and state.end is None:
            # It may have started in between.
            live = find_holder(run.path)
    except OSError as error:
        reason = format_error(error)
        return RunSummary(run, BROKEN, reason, started=_modified_at(run), notes=notes)
    if state.started is None:
        if live is not None:
            return RunSummary(run, RUNNING, holder=live, started=live.started, notes=notes)
        # One that could not start has recorded why.
        reason = state.message or "it has no readable events"
        return RunSummary(run, BROKEN, reason, started=_modified_at(run), notes=notes)
    val, test = find_validation(state), state.evaluation("test")
    best = val.accuracy if val is not None else None
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
        epochs_total=_total_epochs(state, state.started),
        best_val_accuracy=best,
        val_note=val.note if val is not None else "",
        test_accuracy=test.accuracy if test else None,
        seconds=state.seconds,
        warm_seconds=state.warm_seconds or None,
        train_seconds=(state.progress or state.started).train_seconds,
        started=first.t if first else state.started.t,
        seed=state.started.seed,
        notes=notes,
    )


def training_share(run: RunFolder) -> float | None:
    """The share of a training that is done, as its last events say; None if nothing is known."""
    state = RunState()
    try:
        with run.events.open("rb", buffering=0) as file:
            first = _find_start(os.pread(file.fileno(), _HEAD, 0))
            size = os.fstat(file.fileno()).st_size
            events = _decode_end(os.pread(file.fileno(), _TAIL, max(0, size - _TAIL)))
    except OSError:
        return None
    for event in [first, *events] if first is not None else events:
        state.apply(event)
    return state.fraction if state.started is not None else None


def _total_epochs(state: RunState, started: RunStarted) -> int:
    """The number of epochs that the latest session is to reach; 0 for a search.

    Its start may be in the part of a long file that is not read."""
    if started.kind == LRFIND:
        return 0
    progress = state.progress
    if progress is not None and progress.t > started.t and progress.epochs:
        return progress.epochs
    return started.epochs


def resolve(runs_dir: Path, text: str) -> RunFolder:
    """The run named by an id, a part of its folder's name, the name that the user has given it,
    `last`, or a path."""
    runs = sorted(list_run_folders(runs_dir), key=lambda run: (run.id != run.name, run.name))
    runs.reverse()
    if text == "last":
        return _newest(runs_dir, runs)
    if "/" in text or text.startswith(("~", ".")):
        return _by_path(runs_dir, text)
    word = text.lower()
    ways: tuple[Callable[[RunFolder], bool], ...] = (
        lambda run: run.name == text,
        lambda run: run.id == word,
        lambda run: read_notes(run).name.lower() == word,
        lambda run: word in run.name.lower(),
        lambda run: word in read_notes(run).name.lower(),
    )
    for is_meant in ways:
        matches = [run for run in runs if word and is_meant(run)]
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise _ambiguous(text, matches)
    archived = _archived_run(runs_dir, text)
    if archived is not None:
        raise UserError(
            f"the run {safe_text(archived.name)} is archived;"
            f" `fmnist-tui runs unarchive {safe_text(archived.id)}` moves it back"
        )
    if not runs:
        raise _no_runs(runs_dir)
    names = {part for run in runs for part in run.name.split("_")[2:]} | {run.id for run in runs}
    raise UserError(
        f'no run matches "{safe_text(text, 80)}" in {safe_text(runs_dir)}'
        f"{did_you_mean(text, sorted(names)) or '; `fmnist-tui runs list` shows them'}"
    )


def _newest(runs_dir: Path, runs: Sequence[RunFolder]) -> RunFolder:
    """The run with events that started last, by the start that it recorded.

    The time in a name is local. Only the runs that may be the newest are read: those named
    within a day of the newest name, and those without a time in their name."""
    named = {run: run.named_at for run in runs if run.events.exists()}
    if not named:
        raise _no_runs(runs_dir)
    newest = max(filter(None, named.values()), default=datetime.max)
    near = [
        run for run, at in named.items() if at is None or newest - at <= _LARGEST_CLOCK_DIFFERENCE
    ]
    return max(near, key=lambda run: (_recorded_start(run), run.id != run.name, run.name))


def _recorded_start(run: RunFolder) -> float:
    """When the run started, by its events, or else when they were written last."""
    with contextlib.suppress(OSError):
        with run.events.open("rb", buffering=0) as file:
            first = _find_start(os.pread(file.fileno(), _HEAD, 0))
        return first.t if first is not None else run.events.stat().st_mtime
    return 0.0


def _archived_run(runs_dir: Path, text: str) -> RunFolder | None:
    """The run of this id or name in the archive."""
    runs = list_run_folders(runs_dir / ARCHIVE_FOLDER)
    return next((run for run in runs if text.lower() in (run.id, run.name)), None)


def _by_path(runs_dir: Path, text: str) -> RunFolder:
    path = expand_home(text)
    # A path may be relative to the runs folder, as that of an archived run.
    below = runs_dir / path
    with contextlib.suppress(OSError, ValueError):
        if not path.exists() and below.is_dir():
            return RunFolder.open(below)
    return RunFolder.open(path)


def _no_runs(runs_dir: Path) -> UserError:
    return UserError(
        f"there are no runs in {safe_text(runs_dir)} yet; `fmnist-tui train` makes one"
    )


def _ambiguous(text: str, matches: list[RunFolder]) -> UserError:
    names = ", ".join(safe_text(run.name) for run in matches[:_MAX_CANDIDATES])
    more = f" and {len(matches) - _MAX_CANDIDATES} more" if len(matches) > _MAX_CANDIDATES else ""
    return UserError(
        f'"{safe_text(text, 80)}" could be {names}{more}; give an id, the last part of a name'
    )


def _read_ends(path: Path, *, is_live: bool) -> tuple[RunStarted | None, RunState]:
    """The first event of a file, and the state after its last events (without curves)."""
    state = RunState()
    try:
        file = path.open("rb", buffering=0)
    except FileNotFoundError:
        return None, state
    with file:
        first = _find_start(os.pread(file.fileno(), _HEAD, 0))
        size = os.fstat(file.fileno()).st_size
        events = _decode_end(os.pread(file.fileno(), _TAIL, max(0, size - _TAIL)))
        if size > _TAIL and (is_live or not _has_best(events) or not _has_times(events)):
            events = _decode_end(os.pread(file.fileno(), _LONG_TAIL, max(0, size - _LONG_TAIL)))
    if first is not None and events[:1] != [first]:
        state.apply(first)
    for event in events:
        state.apply(event)
    return first, state


def _has_best(events: list[Event]) -> bool:
    return any(isinstance(event, EpochEnded) and event.best for event in events)


def _has_times(events: list[Event]) -> bool:
    return any(isinstance(event, (Progress, RunStarted)) for event in events)


def _find_start(block: bytes) -> RunStarted | None:
    start = block.find(_STARTED)
    events = _decode([block[start:].partition(b"\n")[0]]) if start >= 0 else []
    return next((event for event in events if isinstance(event, RunStarted)), None)


def _decode_end(block: bytes) -> list[Event]:
    """The events in the last bytes of a file, without the frequent ones.

    Of Progress, which is most of a file, only the last is decoded.
    """
    lines = block[: block.rfind(b"\n") + 1].split(b"\n")
    last = len(lines) - 1
    while last >= 0 and not lines[last].startswith(_PROGRESS):
        last -= 1
    return _decode(
        [
            *(line for line in lines[: max(0, last)] if not line.startswith(_FREQUENT)),
            *lines[max(0, last) :],
        ]
    )


def _decode(lines: list[bytes]) -> list[Event]:
    events = []
    for line in lines:
        if line.startswith(_EVENT):
            with contextlib.suppress(DecodeError):
                events.append(EVENTS.decode(line))
    return events


def _modified_at(run: RunFolder) -> float:
    try:
        return run.path.stat().st_mtime
    except OSError:
        return 0.0
