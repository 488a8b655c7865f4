"""The checkpoints of a run and their figures, from its events.

The run's own figures are those of its own checkpoint: its best on validation, or the last in a run
without one. `best` and `last` are names that move on: what was evaluated under them keeps its
figures under the name of its file once there is a newer one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fmnist_tui.protocol.events import CheckpointSaved, Evaluated, RunStarted

MAX_CHECKPOINTS = 200
MAX_EVALUATIONS = 64
GENERATIONS = 2
BEST, LAST, STEP = "best", "last", "step"


@dataclass(slots=True)
class CheckpointRecord:
    """`checkpoints` are by file, `evaluations` by (split, checkpoint); `readings` counts the
    evaluations of a split, those of other checkpoints included."""

    checkpoints: dict[str, CheckpointSaved] = field(default_factory=dict)
    evaluations: dict[tuple[str, str], Evaluated] = field(default_factory=dict)
    readings: dict[str, int] = field(default_factory=dict)

    def newest(self, kind: str) -> CheckpointSaved | None:
        """The newest checkpoint of a kind."""
        saved = [event for event in self.checkpoints.values() if event.kind == kind]
        return saved[-1] if saved else None

    def resume(self, event: RunStarted) -> None:
        """Forget the checkpoints of steps that are trained again, and their figures."""
        best_step = event.step if event.best_step is None else event.best_step
        newest = {BEST: best_step, LAST: event.step}
        for file, saved in list(self.checkpoints.items()):
            if saved.step > newest.get(saved.kind, saved.step):
                del self.checkpoints[file]
        for key, evaluated in list(self.evaluations.items()):
            kind = key[1].replace(" ", "-").partition("-")[0]
            if evaluated.step > newest.get(kind, evaluated.step):
                del self.evaluations[key]

    def save(self, event: CheckpointSaved) -> None:
        insert(self.checkpoints, event.file, event, MAX_CHECKPOINTS)
        # `last` and `best` are kept for two generations, `step` checkpoints always.
        same_kind = [file for file, saved in self.checkpoints.items() if saved.kind == event.kind]
        for file in same_kind[:-GENERATIONS] if event.kind != STEP else ():
            del self.checkpoints[file]
        for split, name in list(self.evaluations):
            evaluated = self.evaluations[split, name]
            if name == event.kind and not _is_of(evaluated, event):
                del self.evaluations[split, name]
                self.evaluations[split, self._file_name(evaluated, name)] = evaluated

    def evaluate(self, event: Evaluated) -> None:
        self.readings[event.split] = self.readings.get(event.split, 0) + 1
        name, newest = event.checkpoint, self.newest(event.checkpoint)
        if newest is not None and not event.sha256 and event.step != newest.step:
            # Earlier versions recorded every checkpoint of a kind under the kind's name.
            name = self._file_name(event, name)
        insert(self.evaluations, (event.split, name), event, MAX_EVALUATIONS)

    def _file_name(self, evaluated: Evaluated, kind: str) -> str:
        """The name of the checkpoint's file without its suffix, or its step if unknown."""
        for saved in self.checkpoints.values():
            if saved.kind == kind and _is_of(evaluated, saved):
                return saved.file.removesuffix(".pt")
        return f"{kind} at step {evaluated.step}"


def _is_of(evaluated: Evaluated, saved: CheckpointSaved) -> bool:
    """Whether this checkpoint was evaluated; old runs recorded no hash."""
    if evaluated.sha256:
        return evaluated.sha256 == saved.sha256
    return evaluated.step == saved.step


def insert(table: dict[Any, Any], key: Any, value: Any, limit: int) -> None:
    """Insert `value` as the newest entry; drop the oldest beyond `limit`."""
    table.pop(key, None)
    table[key] = value
    if len(table) > limit:
        del table[next(iter(table))]
