"""Checkpoints are written while training goes on."""

from __future__ import annotations

import io
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from fmnist_tui.engine.checkpoints.checkpoint import (
    CheckpointManifest,
    CheckpointStore,
    EncodedCheckpoint,
    load_payload,
)
from fmnist_tui.engine.checkpoints.host_copy import copy_to_host
from fmnist_tui.protocol.events import FINISHED, CheckpointSaved
from tests.engine.support import PATIENCE, Harness, blobs


class HeldStore(CheckpointStore):
    """A disk that writes nothing before it may."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.may_write = threading.Event()
        self.threads: set[threading.Thread] = set()
        self.written: list[EncodedCheckpoint] = []

    def write(self, kind: str, encoded: EncodedCheckpoint) -> CheckpointManifest:
        self.threads.add(threading.current_thread())
        assert self.may_write.wait(PATIENCE)
        self.written.append(encoded)
        return super().write(kind, encoded)


def hold(harness: Harness) -> HeldStore:
    harness.store = harness.trainer._saver._store = HeldStore(harness.store.folder)
    return harness.store


def saved_steps(harness: Harness, kind: str = "last") -> list[int]:
    return [event.step for event in harness.of(CheckpointSaved) if event.kind == kind]


def test_training_goes_on_while_a_checkpoint_is_written(tmp_path: Path) -> None:
    harness = Harness(tmp_path, blobs(128), epochs=1, checkpoint_seconds=0.0)
    store = hold(harness)
    before: list[int] = []

    def on_tick() -> None:
        if harness.learner.step == 5:
            # Saving began after step 1.
            before.extend(saved_steps(harness))
            store.may_write.set()

    harness.trainer.commands.on_tick = on_tick
    assert harness.trainer.run().reason == FINISHED
    assert before == []
    steps = saved_steps(harness)
    assert steps[0] == 1 and not {2, 3, 4, 5} & set(steps) and steps[-1] == 8
    assert threading.current_thread() not in store.threads
    assert not any(thread.is_alive() for thread in store.threads), "the end waits for its thread"


def test_a_checkpoint_holds_the_weights_of_its_step_whatever_is_trained_meanwhile(
    tmp_path: Path,
) -> None:
    harness = Harness(tmp_path, blobs(128), epochs=1, checkpoint_seconds=0.0)
    store = hold(harness)
    weights: dict[int, torch.Tensor] = {}

    def on_tick() -> None:
        weights[harness.learner.step] = next(harness.learner.model.parameters()).detach().clone()
        if harness.learner.step == 5:
            store.may_write.set()

    harness.trainer.commands.on_tick = on_tick
    harness.trainer.run()
    payload = load_payload(io.BytesIO(store.written[0].data), "written")
    assert payload["step"] == 1
    assert torch.equal(next(iter(payload["model"].values())), weights[1])


def test_the_record_tells_of_a_checkpoint_once_it_is_on_disk(tmp_path: Path) -> None:
    harness = Harness(tmp_path, blobs(64), epochs=3, checkpoint_seconds=0.0)
    told: list[str] = []

    def emit(event: object) -> None:
        if isinstance(event, CheckpointSaved):
            manifest = CheckpointManifest.read((tmp_path / event.file).with_suffix(".json"))
            assert manifest.sha256 == event.sha256
            told.append(event.file)

    harness.trainer._saver._emit = emit
    harness.trainer.run()
    assert {"best-0001.pt", "last-0001.pt"} <= set(told)


def test_without_a_thread_checkpoints_are_written_by_the_sessions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("cannot schedule new futures after interpreter shutdown")

    monkeypatch.setattr(ThreadPoolExecutor, "submit", refuse)
    harness = Harness(tmp_path, blobs(64), epochs=1)
    assert harness.trainer.run().reason == FINISHED
    assert (saved_steps(harness, "best"), saved_steps(harness)) == ([4], [4])


def tensors_of(encoded: EncodedCheckpoint) -> list[tuple[int, int]]:
    """Size and checksum of every tensor's memory."""
    with zipfile.ZipFile(io.BytesIO(encoded.data)) as archive:
        entries = [entry for entry in archive.infolist() if "/data/" in entry.filename]
    return [(entry.file_size, entry.CRC) for entry in entries]


def test_copies_in_host_memory_are_saved_like_what_they_copy_after_one_synchronisation(
    tmp_path: Path,
) -> None:
    harness = Harness(tmp_path, blobs(64), epochs=1, model="custom-cnn", width=0.1, ema=0.9)
    harness.trainer.run()
    payload, waits = harness.learner.full_payload(), list[object]()
    # A stand-in for a GPU: what is copied is on the CPU already.
    gpu = type(
        "Device", (), {"is_cuda": True, "synchronize": lambda device: waits.append(device)}
    )()
    copied = EncodedCheckpoint.encode(copy_to_host(payload, gpu), 4, 1)
    assert tensors_of(copied) == tensors_of(EncodedCheckpoint.encode(payload, 4, 1))
    assert len(waits) == 1
