"""A journal file that stays whole: a line is written to its end, or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend

from fmnist_tui.runs.log import append_line


class AtomicLineFile(JournalFileBackend):
    """Optuna's journal, appended to as a run's record is.

    On a full disk Optuna's own leaves a piece of a line behind, to which the next line is
    added: from then on nobody can read the file. The lock is the kernel's, so that a killed
    worker does not leave it to be waited for."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self._path = Path(path)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        lines = [json.dumps(log, separators=(",", ":")) for log in logs]
        append_line(self._path, "".join(f"{line}\n" for line in lines).encode(), durable=True)
