"""Lists the checkpoints of a run from their manifests, without reading weights."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.text import safe_text

_CHECKPOINT_NAME = re.compile(r"(last|best|step)-(\d+)")
_ORDER = {"last": 0, "best": 1, "step": 2}


@dataclass(frozen=True, slots=True)
class CheckpointEntry:
    """A checkpoint to start from."""

    name: str
    kind: str
    step: int
    epoch: int
    size: int

    @property
    def is_resumable(self) -> bool:
        """Whether a run can continue at its epoch; a `best` checkpoint holds weights only."""
        return self.kind != "best"


def list_checkpoints(folder: RunFolder) -> list[CheckpointEntry]:
    """The newest `last` and `best`, and all `step` checkpoints, latest first."""
    newest: dict[str, tuple[int, CheckpointEntry]] = {}
    try:
        for path in folder.checkpoints.glob("*.json"):
            name = _CHECKPOINT_NAME.fullmatch(path.stem)
            manifest = _read_manifest(path.read_bytes()) if name else None
            if name is None or manifest is None or not path.with_suffix(".pt").is_file():
                continue
            kind, generation = name[1], int(name[2])
            key = path.stem if kind == "step" else kind
            if key not in newest or newest[key][0] < generation:
                newest[key] = generation, CheckpointEntry(path.stem, kind, *manifest)
    except OSError as error:
        raise UserError(
            f"cannot read the checkpoints of {safe_text(folder.name)}: {format_error(error)}"
        ) from error
    entries = (entry for _, entry in newest.values())
    return sorted(entries, key=lambda entry: (_ORDER[entry.kind], -entry.step))


def _read_manifest(data: bytes) -> tuple[int, int, int] | None:
    try:
        body: Any = json.loads(data)
        return int(body["step"]), int(body["epoch"]), int(body["size"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
