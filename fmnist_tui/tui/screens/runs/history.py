"""Training histories for the compare pane, read from the runs' event files and cached.

A file is read on from where the last read ended, so a live run costs only its new events.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from fmnist_tui.protocol.events import ENSEMBLE, SWEEP, Alert, Evaluated, RunStarted
from fmnist_tui.protocol.run_state import (
    TRAIN_ACCURACY,
    TRAIN_LOSS,
    VAL_ACCURACY,
    VAL_LOSS,
    RunState,
)
from fmnist_tui.protocol.validation import Validation, find_validation
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import EventReader
from fmnist_tui.sweeps.run_settings import RunSettings, read_run_settings
from fmnist_tui.util.errors import UserError

CACHE_SIZE = 16
CURVES = (VAL_ACCURACY, VAL_LOSS, TRAIN_LOSS, TRAIN_ACCURACY)
# The alerts of an ensemble list its members.
ALERTS, ENSEMBLE_ALERTS = 3, 12


@dataclass(frozen=True, slots=True)
class RunHistory:
    """A run's settings, results and curves at one moment.

    Curves are (epoch, value) points; `alerts` are the latest; `error` says why the settings or
    the events could not be read.
    """

    folder: RunFolder
    settings: RunSettings | None = None
    error: str = ""
    started: RunStarted | None = None
    val: Validation | None = None
    test: Evaluated | None = None
    curves: dict[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    alerts: tuple[Alert, ...] = ()

    @property
    def steps_per_epoch(self) -> int:
        return max(1, self.started.steps_per_epoch) if self.started is not None else 1


class _CacheEntry:
    def __init__(self, folder: RunFolder) -> None:
        self.reader = EventReader(folder.events)
        self.state = RunState()
        self.version: object = None
        self.history = RunHistory(folder)


class HistoryCache:
    """Histories of the latest runs asked for. Reads files: call it in a thread."""

    def __init__(self) -> None:
        self._entries: OrderedDict[RunFolder, _CacheEntry] = OrderedDict()
        self._lock = threading.Lock()

    def load(self, folders: Sequence[RunFolder]) -> list[RunHistory]:
        """The histories of these runs; unchanged runs return the same objects as before."""
        with self._lock:
            histories = [self._load(folder) for folder in folders]
            while len(self._entries) > max(CACHE_SIZE, len(folders)):
                self._entries.popitem(last=False)
            return histories

    def _load(self, folder: RunFolder) -> RunHistory:
        version = _version(folder)
        entry = self._entries.get(folder)
        if entry is None or version[0] < entry.reader.offset:
            entry = self._entries[folder] = _CacheEntry(folder)
        self._entries.move_to_end(folder)
        if version != entry.version:
            entry.version, error = version, ""
            try:
                entry.reader.replay_into(entry.state)
            except UserError as problem:
                error = str(problem)
            entry.history = _build_history(folder, entry.state, error)
        return entry.history


def _version(folder: RunFolder) -> tuple[int, int, int]:
    """Size of the events file, size and modification time of the config; 0 if missing."""
    sizes, times = [0, 0], [0, 0]
    for index, path in enumerate((folder.events, folder.config)):
        with contextlib.suppress(OSError):
            stat = os.stat(path)  # noqa: PTH116 - twice as fast, and called for every run
            sizes[index], times[index] = stat.st_size, stat.st_mtime_ns
    return sizes[0], sizes[1], times[1]


def _build_history(folder: RunFolder, state: RunState, error: str) -> RunHistory:
    settings = None
    kind = state.started.kind if state.started is not None else ""
    try:
        settings = read_run_settings(folder, kind)
    except UserError as settings_error:
        error = error or str(settings_error)
    steps = state.started.steps_per_epoch if state.started else 0
    curves = {
        name: tuple((step / max(1, steps), value) for step, value in state.series(name))
        # A sweep has trials instead of epochs.
        for name in (CURVES if kind != SWEEP else ())
    }
    return RunHistory(
        folder,
        settings,
        error,
        state.started,
        find_validation(state),
        state.evaluation("test"),
        curves,
        tuple(state.alerts)[-(ENSEMBLE_ALERTS if kind == ENSEMBLE else ALERTS) :],
    )
