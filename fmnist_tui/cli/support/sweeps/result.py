"""What `fmnist-tui sweep start` has done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fmnist_tui.cli.support import console
from fmnist_tui.runs.folder import RunFolder


@dataclass(frozen=True, slots=True)
class SweepResult:
    """How a sweep ended: a reason of `RunEnded`, why, how many trials were done here, and the exit
    status. One worker has a run, of several each has a document of its own."""

    reason: str
    message: str
    done: int = 0
    status: int = 0
    folder: RunFolder | None = None
    workers: tuple[dict[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "run": self.folder.name if self.folder else None,
            "path": str(self.folder.path) if self.folder else None,
            "state": self.reason,
            **console.pick(self, "message", "workers"),
            "trials_here": self.done,
        }
