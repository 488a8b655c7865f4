"""Predicting from image files, compared with predicting from the arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fmnist_tui.data.load import load_dataset
from fmnist_tui.engine.inference.classifier import Classifier
from fmnist_tui.engine.inference.predict import predict_file
from tests.engine.support import Harness, blobs
from tests.image_files import save_photo

COUNT = 200
# Two points, plus one for the noise of so small a sample.
ALLOWED_LOSS = 0.03


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Classifier:
    """A small network trained on slightly shifted and scaled sketches."""
    dataset = load_dataset("sketches", data_dir=tmp_path_factory.mktemp("data"))
    harness = Harness(
        tmp_path_factory.mktemp("run"),
        dataset,
        model="custom-cnn",
        width=0.5,
        epochs=4,
        batch_size=128,
        schedule="onecycle",
        shift=3,
        scale=0.25,
        rotate=10.0,
    )
    harness.trainer.run()
    payload, manifest, _ = harness.store.load("best")
    return Classifier.load(payload, harness.learner.device, manifest.file)


def test_files_lose_at_most_two_points_against_the_arrays(
    classifier: Classifier, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    test = load_dataset("sketches", data_dir=tmp_path).test
    indices = rng.choice(len(test), COUNT, replace=False)
    names = classifier.info.dataset.classes
    labels = test.labels[indices]
    from_arrays = classifier.probabilities(test.images[indices]).argmax(1)
    predictions = [
        predict_file(classifier, save_photo(test.images[index, ..., 0], tmp_path / str(index), rng))
        for index in indices
    ]
    assert not [prediction.error for prediction in predictions if prediction.error]
    from_files = np.array([names.index(prediction.label) for prediction in predictions])
    accuracy = np.mean(from_arrays == labels)
    assert accuracy > 0.9
    assert np.mean(from_files == labels) >= accuracy - ALLOWED_LOSS


def test_the_image_of_every_preparation_step_is_kept(
    classifier: Classifier, tmp_path: Path
) -> None:
    image = load_dataset("sketches", data_dir=tmp_path).test.images[0, ..., 0]
    path = save_photo(image, tmp_path / "one", np.random.default_rng(1))
    prediction = predict_file(classifier, path)
    assert prediction.prepared is not None
    assert len(prediction.prepared.steps) >= 5
    assert prediction.prepared.image.shape == (28, 28, 1)
    assert sum(probability for _, probability in prediction.ranked) == pytest.approx(1.0)
    assert len(prediction.top) == 5


def test_a_file_that_is_not_an_image_gets_an_error_instead_of_a_label(
    classifier: Classifier, tmp_path: Path
) -> None:
    path = tmp_path / "evil\x1b[31m.png"
    path.write_bytes(b"GIF89a")
    prediction = predict_file(classifier, path)
    assert prediction.label == "" and prediction.probability == 0.0
    assert "evil" in prediction.error and "\x1b" not in prediction.error


def test_a_checkpoint_loads_as_the_classifier_that_was_saved(tmp_path: Path) -> None:
    dataset = blobs(128)
    harness = Harness(tmp_path, dataset, epochs=3, ema=0.5)
    harness.trainer.run()
    payload, manifest, _ = harness.store.load("last")
    loaded = Classifier.load(payload, harness.learner.device, manifest.file)
    live = Classifier(harness.learner.info, harness.learner.model, harness.learner.device)
    average = harness.learner._average
    assert average is not None
    with average.applied():
        expected = live.probabilities(dataset.test.images)
    assert loaded.probabilities(dataset.test.images) == pytest.approx(expected, abs=1e-5)
    assert loaded.info == harness.learner.info
