"""Predicting from picture files is nearly as good as predicting from the arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fmnist_tui.data.load import load_dataset
from fmnist_tui.engine.inference.classifier import Classifier
from fmnist_tui.engine.inference.predict import predict_file
from tests.engine.support import Bench, blobs
from tests.pictures_for_tests import photographed

COUNT = 200
# Two points, and one for the luck of so small a sample.
LOST = 0.03


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """A small network that knows the sketches, shifted and scaled a little."""
    dataset = load_dataset("sketches", data_dir=tmp_path_factory.mktemp("data"))
    bench = Bench(
        tmp_path_factory.mktemp("run"),
        dataset,
        model="custom-cnn",
        width=0.5,
        epochs=6,
        batch_size=128,
        schedule="onecycle",
        shift=3,
        scale=0.25,
        rotate=10.0,
    )
    bench.trainer.run()
    payload, manifest, _ = bench.store.load("best")
    return Classifier.load(payload, bench.learner.machine, manifest.file)


def test_files_lose_at_most_two_points_against_the_arrays(
    classifier: Classifier, tmp_path: Path
) -> None:
    dice = np.random.default_rng(0)
    test = load_dataset("sketches", data_dir=tmp_path).test
    chosen = dice.choice(len(test), COUNT, replace=False)
    names = classifier.info.facts.classes
    labels = [names[label] for label in test.labels[chosen]]
    straight = classifier.probabilities(test.images[chosen]).argmax(1)
    arrays = np.mean([names[said] == label for said, label in zip(straight, labels, strict=True)])
    files = [
        predict_file(
            classifier, photographed(test.images[place, ..., 0], tmp_path / str(place), dice)
        )
        for place in chosen
    ]
    assert not [prediction.error for prediction in files if prediction.error]
    right = np.mean([said.label == label for said, label in zip(files, labels, strict=True)])
    assert arrays > 0.9
    assert right >= arrays - LOST


def test_every_picture_on_the_way_is_kept(classifier: Classifier, tmp_path: Path) -> None:
    image = load_dataset("sketches", data_dir=tmp_path).test.images[0, ..., 0]
    path = photographed(image, tmp_path / "one", np.random.default_rng(1))
    prediction = predict_file(classifier, path)
    assert prediction.prepared is not None
    assert len(prediction.prepared.steps) >= 5
    assert prediction.prepared.image.shape == (28, 28, 1)
    assert sum(share for _, share in prediction.ranked) == pytest.approx(1.0)
    assert len(prediction.top) == 5


def test_a_file_that_is_no_picture_says_so_instead_of_a_label(
    classifier: Classifier, tmp_path: Path
) -> None:
    path = tmp_path / "evil\x1b[31m.png"
    path.write_bytes(b"GIF89a")
    prediction = predict_file(classifier, path)
    assert prediction.label == "" and prediction.probability == 0.0
    assert "evil" in prediction.error and "\x1b" not in prediction.error


def test_a_classifier_survives_its_checkpoint(tmp_path: Path) -> None:
    dataset = blobs(128)
    bench = Bench(tmp_path, dataset, epochs=3, ema=0.5)
    bench.trainer.run()
    payload, manifest, _ = bench.store.load("last")
    again = Classifier.load(payload, bench.learner.machine, manifest.file)
    live = Classifier(bench.learner.info, bench.learner.model, bench.learner.machine)
    with_average = bench.learner._average
    assert with_average is not None
    with with_average.applied():
        expected = live.probabilities(dataset.test.images)
    assert again.probabilities(dataset.test.images) == pytest.approx(expected, abs=1e-5)
    assert again.info == bench.learner.info
