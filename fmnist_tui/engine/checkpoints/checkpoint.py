"""Checkpoints that survive a kill at any moment and notice a single flipped bit.

A checkpoint is a `.pt` file and beside it a manifest with its SHA-256. Both are written
under a temporary name, synced and renamed, the manifest last: it is the commit. `last`
and `best` keep two generations (`last-0007.pt`, `last-0008.pt`), so that the one before
is there until the next is safe; `step-N` checkpoints are kept for good.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from fmnist_tui.util.atomic_write import atomic_write, sweep_strays
from fmnist_tui.util.errors import UserError, reason
from fmnist_tui.util.text import safe_text

FORMAT = 1
GENERATIONS = 2
Payload = dict[str, Any]


class CheckpointError(UserError):
    """A checkpoint that cannot be used; the message names the file and the fault."""


@dataclass(frozen=True, slots=True)
class CheckpointManifest:
    """What a checkpoint's file must be to be trusted."""

    file: str
    kind: str
    generation: int
    step: int
    epoch: int
    sha256: str
    size: int

    def to_json(self) -> bytes:
        body = asdict(self)
        return json.dumps({**body, "check": _check(body)}, indent=1).encode()

    @classmethod
    def read(cls, path: Path) -> CheckpointManifest:
        """The manifest in a file; a CheckpointError for anything but a whole, true one."""
        try:
            body = json.loads(path.read_bytes())
            check = body.pop("check")
            if check == _check(body) and f"{path.stem}.pt" == body["file"]:
                return cls(**body)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            pass
        raise CheckpointError(f"{safe_text(path)}: the checkpoint's manifest is damaged")


