"""Runs of one session share the images: loaded once, copied to the device once, never changed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch

from fmnist_tui.data import load
from fmnist_tui.data.dataset import Dataset
from fmnist_tui.data.loaded import LoadedDatasets
from fmnist_tui.engine.checkpoints.checkpoint import CheckpointStore
from fmnist_tui.engine.compute import loader
from fmnist_tui.engine.compute.loader import DeviceSplit, Normalisation
from fmnist_tui.engine.compute.uploads import UPLOADS
from fmnist_tui.engine.session.session import Session
from fmnist_tui.engine.training.trainer import Trainer
from fmnist_tui.protocol.events import FAILED
from fmnist_tui.runs.folder import RunFolder
from tests.engine.support import PATIENCE, blobs, config, digest, train, wait_for_end
from tests.unit.data.support import TinySet

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def nothing_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "_LOADED", LoadedDatasets())
    UPLOADS.release()


@pytest.fixture
def mine(tmp_path: Path) -> str:
    """A dataset of files, loaded like any other."""
    return f"idx:{TinySet().write(tmp_path / 'mine')}"


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done for a run's images, from now on."""
    done: list[str] = []

    def count(owner: Any, name: str, what: str) -> None:
        original = getattr(owner, name)

        def counted(*args: Any, **words: Any) -> Any:
            done.append(what)
            return original(*args, **words)

        monkeypatch.setattr(owner, name, counted)

    count(load, "_load", "loaded")
    count(Normalisation, "_measure", "measured")
    count(DeviceSplit, "__init__", "copied")
    return done


def weights(run: RunFolder) -> str:
    return digest(CheckpointStore(run.checkpoints).load("last")[0]["model"])


def test_the_second_run_finds_the_images_loaded_and_on_the_device(
    tmp_path: Path, mine: str, work: list[str]
) -> None:
    with Session(tmp_path / "runs", tmp_path / "data") as session:
        train(session, config(dataset=mine))
        # train and val; a preview's few images and test are copied for the moment
        assert sorted(set(work)) == ["copied", "loaded", "measured"]
        first = work.count("copied")
        work.clear()
        train(session, config(dataset=mine, lr=0.01))
        assert work.count("loaded") == work.count("measured") == 0
        assert work.count("copied") == first - 2


def test_a_trial_and_an_evaluation_find_them_too(
    tmp_path: Path, mine: str, work: list[str]
) -> None:
    with Session(tmp_path / "runs", tmp_path / "data") as session:
        run = train(session, config(dataset=mine))
        work.clear()
        wait_for_end(session, session.run_trial(config(dataset=mine), tmp_path / "trials"))
        assert "loaded" not in work and "measured" not in work
        work.clear()
        session.evaluate(run, "val").result(PATIENCE)
        assert work == []


def test_a_run_changes_nothing_for_the_next(tmp_path: Path, mine: str) -> None:
    changing = {"shift": 2, "erase": 0.5, "mixup": 0.4, "flip": True, "tta": "flip+shift"}
    settings = config(dataset=mine, model="custom-cnn", width=0.25, **changing)
    dataset = load.load_dataset_for(settings, tmp_path / "data")
    before = hash_of(dataset)
    with Session(tmp_path / "runs", tmp_path / "data") as session:
        runs = [train(session, settings) for _ in range(2)]
    assert weights(runs[0]) == weights(runs[1])
    assert load.load_dataset_for(settings, tmp_path / "data") is dataset
    assert hash_of(dataset) == before


def hash_of(dataset: Dataset) -> str:
    splits = (dataset.train, dataset.val, dataset.test)
    arrays = [array for split in splits for array in (split.images, split.labels)]
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def test_a_run_with_other_images_drops_those_of_the_run_before() -> None:
    first, second = blobs(16), blobs(16)
    data = UPLOADS.get(first.train, CPU)
    assert UPLOADS.get(first.train, CPU) is data
    UPLOADS.keep_only(second)
    assert UPLOADS.find(first.train, CPU) is data, "what is in use is found"
    del data
    assert UPLOADS.find(first.train, CPU) is None


def test_the_next_run_tries_again_to_keep_images_on_the_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dataset = blobs(16)
    monkeypatch.setattr(loader, "free_bytes", lambda _: 0)
    assert UPLOADS.get(dataset.train, CPU).note
    monkeypatch.setattr(loader, "free_bytes", lambda _: None)
    UPLOADS.keep_only(dataset)
    data = UPLOADS.get(dataset.train, CPU)
    assert data.is_resident and not data.note


def test_running_out_of_memory_drops_them(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[DeviceSplit | None] = []

    def fill(trainer: Trainer) -> None:
        seen.append(UPLOADS.find(trainer.learner.train.source(), CPU))  # type: ignore[arg-type]
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    monkeypatch.setattr(Trainer, "_execute_commands", fill)
    wait_for_end(session, session.train(config()), FAILED)
    assert seen[0] is not None
    assert UPLOADS._kept == []
