"""Live previews: their contents, their timing, and that training is not affected by them."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from fmnist_tui.analysis.metrics import compute_metrics, softmax
from fmnist_tui.config.dataset_catalog import LETTERS, DatasetInfo
from fmnist_tui.data.dataset import Dataset, Split
from fmnist_tui.engine.inference.classifier import Classifier, OnTick
from fmnist_tui.engine.training import live_preview, trainer
from fmnist_tui.engine.training.live_preview import (
    LivePreview,
    confusion_matrix,
    interleave_classes,
)
from fmnist_tui.protocol.events import EVENTS, EpochEnded, Glance
from tests.engine.support import Harness, blobs, config, digest, make_learner


@pytest.fixture
def every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A preview after every step."""
    monkeypatch.setattr(trainer, "PROGRESS_SECONDS", 0.0)
    monkeypatch.setattr(live_preview, "MIN_INTERVAL", 0.0)
    monkeypatch.setattr(live_preview, "INTERVAL_PER_COST", 0)


def many_classes(count: int) -> Dataset:
    """Two noisy images of each of `count` classes in every split."""
    names = tuple(f"{LETTERS[number % 26]}{number}" for number in range(count))
    info = DatasetInfo("many", "Many", names, synthetic=True)
    rng = np.random.default_rng(0)

    def split(name: str) -> Split:
        labels = np.tile(np.arange(count), 2)
        images = rng.integers(0, 255, (len(labels), 8, 8, 1)).astype(np.uint8)
        return Split(name, images, labels, 100 + np.arange(len(labels)))

    return Dataset(info, split("train"), split("val"), split("test"), "drawn")


def test_images_alternate_between_classes_in_their_own_order() -> None:
    labels = np.array([2, 2, 0, 2, 1, 0])
    assert interleave_classes(labels).tolist() == [2, 4, 0, 5, 1, 3]


def test_the_first_image_of_each_of_the_first_ten_classes_is_shown(tmp_path: Path) -> None:
    harness = Harness(tmp_path, many_classes(12), epochs=1)
    assert harness.preview is not None
    glance = harness.preview.predict_sample()
    assert glance.labels == tuple(range(10))
    assert glance.indices == tuple(range(100, 110))


def test_fewer_classes_are_filled_up_with_further_images(tmp_path: Path) -> None:
    dataset = blobs(64)
    harness = Harness(tmp_path, dataset, epochs=1)
    assert harness.preview is not None
    glance = harness.preview.predict_sample()
    assert len(glance.indices) == len(set(glance.indices)) == 10
    assert glance.labels[:4] == (0, 1, 2, 3)
    assert [dataset.val.labels[index] for index in glance.indices] == list(glance.labels)


def test_a_preview_after_validation_counts_every_image_of_the_split(tmp_path: Path) -> None:
    harness = Harness(tmp_path, blobs(2048), epochs=1)
    harness.trainer.run()
    (glance,) = [event for event in harness.of(Glance) if event.count == 512]
    live = Classifier(harness.learner.info, harness.learner.model.eval(), harness.learner.device)
    probabilities = softmax(live.predict_logits(harness.dataset.val))
    exact = compute_metrics(probabilities, harness.dataset.val.labels, harness.dataset.info.classes)
    assert glance.confusion == exact.confusion
    assert (glance.step, glance.epoch) == (128, 1)
    indices = list(glance.indices)
    assert glance.said == tuple(probabilities[indices].argmax(1))
    assert glance.shares == tuple(round(value, 3) for value in probabilities[indices].max(1))


def test_previews_come_at_the_start_and_after_each_validation(tmp_path: Path) -> None:
    harness = Harness(tmp_path, blobs(64), epochs=3)
    harness.trainer.run()
    assert [event.step for event in harness.of(Glance)] == [0, 4, 8, 12]
    kinds = [type(event) for event in harness.events]
    assert kinds.index(Glance, kinds.index(Glance) + 1) < kinds.index(EpochEnded)


def test_between_validations_a_class_balanced_sample_is_predicted(
    tmp_path: Path, every_step: None
) -> None:
    harness = Harness(tmp_path, blobs(2048), epochs=1)
    harness.trainer.run()
    samples = [event for event in harness.of(Glance) if 0 < event.step < 128]
    assert len(samples) == 127
    assert {event.count for event in samples} == {256}
    assert {tuple(sum(row) for row in event.confusion) for event in samples} == {(64,) * 4}
    assert samples[0].indices == samples[-1].indices
    assert samples[0].shares != samples[-1].shares


