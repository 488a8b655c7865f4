"""Checkpoints are complete or absent, and every kind of damage is detected."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import pickle
import random
import signal
import time
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fmnist_tui.engine.checkpoints import checkpoint
from fmnist_tui.engine.checkpoints.checkpoint import (
    CheckpointError,
    CheckpointStore,
    read_checkpoint,
)


def _payload(value: float, numbers: int = 100) -> dict[str, Any]:
    return {"format": 1, "weights": {"w": torch.full((numbers,), value)}, "step": int(value)}


def _value(payload: dict[str, Any]) -> float:
    return float(payload["weights"]["w"][0])


def test_a_saved_checkpoint_loads_unchanged(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    saved = store.save("last", _payload(3), step=3, epoch=1)
    payload, manifest, notes = store.load("last")
    assert (_value(payload), manifest, notes) == (3, saved, ())
    assert (manifest.step, manifest.epoch, manifest.kind) == (3, 1, "last")


def test_two_generations_and_all_step_checkpoints_are_kept(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    for step in range(1, 6):
        store.save("last", _payload(step), step, 0)
        store.save("step", _payload(step), step, 0)
    assert [manifest.step for manifest in store.manifests("last")] == [5, 4]
    assert [manifest.step for manifest in store.manifests("step")] == [5, 4, 3, 2, 1]
    assert len(list(tmp_path.glob("last-*"))) == 4


def test_a_damaged_checkpoint_is_skipped_for_the_previous_one(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    store.save("last", _payload(1), 1, 0)
    newest = store.save("last", _payload(2), 2, 0)
    path = tmp_path / newest.file
    path.write_bytes(path.read_bytes()[:-10])
    payload, manifest, notes = store.load("last")
    assert (_value(payload), manifest.step) == (1, 1)
    assert len(notes) == 1 and newest.file in notes[0]


def test_a_manifest_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    saved = store.save("best", _payload(3), step=3, epoch=1)
    body = asdict(saved)
    del body["best_step"]
    body["check"] = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    (tmp_path / "best-0001.json").write_text(json.dumps(body))
    assert store.load("best")[1] == saved


def test_a_best_that_a_kept_last_refers_to_is_kept_until_there_is_a_newer_last(
    tmp_path: Path,
) -> None:
    store = CheckpointStore(tmp_path)

    def save(kind: str, step: int, best: int) -> None:
        store.save(kind, {**_payload(step), "best": {"step": best}}, step, 0)

    save("best", 1, 1)
    save("last", 1, 1)
    for step in range(2, 6):
        save("best", step, step)
    assert [manifest.step for manifest in store.manifests("best")] == [5, 4, 1]
    for step in (6, 7):
        save("last", step, 5)
    save("best", 8, 8)
    assert [manifest.step for manifest in store.manifests("best")] == [8, 5]


def test_every_one_of_a_thousand_bit_flips_is_detected(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    manifest = store.save("step", _payload(7, numbers=40), 7, 0)
    data_path, manifest_path = tmp_path / manifest.file, tmp_path / "step-7.json"
    rng = random.Random(1)
    for path, flips in ((data_path, 800), (manifest_path, 200)):
        original = path.read_bytes()
        for _ in range(flips):
            bit = rng.randrange(len(original) * 8)
            flipped = bytearray(original)
            flipped[bit // 8] ^= 1 << bit % 8
            path.write_bytes(flipped)
            if path == manifest_path and _same_json(original, bytes(flipped)):
                continue
            with pytest.raises(CheckpointError):
                store.load("step")
        path.write_bytes(original)
    store.load("step")


def _same_json(first: bytes, second: bytes) -> bool:
    # A flip that turns one kind of white space into another changes nothing that is read.
    try:
        return bool(json.loads(first) == json.loads(second))
    except ValueError:
        return False


def test_a_kill_during_a_save_loses_no_acknowledged_checkpoint(tmp_path: Path) -> None:
    rng = random.Random(2)
    for attempt in range(25):
        folder = tmp_path / str(attempt)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:  # pragma: no cover - ends by SIGKILL
            try:
                store = CheckpointStore(folder)
                for step in range(1, 10_000):
                    store.save("last", _payload(step, numbers=5_000), step, 0)
                    os.write(writer, bytes([step % 256]))
            finally:
                os._exit(1)
        os.close(writer)
        os.read(reader, 1)
        time.sleep(rng.random() * 0.02)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        acknowledged = 1
        while data := os.read(reader, 4096):
            acknowledged += len(data)
        os.close(reader)
        store = CheckpointStore(folder)
        payload, manifest, notes = store.load("last")
        assert notes == ()
        assert manifest.step in (acknowledged, acknowledged + 1)
        assert _value(payload) == manifest.step
        store.remove_leftovers()
        assert not list(folder.glob(".*")), "leftovers are removed"
        assert {path.stem for path in folder.glob("*.pt")} == {
            path.stem for path in folder.glob("*.json")
        }


@pytest.mark.parametrize("failing", ["write", "fsync", "rename"])
def test_a_full_disk_leaves_the_previous_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    store = CheckpointStore(tmp_path)
    store.save("last", _payload(1), 1, 0)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        if failing == "write":
            patch.setattr("fmnist_tui.engine.checkpoints.checkpoint.atomic_write", full)
        elif failing == "fsync":
            patch.setattr(os, "fsync", full)
        else:
            patch.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="No space"):
            store.save("last", _payload(2), 2, 0)
    payload, manifest, notes = store.load("last")
    assert (_value(payload), manifest.step, notes) == (1, 1, ())
    store.save("last", _payload(3), 3, 0)
    assert store.load("last")[1].step == 3


def test_loading_without_checkpoints_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no last checkpoint yet"):
        CheckpointStore(tmp_path).load("last")


def test_a_missing_checkpoint_file_is_named(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    manifest = store.save("best", _payload(1), 1, 0)
    (tmp_path / manifest.file).unlink()
    with pytest.raises(CheckpointError, match=f"{manifest.file}.*gone"):
        store.load("best")


class _Trap:
    """An object whose pickle runs a command when it is loaded without checks."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.proof}",)


