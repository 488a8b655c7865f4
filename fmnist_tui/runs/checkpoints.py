"""The checkpoints of a run, by what stands beside them; no weights are read for that."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.util.errors import UserError, reason
from fmnist_tui.util.text import safe_text

_NAME = re.compile(r"(last|best|step)-(\d+)")
_ORDER = {"last": 0, "best": 1, "step": 2}


@dataclass(frozen=True, slots=True)
class CheckpointEntry:
    """A checkpoint to begin from. A `whole` one goes on from its epoch; of `best` only the
    weights are kept."""

    name: str
    kind: str
    step: int
    epoch: int
    size: int

    @property
    def whole(self) -> bool:
        return self.kind != "best"


def kept(folder: RunFolder) -> list[CheckpointEntry]:
    """The newest `last` and `best`, and every `step` checkpoint, the latest first."""
    newest: dict[str, tuple[int, CheckpointEntry]] = {}
    try:
        for path in folder.checkpoints.glob("*.json"):
            name = _NAME.fullmatch(path.stem)
            about = _manifest(path.read_bytes()) if name else None
            if name is None or about is None or not path.with_suffix(".pt").is_file():
                continue
            kind, generation = name[1], int(name[2])
            key = path.stem if kind == "step" else kind
            if key not in newest or newest[key][0] < generation:
                newest[key] = generation, CheckpointEntry(path.stem, kind, *about)
    except OSError as error:
        raise UserError(
            f"cannot read the checkpoints of {safe_text(folder.name)}: {reason(error)}"
        ) from error
    found = [one for _, one in newest.values()]
    return sorted(found, key=lambda one: (_ORDER[one.kind], -one.step))


def _manifest(data: bytes) -> tuple[int, int, int] | None:
    try:
        body: Any = json.loads(data)
        return int(body["step"]), int(body["epoch"]), int(body["size"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