def test_a_preview_after_every_step_does_not_change_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every_step: None
) -> None:
    settings = {"model": "custom-cnn", "width": 0.1, "dropout": 0.3, "ema": 0.9, "mixup": 0.4}
    digests = []
    for folder, has_preview in (("with", True), ("without", False)):
        harness = Harness(tmp_path / folder, blobs(96), epochs=2, tta="flip", **settings)
        if not has_preview:
            harness.trainer.preview = None
        harness.trainer.run()
        assert len(harness.of(Glance)) == (1 + 12 + 2 if has_preview else 0)
        payload, _, _ = harness.store.load("last")
        digests.append(digest(payload["model"]) + digest(payload["weights"]))
    assert digests[0] == digests[1]


def test_the_model_is_in_training_mode_after_a_preview(tmp_path: Path) -> None:
    harness = Harness(tmp_path, blobs(64), model="custom-cnn", width=0.1)
    harness.learner.make_step()
    assert harness.preview is not None
    harness.preview.predict_sample()
    assert harness.learner.model.training


def test_previews_use_the_averaged_weights(tmp_path: Path) -> None:
    dataset = blobs(64)
    harness = Harness(tmp_path, dataset, epochs=2, ema=0.99, precision="fp32")
    harness.trainer.run()
    payload, manifest, _ = harness.store.load("last")
    averaged = Classifier.load(payload, harness.learner.device, manifest.file)
    glance = harness.of(Glance)[-1]
    expected = averaged.probabilities(dataset.val.images[list(glance.indices)]).max(1)
    assert glance.shares == pytest.approx(expected, abs=0.002)
    own = Classifier(harness.learner.info, harness.learner.model.eval(), harness.learner.device)
    assert own.probabilities(dataset.val.images).max(1).min() > max(glance.shares)


def test_a_slow_preview_is_made_less_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0

    class Clock:
        time = staticmethod(time.time)

        @staticmethod
        def perf_counter() -> float:
            return now

    monkeypatch.setattr(live_preview, "time", Clock)
    harness = Harness(tmp_path, blobs(64))
    preview = LivePreview(harness.learner, harness.dataset.val)
    plain = harness.learner.predict_logits
    cost = 5.0

    def slow_predict(*arguments: object) -> npt.NDArray[np.float32]:
        nonlocal now
        now += cost
        return plain(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(harness.learner, "predict_logits", slow_predict)
    assert preview.is_due()
    preview.predict_sample()
    # the duration of the first preview is ignored
    now += 1.9
    assert not preview.is_due()
    now += 0.2
    assert preview.is_due()
    cost = 0.05
    preview.predict_sample()
    now += 200 * 0.05 - 0.1
    assert not preview.is_due()
    preview.from_validation(plain(preview._sample))
    now += 0.2
    assert not preview.is_due(), "a validation counts as a preview"
    now += 2.0
    assert preview.is_due()


def test_time_spent_on_previews_is_not_training_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every_step: None
) -> None:
    harness = Harness(tmp_path, blobs(64), epochs=1)
    assert harness.preview is not None
    plain = harness.preview.predict_sample

    def slow(on_tick: OnTick) -> Glance:
        time.sleep(0.2)
        return plain(on_tick)

    monkeypatch.setattr(harness.preview, "predict_sample", slow)
    harness.trainer.run()
    assert len(harness.of(Glance)) > 4
    assert harness.of(EpochEnded)[0].seconds < 0.2


def test_there_are_no_previews_without_a_validation_split(tmp_path: Path) -> None:
    full = blobs(64)
    empty = Split("val", full.val.images[:0], full.val.labels[:0], full.val.indices[:0])
    harness = Harness(tmp_path, Dataset(full.info, full.train, empty, full.test, "drawn"))
    harness.trainer.run()
    assert harness.of(Glance) == []


def test_a_matrix_of_too_many_classes_is_left_out() -> None:
    labels = np.arange(51)
    assert confusion_matrix(labels, labels, 51) == ()
    assert confusion_matrix(labels[:50], labels[:50], 50)[49][49] == 1
    event = Glance(0.0, 1, 1, (), (), (), (), 1, confusion_matrix(labels, labels, 51))
    assert EVENTS.decode(EVENTS.encode(event)) == event


def test_nan_weights_do_not_break_a_preview(tmp_path: Path) -> None:
    dataset = blobs(64)
    broken = make_learner(config(), dataset)
    with torch.no_grad():
        next(iter(broken.model.parameters())).fill_(float("nan"))
    glance = LivePreview(broken, dataset.val).predict_sample()
    assert "nan" in EVENTS.encode(glance)
