"""Finding the weights somebody names: a run's checkpoint, or a file from anywhere.

A run's own checkpoints are read here, after their hash has been checked. Any other file
is read by a child process with limits (`untrusted_weights.py`), and only what that makes of
it comes in.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from fmnist_tui.engine.checkpoints.checkpoint import (
    CheckpointError,
    CheckpointManifest,
    CheckpointStore,
    Payload,
    read_checkpoint,
)
from fmnist_tui.protocol.events import LRFIND, SWEEP
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import summarise
from fmnist_tui.sweeps.study_locations import TRIALS
from fmnist_tui.util.errors import reason
from fmnist_tui.util.paths import ourselves
from fmnist_tui.util.text import safe_text

READ_SECONDS = 90


@dataclass(frozen=True, slots=True)
class LoadedWeights:
    """A payload with where it came from and what identifies it."""

    payload: Payload
    source: str
    # best, last, step-N, or a file's name
    name: str
    sha256: str
    step: int
    epoch: int
    notes: tuple[str, ...] = ()


def load_from_run(folder: RunFolder, checkpoint: str = "best") -> LoadedWeights:
    """A run's `best` (where there is none, `last`), `last`, or a checkpoint file by name."""
    store = CheckpointStore(folder.checkpoints)
    if checkpoint in ("best", "last"):
        kind = checkpoint if store.manifests(checkpoint) else "last"
        if not any(folder.checkpoints.glob("*.json")):
            kind = summarise(folder).kind
            if kind == LRFIND:
                raise CheckpointError(
                    f"{safe_text(folder.name)} is a search for a learning rate, which keeps no"
                    " weights; `fmnist-tui runs list` shows the runs that do"
                )
            if kind == SWEEP:
                raise CheckpointError(
                    f"{safe_text(folder.name)} is a sweep, which keeps no weights itself: name one"
                    f" of its trials, a folder in {safe_text(folder.path / TRIALS)}"
                )
            raise CheckpointError(
                f"{safe_text(folder.name)}: there is no checkpoint yet; a live run saves one now"
                f" with `fmnist-tui runs checkpoint {safe_text(folder.id)}`"
            )
        payload, manifest, notes = store.load(kind)
        return _from_manifest(payload, manifest, folder.checkpoints, notes)
    return load_from_file(find_checkpoint_file(folder, checkpoint) or Path(checkpoint))


def find_checkpoint_file(folder: RunFolder, checkpoint: str) -> Path | None:
    """The run's own checkpoint file of this name, with or without its ending."""
    name = Path(checkpoint).name
    paths = (folder.checkpoints / known for known in (name, f"{name}.pt"))
    return next((path for path in paths if path.suffix == ".pt" and path.is_file()), None)


def fingerprint(source: Path) -> str:
    """What is another as soon as the weights are that a run folder or a file stands for.

    Reads no weights: this is asked before every prediction."""
    if source.is_dir():
        store = CheckpointStore(RunFolder(source).checkpoints)
        newest = [*store.manifests("best"), *store.manifests("last")][:1]
        return "".join(manifest.sha256 for manifest in newest)
    try:
        found = source.stat()
    except OSError:
        return ""
    return f"{found.st_ino} {found.st_size} {found.st_mtime_ns}"


def load_from_file(path: Path) -> LoadedWeights:
    """A checkpoint or weights file from anywhere."""
    manifest_path = path.with_suffix(".json")
    if path.suffix == ".pt" and path.parent.name == "checkpoints" and manifest_path.exists():
        manifest = CheckpointManifest.read(manifest_path)
        return _from_manifest(read_checkpoint(path, manifest), manifest, path.parent)
    return _load_untrusted(path)


def _from_manifest(
    payload: Payload, manifest: CheckpointManifest, folder: Path, notes: tuple[str, ...] = ()
) -> LoadedWeights:
    where = safe_text(folder / manifest.file)
    name = f"step-{manifest.step}" if manifest.kind == "step" else manifest.kind
    return LoadedWeights(
        payload, where, name, manifest.sha256, manifest.step, manifest.epoch, notes
    )


def _load_untrusted(path: Path) -> LoadedWeights:
    from safetensors.torch import load_file

    where = safe_text(path)
    if not path.exists():
        raise CheckpointError(f"{where}: there is no such model file")
    if not path.is_file():
        raise CheckpointError(f"{where}: not a file")
    with tempfile.TemporaryDirectory(prefix="fmnist-tui-") as folder:
        command = [
            *ourselves("fmnist_tui.engine.checkpoints.untrusted_weights"),
            str(path.absolute()),
            folder,
        ]
        try:
            child = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=READ_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CheckpointError(f"{where}: refused, reading it takes too long") from None
        if child.returncode:
            said = child.stdout.decode("utf-8", "replace").strip().splitlines()
            why = (
                safe_text(said[-1], 300)
                if said and child.returncode == 1
                else (f"{where}: refused, reading it ended the reader (status {child.returncode})")
            )
            raise CheckpointError(why)
        try:
            weights = load_file(Path(folder) / "weights.safetensors")
            facts = json.loads((Path(folder) / "facts.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{where}: cannot be read: {safe_text(reason(error))}") from None
    payload = {**facts, "weights": weights}
    step, epoch = (facts.get(key) for key in ("step", "epoch"))
    return LoadedWeights(
        payload,
        where,
        path.name,
        "",
        step if isinstance(step, int) else 0,
        epoch if isinstance(epoch, int) else 0,
    )
