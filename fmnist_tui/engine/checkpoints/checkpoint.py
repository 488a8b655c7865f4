"""Checkpoints that survive a kill at any moment and detect a single flipped bit.

A checkpoint is a `.pt` file with a manifest beside it that holds its SHA-256. Both are written
to a temporary name, synced and renamed; the manifest comes last and is the commit. `last` and
`best` keep two generations (`last-0007.pt`, `last-0008.pt`), so that the previous one exists
until the next is safe; a `best` that a kept `last` refers to stays as well, so that a run resumed
from there finds it. `step-N` checkpoints are never removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import torch

from fmnist_tui.engine.checkpoints.torch_archive import ArchiveError, check_archive
from fmnist_tui.protocol.checkpoint_record import GENERATIONS
from fmnist_tui.util.atomic_write import atomic_write, remove_stale_temporaries
from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.text import safe_text

FORMAT = 1
Payload = dict[str, Any]


class CheckpointError(UserError):
    """A checkpoint that cannot be used; the message names the file and the fault."""


@dataclass(frozen=True, slots=True)
class CheckpointManifest:
    """The facts that a checkpoint file is verified against.

    `best_step` is the step of the run's best checkpoint at that moment, 0 if there was none."""

    file: str
    kind: str
    generation: int
    step: int
    epoch: int
    sha256: str
    size: int
    best_step: int = 0

    @property
    def stem(self) -> str:
        """The file's name without its suffix: `best-0002`."""
        return self.file.removesuffix(".pt")

    def to_json(self) -> bytes:
        body = asdict(self)
        return json.dumps({**body, "check": _checksum(body)}, indent=1).encode()

    @classmethod
    def read(cls, path: Path) -> CheckpointManifest:
        """Read a manifest; raise a CheckpointError if any of it is missing or changed."""
        try:
            body = json.loads(path.read_bytes())
            check = body.pop("check")
            if check == _checksum(body) and f"{path.stem}.pt" == body["file"]:
                return cls(**body)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            pass
        raise CheckpointError(f"{safe_text(path)}: the checkpoint's manifest is damaged")


@dataclass(frozen=True, slots=True)
class CheckpointIdentity:
    """What is recorded about a checkpoint that is evaluated. `name` is best or last for the run's
    newest of that kind, otherwise the name of the file without its suffix: best-0001, step-12."""

    name: str
    sha256: str
    step: int
    epoch: int
    file: str = ""


@dataclass(frozen=True, slots=True)
class EncodedCheckpoint:
    """The bytes of a checkpoint's file, and what its manifest tells of them."""

    data: memoryview
    step: int
    epoch: int
    best_step: int

    @classmethod
    def encode(cls, payload: Payload, step: int, epoch: int) -> EncodedCheckpoint:
        buffer = io.BytesIO()
        torch.save(payload, buffer)
        return cls(buffer.getbuffer(), step, epoch, payload.get("best", {}).get("step", 0))


