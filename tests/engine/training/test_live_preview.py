"""Glances: what they show, when they come, and that training does not notice them."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from fmnist_tui.analysis.metrics import evaluate, softmax
from fmnist_tui.config.dataset_catalog import LETTERS, DatasetInfo
from fmnist_tui.data.dataset import Dataset, Split
from fmnist_tui.engine.inference.classifier import Classifier
from fmnist_tui.engine.training import live_preview as glance_module
from fmnist_tui.engine.training import trainer as train_module
from fmnist_tui.engine.training.live_preview import (
    LivePreview,
    confusion_matrix,
    interleave_classes,
)
from fmnist_tui.protocol.events import EVENTS, EpochEnded, Glance
from tests.engine.support import Bench, blobs, config, digest, make_learner


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """A glance after every single step."""
    monkeypatch.setattr(train_module, "PROGRESS_SECONDS", 0.0)
    monkeypatch.setattr(glance_module, "SECONDS", 0.0)
    monkeypatch.setattr(glance_module, "SPARE", 0)


def many_classes(count: int) -> Dataset:
    """Two noisy pictures of each of `count` classes in every split."""
    names = tuple(f"{LETTERS[number % 26]}{number}" for number in range(count))
    info = DatasetInfo("many", "Many", names, synthetic=True)
    dice = np.random.default_rng(0)

    def split(name: str) -> Split:
        labels = np.tile(np.arange(count), 2)
        images = dice.integers(0, 255, (len(labels), 8, 8, 1)).astype(np.uint8)
        return Split(name, images, labels, 100 + np.arange(len(labels)))

    return Dataset(info, split("train"), split("val"), split("test"), "drawn")


def test_images_take_turns_by_class_in_their_own_order() -> None:
    labels = np.array([2, 2, 0, 2, 1, 0])
    assert interleave_classes(labels).tolist() == [2, 4, 0, 5, 1, 3]


def test_the_first_image_of_each_of_the_first_ten_classes_is_shown(tmp_path: Path) -> None:
    bench = Bench(tmp_path, many_classes(12), epochs=1)
    assert bench.glances is not None
    seen = bench.glances.preview()
    assert seen.labels == tuple(range(10))
    assert seen.indices == tuple(range(100, 110))


def test_fewer_classes_are_filled_up_with_their_next_images(tmp_path: Path) -> None:
    dataset = blobs(64)
    bench = Bench(tmp_path, dataset, epochs=1)
    assert bench.glances is not None
    seen = bench.glances.preview()
    assert len(seen.indices) == len(set(seen.indices)) == 10
    assert seen.labels[:4] == (0, 1, 2, 3)
    assert [dataset.val.labels[index] for index in seen.indices] == list(seen.labels)


def test_a_glance_after_validation_counts_every_image_of_the_split(tmp_path: Path) -> None:
    bench = Bench(tmp_path, blobs(2048), epochs=1)
    bench.trainer.run()
    seen = [event for event in bench.of(Glance) if event.count == 512]
    assert len(seen) == 1
    live = Classifier(bench.learner.info, bench.learner.model.eval(), bench.learner.machine)
    shares = softmax(live.predict_logits(bench.dataset.val))
    exact = evaluate(shares, bench.dataset.val.labels, bench.dataset.info.classes)
    assert seen[0].confusion == exact.confusion
    assert (seen[0].step, seen[0].epoch) == (128, 1)
    places = list(seen[0].indices)
    assert seen[0].said == tuple(shares[places].argmax(1))
    assert seen[0].shares == tuple(round(share, 3) for share in shares[places].max(1))


def test_one_comes_at_the_start_and_one_after_each_validation(tmp_path: Path) -> None:
    bench = Bench(tmp_path, blobs(64), epochs=3)
    bench.trainer.run()
    assert [event.step for event in bench.of(Glance)] == [0, 4, 8, 12]
    kinds = [type(event) for event in bench.events]
    assert kinds.index(Glance, kinds.index(Glance) + 1) < kinds.index(EpochEnded)


def test_in_between_a_part_of_the_split_is_asked_all_classes_alike(
    tmp_path: Path, eager: None
) -> None:
    bench = Bench(tmp_path, blobs(2048), epochs=1)
    bench.trainer.run()
    between = [event for event in bench.of(Glance) if 0 < event.step < 128]
    assert len(between) == 127
    assert {event.count for event in between} == {256}
    assert {tuple(sum(row) for row in event.confusion) for event in between} == {(64,) * 4}
    assert between[0].indices == between[-1].indices
    assert between[0].shares != between[-1].shares


def test_looking_after_every_step_changes_no_bit_of_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eager: None
) -> None:
    settings = {"model": "custom-cnn", "width": 0.1, "dropout": 0.3, "ema": 0.9, "mixup": 0.4}
    found = []
    for folder, looks in (("with", True), ("without", False)):
        bench = Bench(tmp_path / folder, blobs(96), epochs=2, tta="flip", **settings)
        if not looks:
            bench.trainer._glances = None
        bench.trainer.run()
        assert len(bench.of(Glance)) == (1 + 12 + 2 if looks else 0)
        payload, _, _ = bench.store.load("last")
        found.append(digest(payload["model"]) + digest(payload["weights"]))
    assert found[0] == found[1]


def test_the_model_trains_on_after_a_look(tmp_path: Path) -> None:
    bench = Bench(tmp_path, blobs(64), model="custom-cnn", width=0.1)
    bench.learner.make_step()
    assert bench.glances is not None
    bench.glances.preview()
    assert bench.learner.model.training


def test_averaged_weights_are_what_is_looked_at(tmp_path: Path) -> None:
    dataset = blobs(64)
    bench = Bench(tmp_path, dataset, epochs=2, ema=0.99, precision="fp32")
    bench.trainer.run()
    payload, manifest, _ = bench.store.load("last")
    averaged = Classifier.load(payload, bench.learner.machine, manifest.file)
    seen = bench.of(Glance)[-1]
    expected = averaged.probabilities(dataset.val.images[list(seen.indices)]).max(1)
    assert seen.shares == pytest.approx(expected, abs=0.002)
    own = Classifier(bench.learner.info, bench.learner.model.eval(), bench.learner.machine)
    assert own.probabilities(dataset.val.images).max(1).min() > max(seen.shares)


def test_a_dear_look_is_taken_less_often(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0

    class Clock:
        time = staticmethod(time.time)

        @staticmethod
        def perf_counter() -> float:
            return now

    monkeypatch.setattr(glance_module, "time", Clock)
    bench = Bench(tmp_path, blobs(64))
    glances = LivePreview(bench.learner, bench.dataset.val)
    plain = bench.learner.predict_logits
    cost = 5.0

    def answers(*arguments: object) -> npt.NDArray[np.float32]:
        nonlocal now
        now += cost
        return plain(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(bench.learner, "predict_logits", answers)
    assert glances.is_due()
    glances.preview()
    # the first look is dear because it is the first
    now += 1.9
    assert not glances.is_due()
    now += 0.2
    assert glances.is_due()
    cost = 0.05
    glances.preview()
    now += 200 * 0.05 - 0.1
    assert not glances.is_due()
    glances.from_validation(plain(glances._part))
    now += 0.2
    assert not glances.is_due(), "nor at once after a validation, which tells as much"
    now += 2.0
    assert glances.is_due()


def test_time_spent_looking_is_not_training_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, eager: None
) -> None:
    bench = Bench(tmp_path, blobs(64), epochs=1)
    assert bench.glances is not None
    plain = bench.glances.preview

    def slow() -> Glance:
        time.sleep(0.2)
        return plain()

    monkeypatch.setattr(bench.glances, "preview", slow)
    bench.trainer.run()
    assert len(bench.of(Glance)) > 4
    assert bench.of(EpochEnded)[0].seconds < 0.2


def test_without_a_validation_split_there_are_no_glances(tmp_path: Path) -> None:
    whole = blobs(64)
    none = Split("val", whole.val.images[:0], whole.val.labels[:0], whole.val.indices[:0])
    bench = Bench(tmp_path, Dataset(whole.info, whole.train, none, whole.test, "drawn"))
    bench.trainer.run()
    assert bench.of(Glance) == []


def test_a_matrix_too_large_to_be_a_picture_is_left_out() -> None:
    labels = np.arange(51)
    assert confusion_matrix(labels, labels, 51) == ()
    assert confusion_matrix(labels[:50], labels[:50], 50)[49][49] == 1
    assert len(
        EVENTS.encode(Glance(0.0, 1, 1, (), (), (), (), 1, confusion_matrix(labels, labels, 51)))
    )


def test_weights_that_are_no_numbers_do_not_break_a_look(tmp_path: Path) -> None:
    dataset = blobs(64)
    broken = make_learner(config(), dataset)
    with torch.no_grad():
        next(iter(broken.model.parameters())).fill_(float("nan"))
    seen = LivePreview(broken, dataset.val).preview()
    assert "nan" in EVENTS.encode(seen)
