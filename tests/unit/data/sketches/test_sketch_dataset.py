"""The sketches dataset: reproducible, varied, neither too easy nor too hard."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fmnist_tui.config.dataset_catalog import DATASETS
from fmnist_tui.data.dataset import Images, Labels
from fmnist_tui.data.load import load_dataset
from fmnist_tui.data.sketches.garment_shapes import GARMENTS
from fmnist_tui.data.sketches.sketch_dataset import draw


@pytest.fixture(scope="module")
def sketches() -> tuple[Images, Labels]:
    return draw(3000, seed=0, stream=0)


def digest(images: Images) -> str:
    return hashlib.sha256(images.tobytes()).hexdigest()


def test_every_garment_is_drawn_equally_often(sketches: tuple[Images, Labels]) -> None:
    images, labels = sketches
    assert images.shape == (3000, 28, 28, 1)
    assert images.dtype == np.uint8
    assert np.bincount(labels).tolist() == [300] * 10
    assert len(GARMENTS) == len(DATASETS["sketches"].classes) == 10


def test_a_seed_draws_the_same_in_every_process(sketches: tuple[Images, Labels]) -> None:
    script = (
        "import hashlib; from fmnist_tui.data.sketches.sketch_dataset import draw; "
        "print(hashlib.sha256(draw(200, 0, 0)[0].tobytes()).hexdigest())"
    )
    other = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == digest(sketches[0][:200])


def test_an_image_does_not_depend_on_how_many_are_drawn(sketches: tuple[Images, Labels]) -> None:
    np.testing.assert_array_equal(draw(30, 0, 0)[0], sketches[0][:30])


def test_seeds_and_splits_share_no_image(sketches: tuple[Images, Labels]) -> None:
    distinct = {image.tobytes() for image in sketches[0]}
    assert len(distinct) == len(sketches[0])
    for seed, stream in ((0, 1), (1, 0)):
        assert not distinct & {image.tobytes() for image in draw(500, seed, stream)[0]}


def test_images_are_light_on_black_and_use_the_full_range(sketches: tuple[Images, Labels]) -> None:
    images = sketches[0].astype(np.float32)
    edge = np.concatenate([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]], axis=1)
    middle = images[:, 8:20, 8:20]
    assert np.median(edge) < 10
    assert middle.mean() > 60
    assert images.max() == 255
    assert images.min() == 0


def test_no_garment_is_cut_off_or_lost(sketches: tuple[Images, Labels]) -> None:
    shares = (sketches[0] > 60).mean(axis=(1, 2, 3))
    assert np.quantile(shares, 0.01) > 0.02
    assert np.quantile(shares, 0.99) < 0.7


def test_the_nearest_class_mean_is_not_enough(sketches: tuple[Images, Labels]) -> None:
    images, labels = sketches[0].reshape(3000, -1).astype(np.float32), sketches[1]
    means = np.stack([images[:2000][labels[:2000] == label].mean(axis=0) for label in range(10)])
    distances = ((images[2000:, None] - means) ** 2).sum(axis=2)
    accuracy = (distances.argmin(axis=1) == labels[2000:]).mean()
    assert 0.3 < accuracy < 0.75


def test_a_linear_model_stays_below_85_percent(sketches: tuple[Images, Labels]) -> None:
    # Ridge regression onto the classes, the best of several strengths on the test images.
    images, labels = sketches[0].reshape(3000, -1) / 255.0 - 0.2, sketches[1]
    train, test = slice(0, 2500), slice(2500, 3000)
    targets = np.eye(10)[labels[train]]
    square = images[train].T @ images[train]
    accuracies = [
        float(
            (
                (
                    images[test]
                    @ np.linalg.solve(square + strength * np.eye(784), images[train].T @ targets)
                ).argmax(axis=1)
                == labels[test]
            ).mean()
        )
        for strength in (10.0, 100.0, 1000.0)
    ]
    assert 0.5 < max(accuracies) < 0.85


def test_six_thousand_are_drawn_in_under_three_seconds() -> None:
    began = time.process_time()
    draw(1200, seed=5, stream=0)
    assert (time.process_time() - began) * 5 < 3


def test_the_dataset_is_marked_as_synthetic(tmp_path: Path) -> None:
    dataset = load_dataset("sketches", data_dir=tmp_path, sketch_seed=4)
    assert dataset.info.synthetic
    assert "SYNTHETIC" in dataset.info.title
    assert len(dataset.train) + len(dataset.val) == dataset.info.train == 5000
    assert len(dataset.test) == dataset.info.test == 1000
    assert not list(tmp_path.iterdir())