@pytest.mark.parametrize("form", ["bare pickle", "torch zip", "legacy torch"])
def test_a_pickle_with_code_is_refused_and_nothing_runs(tmp_path: Path, form: str) -> None:
    proof, path = tmp_path / "proof", tmp_path / "model.pt"
    trap = {"weights": _Trap(proof)}
    if form == "bare pickle":
        path.write_bytes(pickle.dumps(trap))
    else:
        torch.save(trap, path, _use_new_zipfile_serialization=form == "torch zip")
    with pytest.raises(CheckpointError, match="refused"):
        read_checkpoint(path)
    assert not proof.exists()


def test_a_torchscript_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", b"")
        archive.writestr("model/constants.pkl", b"")
        archive.writestr("model/code/__torch__.py", b"")
    with pytest.raises(CheckpointError, match="TorchScript"):
        read_checkpoint(path)


def test_a_zip_bomb_is_refused_before_unpacking(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/data.pkl", b"")
        archive.writestr("model/data/0", bytes(50_000_000))
    with pytest.raises(CheckpointError, match="compressed"):
        read_checkpoint(path)


def test_a_truncated_file_is_refused_at_every_length(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save(_payload(1), buffer)
    original, path = buffer.getvalue(), tmp_path / "model.pt"
    for length in range(0, len(original) - 1, 97):
        path.write_bytes(original[:length])
        with pytest.raises(CheckpointError):
            read_checkpoint(path)


def test_weights_of_other_names_shapes_or_types_are_refused() -> None:
    expected = nn.Linear(3, 2).state_dict()
    cases = {
        "bias is missing": {"weight": expected["weight"]},
        "it has no extra": {**expected, "extra": torch.zeros(1)},
        "weight is 3×2, expected 2×3": {**expected, "weight": torch.zeros(3, 2)},
        "weight is torch.float64": {**expected, "weight": torch.zeros(2, 3).double()},
        "bias is not a tensor": {**expected, "bias": [0.0, 0.0]},
    }
    for message, weights in cases.items():
        with pytest.raises(CheckpointError, match=message):
            checkpoint.check_weights(weights, expected, "file", "linear")
    checkpoint.check_weights(expected, expected, "file", "linear")
