"""What the records of a few runs say of their course, read as far as they go and kept.

A record is read on from where the last look ended, so that a run that is going on costs
what is new, and one that has ended nothing at all.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from fmnist_tui.config import recipes
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.protocol.events import ENSEMBLE, SWEEP, Alert, EpochEnded, Evaluated, RunStarted
from fmnist_tui.protocol.run_state import TRAIN_LOSS, VAL_ACCURACY, VAL_LOSS, RunState
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import EventTail
from fmnist_tui.sweeps import spec as specs
from fmnist_tui.util.errors import UserError

KEPT = 16
CURVES = (VAL_ACCURACY, VAL_LOSS, TRAIN_LOSS)
# An ensemble's tell its members.
NOTES, NOTES_OF_ENSEMBLE = 3, 12
_BATCH = 10_000


@dataclass(frozen=True, slots=True)
class RunHistory:
    """A run at a moment.

    Curves are points (epoch, value), `notes` the latest alerts, `trouble` why there is no
    config or no record, `varied` what a sweep varies, and between which values."""

    folder: RunFolder
    config: RunConfig | None = None
    trouble: str = ""
    started: RunStarted | None = None
    best: EpochEnded | None = None
    val: Evaluated | None = None
    test: Evaluated | None = None
    curves: dict[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    notes: tuple[Alert, ...] = ()
    varied: dict[str, str] = field(default_factory=dict)


class _Record:
    def __init__(self, folder: RunFolder) -> None:
        self.tail = EventTail(folder.events)
        self.state = RunState()
        self.stamp: object = None
        self.course = RunHistory(folder)


class HistoryCache:
    """Courses of runs. Its methods take a while: call them in a thread."""

    def __init__(self) -> None:
        self._kept: OrderedDict[RunFolder, _Record] = OrderedDict()
        self._lock = threading.Lock()

    def look(self, folders: Sequence[RunFolder]) -> list[RunHistory]:
        """The runs as they stand; the same objects as before where nothing has changed."""
        with self._lock:
            found = [self._course(folder) for folder in folders]
            while len(self._kept) > max(KEPT, len(folders)):
                self._kept.popitem(last=False)
            return found

    def _course(self, folder: RunFolder) -> RunHistory:
        stamp = _stamp(folder)
        record = self._kept.get(folder)
        if record is None or stamp[0] < record.tail.offset:
            record = self._kept[folder] = _Record(folder)
        self._kept.move_to_end(folder)
        if stamp != record.stamp:
            record.stamp = stamp
            trouble = _read_on(record)
            record.course = _as_it_stands(folder, record.state, trouble)
        return record.course


def _notes(state: RunState) -> int:
    ensemble = state.started is not None and state.started.kind == ENSEMBLE
    return NOTES_OF_ENSEMBLE if ensemble else NOTES


def _stamp(folder: RunFolder) -> tuple[int, int, int]:
    """The sizes of a run's files, and when its config was written; 0 where one is not there."""
    sizes = []
    for path in (folder.events, folder.config):
        try:
            found = os.stat(path)  # noqa: PTH116 - twice as fast, and done for every run
        except OSError:
            sizes += [0, 0]
        else:
            sizes += [found.st_size, found.st_mtime_ns]
    return sizes[0], sizes[2], sizes[3]


def _read_on(record: _Record) -> str:
    try:
        while events := record.tail.read(_BATCH):
            for event in events:
                record.state.apply(event)
    except UserError as error:
        return str(error)
    return ""


def _as_it_stands(folder: RunFolder, state: RunState, trouble: str) -> RunHistory:
    config, varied = None, {}
    sweep = state.started is not None and state.started.kind == SWEEP
    try:
        if sweep:
            spec = specs.read(folder.config)
            config, varied = spec.base, {part.key: part.told() for part in spec.space}
        else:
            config = recipes.read(folder.config).config()
    except UserError as error:
        trouble = trouble or str(error)
    steps = state.started.steps_per_epoch if state.started else 0
    curves = {
        name: tuple((step / max(1, steps), value) for step, value in state.series(name))
        # Those of a sweep go by its trials, not by epochs.
        for name in (CURVES if not sweep else ())
    }
    return RunHistory(
        folder,
        config,
        trouble,
        state.started,
        state.best,
        state.verdict("val"),
        state.verdict("test"),
        curves,
        tuple(state.alerts)[-_notes(state) :],
        varied,
    )