def _checksum(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


class CheckpointStore:
    """The checkpoints of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, kind: str, payload: Payload, step: int, epoch: int) -> CheckpointManifest:
        """Write a checkpoint; see `write`."""
        return self.write(kind, EncodedCheckpoint.encode(payload, step, epoch))

    def write(self, kind: str, encoded: EncodedCheckpoint) -> CheckpointManifest:
        """Write a checkpoint; on return it is on disk. An OSError leaves the earlier checkpoints
        as they were. The run's folder is not created: one that is gone stays gone.

        Calls no torch, so that a thread other than the session's may do it."""
        self.folder.mkdir(exist_ok=True)
        data, step = encoded.data, encoded.step
        generation = step if kind == "step" else self._newest_generation(kind) + 1
        stem = f"step-{step}" if kind == "step" else f"{kind}-{generation:04d}"
        digest = hashlib.sha256(data).hexdigest()
        manifest = CheckpointManifest(
            f"{stem}.pt",
            kind,
            generation,
            step,
            encoded.epoch,
            digest,
            len(data),
            encoded.best_step,
        )
        atomic_write(self.folder / manifest.file, [data])
        atomic_write(self.folder / f"{stem}.json", manifest.to_json())
        if kind != "step":
            self._delete_old(kind)
        return manifest

    def manifests(self, kind: str) -> list[CheckpointManifest]:
        """The readable manifests of a kind, newest first."""
        manifests = []
        for path in self.folder.glob(f"{kind}-*.json"):
            with contextlib.suppress(CheckpointError):
                manifests.append(CheckpointManifest.read(path))
        return sorted(manifests, key=lambda manifest: manifest.generation, reverse=True)

    def load(
        self, kind: str, up_to: float = math.inf
    ) -> tuple[Payload, CheckpointManifest, tuple[str, ...]]:
        """Load the newest intact checkpoint of a kind, with a note for each damaged one that
        was skipped; the note says which file serves instead, and names the folder last, so that
        a line that is cut still says what happened. Those after step `up_to` do not count."""
        notes: list[str] = []
        for path in sorted(self.folder.glob(f"{kind}-*.json"), key=_generation, reverse=True):
            try:
                manifest = CheckpointManifest.read(path)
                if manifest.step > up_to:
                    continue
                payload = read_checkpoint(self.folder / manifest.file, manifest)
                for weights in (payload.get("model"), payload.get("weights")):
                    check_finite(weights, safe_text(self.folder / manifest.file))
            except CheckpointError as error:
                notes.append(str(error))
            else:
                folder = safe_text(self.folder)
                faults = [note.removeprefix(f"{folder}/") for note in notes]
                instead = f"{manifest.file} (step {manifest.step:,}) serves instead, in {folder}"
                return payload, manifest, tuple(f"{fault}; {instead}" for fault in faults)
        if notes:
            raise CheckpointError(f"no usable {kind} checkpoint: {'; '.join(notes)}")
        raise CheckpointError(f"{safe_text(self.folder)}: there is no {kind} checkpoint yet")

    @property
    def own(self) -> str:
        """The kind of checkpoint that stands for the run: its best on validation, or the last in
        a run that has none. A damaged best still counts: it is reported, not passed over."""
        return "best" if any(self.folder.glob("best-*.json")) else "last"

    def is_newest(self, manifest: CheckpointManifest) -> bool:
        """Whether there is no newer checkpoint of that kind, not even a damaged one."""
        newest = max(map(_generation, self.folder.glob(f"{manifest.kind}-*.json")), default=0)
        return manifest.generation >= newest

    def remove_leftovers(self) -> None:
        """Remove what interrupted saves left: temporary files, data without a manifest, and
        generations that were about to be deleted."""
        if not self.folder.is_dir():
            return
        remove_stale_temporaries(self.folder)
        for path in self.folder.glob("*.pt"):
            is_checkpoint = re.fullmatch(r"(last|best|step)-\d+", path.stem)
            if is_checkpoint and not path.with_suffix(".json").exists():
                path.unlink(missing_ok=True)
        for kind in ("last", "best"):
            self._delete_old(kind)

    def _newest_generation(self, kind: str) -> int:
        return max(map(_generation, self.folder.glob(f"{kind}-*.*")), default=0)

    def delete(self, kind: str) -> None:
        """Delete all checkpoints of a kind."""
        for path in self.folder.glob(f"{kind}-*.json"):
            self._remove(path)

    def delete_newer(self, kind: str, generation: int) -> list[tuple[str, int]]:
        """Delete what is newer than a generation; returns the names of the files, each with its
        step, 0 if that cannot be read."""
        paths = [
            path for path in self.folder.glob(f"{kind}-*.json") if _generation(path) > generation
        ]
        deleted = sorted((f"{path.stem}.pt", _read_step(path) or 0) for path in paths)
        for path in paths:
            self._remove(path)
        return deleted

    def _delete_old(self, kind: str) -> None:
        oldest = self._newest_generation(kind) - GENERATIONS + 1
        old = [path for path in self.folder.glob(f"{kind}-*.json") if _generation(path) < oldest]
        needed = {manifest.best_step for manifest in self.manifests("last")} if old else set()
        for path in old:
            if kind == "best" and _read_step(path) in needed:
                continue
            self._remove(path)

    def _remove(self, path: Path) -> None:
        # Data first: load() notices a manifest without data, and data without a manifest is
        # removed as a leftover.
        path.with_suffix(".pt").unlink(missing_ok=True)
        path.unlink(missing_ok=True)


def _read_step(path: Path) -> int | None:
    with contextlib.suppress(CheckpointError):
        return CheckpointManifest.read(path).step
    return None


def _generation(path: Path) -> int:
    match = re.search(r"-(\d+)$", path.stem)
    return int(match.group(1)) if match else 0


def read_checkpoint(path: Path, manifest: CheckpointManifest | None = None) -> Payload:
    """Read a checkpoint's payload; the file is verified before any of it is interpreted."""
    source = safe_text(path)
    try:
        with path.open("rb") as file:
            if manifest is not None:
                _verify(file, manifest, source)
            return load_payload(file, source)
    except FileNotFoundError:
        raise CheckpointError(f"{source}: the checkpoint file is gone") from None
    except OSError as error:
        raise CheckpointError(f"{source}: cannot be read: {error.strerror or error}") from None


def _verify(file: io.BufferedReader, manifest: CheckpointManifest, source: str) -> None:
    size = file.seek(0, io.SEEK_END)
    if size != manifest.size:
        raise CheckpointError(f"{source}: has {size} bytes, but {manifest.size} were written")
    file.seek(0)
    if hashlib.file_digest(file, "sha256").hexdigest() != manifest.sha256:
        raise CheckpointError(f"{source}: damaged since it was written (SHA-256 differs)")


def load_payload(file: IO[bytes], source: str, mapped: Path | None = None) -> Payload:
    """The payload in a file, or in the same file by its path, whose tensors are then mapped and
    not read. Never runs code from the file."""
    try:
        check_archive(file)
        file.seek(0)
        payload = torch.load(
            mapped or file, map_location="cpu", weights_only=True, mmap=mapped is not None
        )
    except MemoryError:
        raise
    except ArchiveError as error:
        raise CheckpointError(f"{source}: {error}") from None
    except Exception as error:  # noqa: BLE001 - torch raises many kinds on broken files
        first = safe_text(format_error(error).split(". ")[0], 120)
        raise CheckpointError(f"{source}: refused, not plain weights ({first})") from None
    if not isinstance(payload, dict):
        raise CheckpointError(f"{source}: holds a {type(payload).__name__}, not a dictionary")
    return payload


def check_weights(
    weights: Mapping[str, Any], expected: Mapping[str, torch.Tensor], source: str, model: str
) -> None:
    """Refuse weights whose names, shapes or types are not the model's."""

    def mismatch(what: str) -> CheckpointError:
        return CheckpointError(f"{source}: does not fit the model {model}: {what}")

    for name in expected:
        if name not in weights:
            raise mismatch(f"{safe_text(name)} is missing")
    for name in weights:
        if name not in expected:
            raise mismatch(f"it has no {safe_text(name, 60)}")
    for name, tensor in expected.items():
        value = weights[name]
        if not isinstance(value, torch.Tensor):
            raise mismatch(f"{name} is not a tensor")
        if value.shape != tensor.shape:
            raise mismatch(f"{name} is {_format_shape(value)}, expected {_format_shape(tensor)}")
        if value.dtype != tensor.dtype:
            raise mismatch(f"{name} is {value.dtype}, expected {tensor.dtype}")
    check_finite(weights, source)


def check_finite(weights: object, source: str) -> None:
    """Refuse weights of which one is NaN or infinite: all that they give are NaN."""
    for name, value in weights.items() if isinstance(weights, Mapping) else ():
        is_number = isinstance(value, torch.Tensor) and value.is_floating_point()
        if is_number and not torch.isfinite(value).all():
            raise CheckpointError(
                f"{source}: {safe_text(name, 60)} is NaN or infinite, so nothing can be done with"
                " these weights; use an earlier checkpoint, or train again with a lower lr"
            )


def _format_shape(tensor: torch.Tensor) -> str:
    return "×".join(str(side) for side in tensor.shape) or "a single number"