def _check(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


class CheckpointStore:
    """The checkpoints of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, kind: str, payload: Payload, step: int, epoch: int) -> CheckpointManifest:
        """Write a checkpoint; when this returns, it is on the disk. OSError if it is not:
        then everything that was there before still is."""
        self.folder.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        torch.save(payload, buffer)
        data = buffer.getbuffer()
        generation = step if kind == "step" else self._next(kind)
        name = f"step-{step}" if kind == "step" else f"{kind}-{generation:04d}"
        manifest = CheckpointManifest(
            file=f"{name}.pt",
            kind=kind,
            generation=generation,
            step=step,
            epoch=epoch,
            sha256=hashlib.sha256(data).hexdigest(),
            size=len(data),
        )
        atomic_write(self.folder / manifest.file, [data])
        atomic_write(self.folder / f"{name}.json", manifest.to_json())
        if kind != "step":
            self._retire(kind, generation - GENERATIONS)
        return manifest

    def manifests(self, kind: str) -> list[CheckpointManifest]:
        """The readable manifests of a kind, newest first."""
        found = []
        for path in self.folder.glob(f"{kind}-*.json"):
            try:
                found.append(CheckpointManifest.read(path))
            except CheckpointError:
                continue
        return sorted(found, key=lambda manifest: manifest.generation, reverse=True)

    def load(self, kind: str) -> tuple[Payload, CheckpointManifest, tuple[str, ...]]:
        """The newest whole checkpoint of a kind, and a note for each damaged one passed over."""
        notes: list[str] = []
        for path in sorted(self.folder.glob(f"{kind}-*.json"), key=_generation, reverse=True):
            try:
                manifest = CheckpointManifest.read(path)
                return (
                    read_checkpoint(self.folder / manifest.file, manifest),
                    manifest,
                    tuple(notes),
                )
            except CheckpointError as error:
                notes.append(str(error))
        if notes:
            raise CheckpointError(f"no usable {kind} checkpoint is left: {'; '.join(notes)}")
        raise CheckpointError(f"{safe_text(self.folder)}: there is no {kind} checkpoint yet")

    def remove_leftovers(self) -> None:
        """Remove what interrupted saves left: temporaries, data without a manifest, and
        generations that were about to go."""
        if not self.folder.is_dir():
            return
        sweep_strays(self.folder)
        for path in self.folder.glob("*.pt"):
            ours = re.fullmatch(r"(last|best|step)-\d+", path.stem)
            if ours and not path.with_suffix(".json").exists():
                path.unlink(missing_ok=True)
        for kind in ("last", "best"):
            self._retire(kind, self._next(kind) - 1 - GENERATIONS)

    def delete(self, kind: str) -> None:
        """Remove all checkpoints of a kind."""
        self._retire(kind, self._next(kind))

    def _next(self, kind: str) -> int:
        taken = [_generation(path) for path in self.folder.glob(f"{kind}-*.*")]
        return max(taken, default=0) + 1

    def _retire(self, kind: str, newest: int) -> None:
        for path in self.folder.glob(f"{kind}-*.json"):
            if _generation(path) <= newest:
                # Data first: a manifest without data is noticed, data without a manifest is swept.
                path.with_suffix(".pt").unlink(missing_ok=True)
                path.unlink(missing_ok=True)


def _generation(path: Path) -> int:
    match = re.search(r"-(\d+)$", path.stem)
    return int(match.group(1)) if match else 0


def read_checkpoint(path: Path, manifest: CheckpointManifest | None = None) -> Payload:
    """A checkpoint's payload, checked against its manifest before a byte is interpreted."""
    where = safe_text(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"{where}: the checkpoint is gone") from None
    except OSError as error:
        raise CheckpointError(f"{where}: cannot be read: {safe_text(reason(error))}") from None
    if manifest is not None and len(data) != manifest.size:
        raise CheckpointError(f"{where}: {len(data)} bytes where {manifest.size} were written")
    if manifest is not None and hashlib.sha256(data).hexdigest() != manifest.sha256:
        raise CheckpointError(f"{where}: damaged since it was written (SHA-256 differs)")
    return parse_checkpoint(data, where)


def parse_checkpoint(data: bytes, where: str) -> Payload:
    """The payload in a file's bytes. Never runs code that the file brings."""
    check_archive(data, where)
    try:
        payload = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - torch and zip raise many kinds on broken files
        first = safe_text(reason(error).split(". ")[0], 120)
        raise CheckpointError(f"{where}: refused, not plain weights ({first})") from None
    if not isinstance(payload, dict):
        raise CheckpointError(f"{where}: holds a {type(payload).__name__}, not a dictionary")
    return payload


def check_archive(data: bytes, where: str) -> None:
    """Refuse what torch.load should not even be shown: pickles, programs, zip bombs."""
    if data[:2] != b"PK":
        raise CheckpointError(f"{where}: refused, not a checkpoint (torch's zip form is expected)")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise CheckpointError(f"{where}: the checkpoint is truncated or damaged") from None
    names = {entry.filename.split("/", 1)[-1] for entry in entries}
    if "data.pkl" not in names:
        raise CheckpointError(f"{where}: refused, a zip file but not torch's")
    if "constants.pkl" in names or any(name.startswith("code/") for name in names):
        raise CheckpointError(f"{where}: refused, a TorchScript program (plain weights are needed)")
    packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
    if packed or sum(entry.file_size for entry in entries) > len(data):
        raise CheckpointError(
            f"{where}: refused, a compressed archive (torch stores weights plainly)"
        )


def check_weights(
    weights: Mapping[str, Any], expected: Mapping[str, torch.Tensor], where: str, model: str
) -> None:
    """Refuse weights whose names, shapes or types are not the model's."""

    def differ(what: str) -> CheckpointError:
        return CheckpointError(
            f"{where}: a checkpoint of another architecture than {model}: {what}"
        )

    missing = [name for name in expected if name not in weights]
    extra = [name for name in weights if name not in expected]
    if missing:
        raise differ(f"{safe_text(missing[0])} is missing")
    if extra:
        raise differ(f"{safe_text(extra[0], 60)} is not a part of it")
    for name, tensor in expected.items():
        given = weights[name]
        if not isinstance(given, torch.Tensor):
            raise differ(f"{name} is no tensor")
        if given.shape != tensor.shape:
            raise differ(f"{name} is {_shape(given)} where {_shape(tensor)} is needed")
        if given.dtype != tensor.dtype:
            raise differ(f"{name} is {given.dtype} where {tensor.dtype} is needed")


def _shape(tensor: torch.Tensor) -> str:
    return "×".join(str(side) for side in tensor.shape) or "a single number"
