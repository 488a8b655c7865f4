"""Runs whose image folder has changed since: refused, or used with a line about the change."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fmnist_tui.analysis.predictions import Predictions
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.checkpoints.checkpoint import CheckpointStore
from fmnist_tui.engine.export.export_request import ExportRequest
from fmnist_tui.engine.inference.evaluate import SplitEvaluation
from fmnist_tui.engine.run.training_handle import Training
from fmnist_tui.engine.session.session import Session
from fmnist_tui.protocol.events import FINISHED, RunStarted
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import replay
from fmnist_tui.util.errors import UserError
from tests.engine import support
from tests.engine.support import PATIENCE, Listener, config, wait_for_end

CLASSES = ("bag", "coat", "shoe")


class Photos:
    """A folder of small images, all different, and runs that are trained with it."""

    def __init__(self, base: Path) -> None:
        self.root, self.runs, self.data = base / "photos", base / "runs", base / "data"
        self._numbers = np.random.default_rng(0)

    def add(self, folder: str, count: int, name: str = "") -> None:
        (self.root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = self._numbers.integers(0, 256, (9, 9), np.uint8)
            Image.fromarray(pixels).save(self.root / folder / f"{name}{number:02}.png")

    def config(self, **values: Any) -> RunConfig:
        return config(dataset=f"folder:{self.root}", **values)

    def session(self) -> Session:
        """A session that has not read the folder yet."""
        return Session(self.runs, self.data)

    def train(self, **values: Any) -> RunFolder:
        with self.session() as session:
            return support.train(session, self.config(**values))

    def evaluate(self, run: RunFolder, split: str = "test") -> SplitEvaluation:
        with self.session() as session:
            return session.evaluate(run, split).result(PATIENCE)

    def refusal(self, run: RunFolder, split: str = "test") -> str:
        """The error of an evaluation, which records nothing."""
        before = run.events.read_bytes()
        with pytest.raises(UserError) as caught:
            self.evaluate(run, split)
        assert run.events.read_bytes() == before
        assert "\n" not in str(caught.value)
        return str(caught.value)


@pytest.fixture
def photos(tmp_path: Path) -> Photos:
    photos = Photos(tmp_path)
    for name in CLASSES:
        photos.add(name, 30)
    return photos


@pytest.fixture
def split_photos(tmp_path: Path) -> Photos:
    """The same in folders of splits, so that any image can be moved to another split."""
    photos = Photos(tmp_path)
    for split, count in (("train", 20), ("valid", 6), ("test", 8)):
        for name in CLASSES:
            photos.add(f"{split}/{name}", count, split)
    return photos


def move_into_test(photos: Photos, count: int) -> None:
    """Move images that runs were trained on into the test split."""
    for number in range(count):
        name = f"bag/train{number:02}.png"
        (photos.root / "train" / name).rename(photos.root / "test" / name)


def test_a_class_that_was_removed_added_or_renamed_is_refused(photos: Photos) -> None:
    run = photos.train()
    (photos.root / "coat").rename(photos.root / "jacket")
    assert "(without coat, with jacket); restore them or train again" in photos.refusal(run)
    shutil.rmtree(photos.root / "jacket")
    assert "no longer has the classes that it was trained on (without coat)" in photos.refusal(run)
    photos.add("coat", 30)
    photos.add("hat", 30)
    assert "(with hat)" in photos.refusal(run, "train")


def test_added_images_are_said_and_none_that_was_trained_on_is_judged(photos: Photos) -> None:
    run = photos.train()
    before = photos.evaluate(run)
    assert before.notes == ()
    photos.add("bag", 40, "new")
    after = photos.evaluate(run)
    assert len(after.notes) == 1
    assert "has changed since" in after.notes[0]
    assert after.notes[0].endswith(".pt was trained: 40 images added")
    assert after.evaluation.count > before.evaluation.count
    state = replay(run.events)
    assert state.alerts[-1].message == after.notes[0]


def test_a_folder_that_changes_while_the_program_runs_is_read_again(photos: Photos) -> None:
    run = photos.train()
    with photos.session() as session:
        assert session.evaluate(run, "test").result(PATIENCE).notes == ()
        photos.add("bag", 40, "new")
        assert "40 images added" in session.evaluate(run, "test").result(PATIENCE).notes[0]


def test_a_test_image_that_was_trained_on_is_refused_wherever_the_run_is_used(
    split_photos: Photos,
) -> None:
    photos = split_photos
    first, second = photos.train(), photos.train(seed=1)
    photos.add("train/bag", 5, "more")
    move_into_test(photos, 7)
    expected = "7 of 31 test images are ones that it was trained on or chosen by"
    assert expected in photos.refusal(first)
    assert "5 images added, 7 images in another split" in photos.evaluate(first, "train").notes[0]
    with photos.session() as session:
        settings = photos.config(epochs=4)
        for start in (
            lambda: session.fork(first, "last", settings),
            lambda: session.fork(first, "best", settings),
            lambda: session.train(photos.config(start=first.name)),
            lambda: session.resume(first, settings),
        ):
            assert expected in support.refusal(session, start)
        with pytest.raises(UserError, match=expected):
            session.build_ensemble([first, second]).result(PATIENCE)
    assert replay(first.events).end_reason == FINISHED
    assert CheckpointStore(first.checkpoints).load("last")[1].epoch == 2


def test_a_changed_folder_is_said_by_every_use_of_a_run(split_photos: Photos) -> None:
    photos = split_photos
    first, second = photos.train(), photos.train(seed=1)
    photos.add("train/bag", 17, "more")
    with photos.session() as session:
        starts: tuple[Callable[[], Training], ...] = (
            lambda: session.fork(first, "last", photos.config(epochs=3)),
            lambda: session.train(photos.config(start=first.name)),
            lambda: session.resume(second, photos.config(epochs=3, seed=1)),
        )
        for start in starts:
            _, listener = wait_for_end(session, start())
            assert [note.rpartition(": ")[2] for note in listener.notes if "changed" in note] == [
                "17 images added"
            ]
        ensemble = session.build_ensemble([first, second]).result(PATIENCE)
    assert any("has changed since" in alert.message for alert in replay(ensemble.events).alerts)


def test_a_run_resumed_with_more_images_repeats_its_epoch_with_the_new_batches(
    split_photos: Photos,
) -> None:
    photos = split_photos
    with photos.session() as session:
        listener = Listener(session.train(photos.config(epochs=1000)))
        listener.wait_for(RunStarted)
        listener.training.stop()
        listener.wait_for_end()
        run = listener.training.folder
    assert run is not None
    stopped = CheckpointStore(run.checkpoints).load("last")[1]
    photos.add("train/bag", 30, "more")
    with photos.session() as session:
        epochs = stopped.epoch + 2
        _, listener = wait_for_end(session, session.resume(run, photos.config(epochs=epochs)))
    started = next(event for event in listener.events if isinstance(event, RunStarted))
    assert started.steps_per_epoch == 90 // 16
    assert started.step == stopped.epoch * started.steps_per_epoch
    if stopped.step:
        assert f"its batches differ: epoch {stopped.epoch + 1} starts again" in listener.notes


def test_datasets_that_share_images_are_said_when_a_run_starts_from_another(
    split_photos: Photos, tmp_path: Path
) -> None:
    run = split_photos.train()
    other = Photos(tmp_path / "other")
    other.runs = split_photos.runs
    shutil.copytree(split_photos.root, other.root)
    move_into_test(other, 3)
    with other.session() as session:
        _, listener = wait_for_end(session, session.train(other.config(start=run.name)))
    expected = "3 of 27 test images are ones that it was trained on or chosen by"
    assert f"{expected}: the two datasets share images" in listener.notes


def test_an_export_is_verified_with_changed_images_and_says_so(
    split_photos: Photos, tmp_path: Path
) -> None:
    run = split_photos.train()
    move_into_test(split_photos, 3)
    with split_photos.session() as session:
        request = ExportRequest("safetensors", tmp_path / "model.safetensors")
        exported = session.export(run.path, request).result(PATIENCE)
    assert exported.parity is not None and exported.parity.count == 27
    assert [note.rpartition(": ")[2] for note in exported.notes] == ["3 images in another split"]


def forget_data(run: RunFolder) -> None:
    """Save the best checkpoint as a version did that kept no fingerprint."""
    store = CheckpointStore(run.checkpoints)
    payload, manifest, _ = store.load("best")
    del payload["about"]["data"]
    store.save("best", payload, manifest.step, manifest.epoch)


def test_an_old_checkpoint_is_used_where_its_splits_cannot_have_moved(
    split_photos: Photos,
) -> None:
    run = split_photos.train()
    before = split_photos.evaluate(run)
    forget_data(run)
    after = split_photos.evaluate(run)
    assert after.notes == () and after.evaluation.accuracy == before.evaluation.accuracy


def test_an_old_checkpoint_is_refused_where_its_splits_were_chosen_in_another_way(
    photos: Photos,
) -> None:
    run = photos.train()
    forget_data(run)
    for split in ("val", "test"):
        assert f"chose the {split} images" in photos.refusal(run, split)
    assert photos.evaluate(run, "train").notes == ()


def test_a_fingerprint_is_kept_with_every_checkpoint_and_without_ids_in_exports(
    photos: Photos, tmp_path: Path
) -> None:
    run = photos.train()
    for path in run.checkpoints.glob("*.pt"):
        payload = torch.load(path, weights_only=True)
        assert "ids" in payload["about"]["data"]["train"]
    ids = Predictions.load(run.predictions / "test.npz").ids
    assert ids is not None and len(ids) == payload["about"]["data"]["test"]["count"]
    with photos.session() as session:
        request = ExportRequest("pth", tmp_path / "model.pth", check=False)
        session.export(run.path, request).result(PATIENCE)
    sidecar = (tmp_path / "model.pth.json").read_text()
    assert '"digest"' in sidecar and '"ids"' not in sidecar
