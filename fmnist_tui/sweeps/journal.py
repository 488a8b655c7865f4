"""Optuna's journal file, written so that it never holds a partial line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend

from fmnist_tui.runs.log import append_line


class AtomicLineFile(JournalFileBackend):
    """A journal file appended to in the same way as a run's event log.

    On a full disk, Optuna's own backend leaves a partial line to which the next line is
    appended; the file is unreadable from then on. The lock used here is the kernel's, so a
    killed worker cannot leave a stale one."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._path = Path(path)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        lines = [json.dumps(log, separators=(",", ":")) for log in logs]
        append_line(self._path, "".join(f"{line}\n" for line in lines).encode(), durable=True)
