"""The list of runs and their small curves, read in threads and only where something changed."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fmnist_tui.runs.accuracy_curve import AccuracyCurve
from fmnist_tui.runs.folder import RunFolder, list_run_folders
from fmnist_tui.runs.listing import RunSummary, summarise_run
from fmnist_tui.runs.lock import LockHolder, find_holder
from fmnist_tui.runs.notes import NOTES_FILE
from fmnist_tui.runs.seed_groups import SettingsKeys, read_settings_keys


@dataclass(frozen=True, slots=True)
class RunList:
    """All runs, and the keys of their settings by path."""

    runs: list[RunSummary] = field(default_factory=list)
    keys: Mapping[Path, SettingsKeys] = field(default_factory=dict)


class RunIndex:
    """Summaries of all runs in a folder. A run is read again only when its events file, its notes
    or its lock have changed. Reads files: call it in a thread."""

    def __init__(self, runs_dir: Path) -> None:
        self._runs_dir = runs_dir
        self._cache: dict[Path, tuple[object, RunSummary, SettingsKeys]] = {}
        self._lock = threading.Lock()

    def load(self) -> RunList:
        """All runs; UserError if the folder cannot be read."""
        with self._lock:
            cache: dict[Path, tuple[object, RunSummary, SettingsKeys]] = {}
            for run in list_run_folders(self._runs_dir):
                version = _version(run)
                entry = self._cache.get(run.path)
                if version is None or entry is None or entry[0] != version:
                    entry = version, summarise_run(run), read_settings_keys(run)
                cache[run.path] = entry
            self._cache = cache
            return RunList(
                [summary for _, summary, _ in cache.values()],
                {path: keys for path, (_, _, keys) in cache.items()},
            )


class CurveCache:
    """The accuracies of the runs that were asked for. Reads files: call it in a thread."""

    def __init__(self) -> None:
        self._curves: dict[Path, tuple[int, AccuracyCurve, tuple[float, ...]]] = {}
        self._lock = threading.Lock()

    def load(self, folders: Iterable[RunFolder]) -> dict[Path, tuple[float, ...]]:
        """The accuracies of these runs by path; none of a run that cannot be read."""
        with self._lock:
            return {folder.path: self._load(folder) for folder in folders}

    def _load(self, folder: RunFolder) -> tuple[float, ...]:
        size, curve, values = self._curves.get(folder.path, (-1, AccuracyCurve(folder), ()))
        with contextlib.suppress(OSError):
            new_size = folder.events.stat().st_size
            if new_size != size:
                curve.read()
                values = curve.values
                self._curves[folder.path] = new_size, curve, values
        return values


def _version(run: RunFolder) -> tuple[int, int, int, LockHolder | None] | None:
    try:
        stat = run.events.stat()
        return stat.st_size, stat.st_mtime_ns, _notes_version(run), find_holder(run.path)
    except OSError:
        return None


def _notes_version(run: RunFolder) -> int:
    """Changes with the notes, which are replaced and never written in place."""
    with contextlib.suppress(OSError):
        stat = (run.path / NOTES_FILE).stat()
        return stat.st_mtime_ns ^ stat.st_ino
    return 0
