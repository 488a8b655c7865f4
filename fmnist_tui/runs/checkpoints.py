"""Lists the checkpoints of a run from their manifests, without reading weights."""

from __future__ import annotations

import contextlib
import hashlib
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
    sha256: str

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


def find_newer(folder: RunFolder, checkpoint: str, sha256: str) -> CheckpointEntry | None:
    """The checkpoint that is now the run's best or last, if the one of this hash was it before."""
    newest = next((each for each in list_checkpoints(folder) if each.kind == checkpoint), None)
    return newest if newest is not None and sha256 and newest.sha256 != sha256 else None


def find_damage(folder: RunFolder) -> str:
    """What is wrong with the newest best checkpoint; empty if nothing is, or there is none.

    Its data is read, but not interpreted."""
    manifests = {
        int(name[2]): path
        for path in folder.checkpoints.glob("best-*.json")
        if (name := _CHECKPOINT_NAME.fullmatch(path.stem))
    }
    if not manifests:
        return ""
    path = manifests[max(manifests)]
    with contextlib.suppress(OSError):
        manifest, data = _read_manifest(path.read_bytes()), path.with_suffix(".pt").read_bytes()
        if manifest is not None and manifest[3] == hashlib.sha256(data).hexdigest():
            return ""
    return f"{path.stem}.pt is damaged or gone; what is shown here was recorded before"


def _read_manifest(data: bytes) -> tuple[int, int, int, str] | None:
    try:
        body: Any = json.loads(data)
        return int(body["step"]), int(body["epoch"]), int(body["size"]), str(body["sha256"])
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None
