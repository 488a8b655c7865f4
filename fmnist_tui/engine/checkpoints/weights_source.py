"""Loading weights from what a user names: a run's checkpoint, or a file from anywhere.

A run's own checkpoints are read here, after their hash has been verified. Any other file is
read by a child process with limits (`untrusted_weights.py`), which returns only plain tensors
and facts.
"""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fmnist_tui.engine.checkpoints.checkpoint import (
    CheckpointError,
    CheckpointIdentity,
    CheckpointManifest,
    CheckpointStore,
    Payload,
    read_checkpoint,
)
from fmnist_tui.protocol.events import LRFIND, SWEEP
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import summarise_run
from fmnist_tui.sweeps.study_locations import TRIALS
from fmnist_tui.util.errors import format_error
from fmnist_tui.util.paths import program_command
from fmnist_tui.util.text import safe_text

READ_SECONDS = 90
# No file has been trained for longer, whatever it says.
MAX_STEP = 1 << 53


@dataclass(frozen=True, slots=True)
class LoadedWeights:
    """A payload with the file it came from (`source`, safe to show) and what identifies it."""

    payload: Payload
    source: str
    # as in a CheckpointIdentity
    name: str
    sha256: str
    step: int
    epoch: int
    notes: tuple[str, ...] = ()

    @property
    def identity(self) -> CheckpointIdentity:
        """What an evaluation of these weights records about them."""
        file = Path(self.source).name
        return CheckpointIdentity(self.name, self.sha256, self.step, self.epoch, file)

    @property
    def weights(self) -> Mapping[str, Any]:
        """The tensors by name, not yet checked against a model."""
        weights = self.payload.get("weights")
        if not isinstance(weights, Mapping):
            raise CheckpointError(f"{self.source}: holds no weights")
        return weights


def load(source: Path) -> LoadedWeights:
    """Load a run folder's best checkpoint, or a weights file."""
    if source.is_dir():
        return load_from_run(RunFolder.open(source))
    return load_from_file(source)


def load_from_run(folder: RunFolder, checkpoint: str = "best") -> LoadedWeights:
    """Load a run's `best` (or `last`, if there is no best), `last`, or a checkpoint by name."""
    if checkpoint not in ("best", "last"):
        return load_from_file(find_checkpoint_file(folder, checkpoint) or Path(checkpoint))
    if not any(folder.checkpoints.glob("*.json")):
        raise CheckpointError(_explain_no_checkpoint(folder))
    store = CheckpointStore(folder.checkpoints)
    payload, manifest, notes = store.load(store.own if checkpoint == "best" else checkpoint)
    return _verified(payload, manifest, folder.checkpoints, is_newest=not notes, notes=notes)


def _explain_no_checkpoint(folder: RunFolder) -> str:
    name, kind = safe_text(folder.name), summarise_run(folder).kind
    if kind == LRFIND:
        return (
            f"{name} is a learning-rate search, which saves no weights;"
            " `fmnist-tui runs list` shows the runs that do"
        )
    if kind == SWEEP:
        return (
            f"{name} is a sweep, which saves no weights itself: name one of its trials,"
            f" a folder in {safe_text(folder.path / TRIALS)}"
        )
    return (
        f"{name}: there is no checkpoint yet; to save one now from a live run, use"
        f" `fmnist-tui runs checkpoint {safe_text(folder.id)}`"
    )


def find_checkpoint_file(folder: RunFolder, checkpoint: str) -> Path | None:
    """The run's checkpoint file of this name, with or without its suffix."""
    path = folder.checkpoints / f"{Path(checkpoint).name.removesuffix('.pt')}.pt"
    return path if path.is_file() else None


def fingerprint(source: Path) -> str:
    """A value that changes when the weights of a run folder or file change.

    It reads no weights: it is computed before every prediction."""
    if source.is_dir():
        store = CheckpointStore(RunFolder(source).checkpoints)
        manifests = store.manifests(store.own)
        return manifests[0].sha256 if manifests else ""
    try:
        status = source.stat()
    except OSError:
        return ""
    return f"{status.st_ino} {status.st_size} {status.st_mtime_ns}"


def load_from_file(path: Path) -> LoadedWeights:
    """Load a checkpoint or a weights file from anywhere."""
    manifest_path = path.with_suffix(".json")
    if path.suffix == ".pt" and path.parent.name == "checkpoints" and manifest_path.exists():
        manifest = CheckpointManifest.read(manifest_path)
        is_newest = CheckpointStore(path.parent).is_newest(manifest)
        return _verified(read_checkpoint(path, manifest), manifest, path.parent, is_newest)
    return _load_untrusted(path)


def _load_untrusted(path: Path) -> LoadedWeights:
    source = safe_text(path)
    if not path.exists():
        raise CheckpointError(f"{source}: there is no such model file")
    if not path.is_file():
        raise CheckpointError(f"{source}: not a file")
    facts, is_checked, weights = _read_in_child(path, source)
    step, epoch = (
        value if isinstance(value := facts.get(key), int) and 0 <= value < MAX_STEP else 0
        for key in ("step", "epoch")
    )
    notes = () if is_checked else (f"{source}: not checked for damage: it carries no hash",)
    return LoadedWeights({**facts, "weights": weights}, source, path.name, "", step, epoch, notes)


def _verified(
    payload: Payload,
    manifest: CheckpointManifest,
    folder: Path,
    is_newest: bool,
    notes: tuple[str, ...] = (),
) -> LoadedWeights:
    source = safe_text(folder / manifest.file)
    name = manifest.kind if is_newest and manifest.kind != "step" else manifest.stem
    return LoadedWeights(
        payload, source, name, manifest.sha256, manifest.step, manifest.epoch, notes
    )


def _read_in_child(path: Path, source: str) -> tuple[dict[str, Any], bool, dict[str, Any]]:
    """The facts in a file that is not trusted, whether it has been checked for damage, and its
    tensors."""
    from safetensors.torch import load_file

    command = program_command("fmnist_tui.engine.checkpoints.untrusted_weights")
    with tempfile.TemporaryDirectory(prefix="fmnist-tui-") as folder:
        try:
            child = subprocess.run(
                [*command, str(path.absolute()), folder],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=READ_SECONDS,
                check=False,
            )
            if child.returncode == 0:
                document = json.loads((Path(folder) / "facts.json").read_bytes())
                weights = load_file(Path(folder) / "weights.safetensors")
                return document["facts"], document["is_checked"], weights
            is_too_slow = child.returncode == -signal.SIGXCPU
        except subprocess.TimeoutExpired:
            is_too_slow = True
        except (OSError, ValueError, RecursionError) as error:
            raise CheckpointError(f"{source}: cannot be read: {format_error(error)}") from None
    if is_too_slow:
        raise CheckpointError(f"{source}: refused, reading it takes too long")
    lines = child.stdout.decode("utf-8", "replace").strip().splitlines()
    if lines and child.returncode == 1:
        raise CheckpointError(safe_text(lines[-1], 300))
    raise CheckpointError(
        f"{source}: refused, the process reading it failed (status {child.returncode})"
    )
