"""A dataset of noise, and a selected run with predictions of it."""

from __future__ import annotations

import numpy as np
import pytest

from fmnist_tui.config.dataset_catalog import DATASETS
from fmnist_tui.data.dataset import Dataset, Split
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.tui.state.app_state import AppState
from fmnist_tui.tui.state.dataset_cache import DatasetSpec
from tests.tui.errors.support import COUNT, predictions_of
from tests.tui.support import CONFIG, make_run


@pytest.fixture(scope="module")
def sketches() -> Dataset:
    """Noise in place of the images of CONFIG's dataset; indices are not positions."""
    random = np.random.default_rng(0)

    def split(name: str, first: int) -> Split:
        images = random.integers(0, 256, (COUNT + 50, 28, 28, 1), dtype=np.uint8)
        labels = random.integers(0, 10, len(images))
        return Split(name, images, labels, first + 3 * random.permutation(len(images)))

    splits = split("train", 0), split("val", 1), split("test", 2)
    return Dataset(DATASETS["sketches"], *splits, source="noise")


@pytest.fixture
def run(app_state: AppState, sketches: Dataset) -> RunFolder:
    """A selected run whose predicted images are available."""
    folder = make_run(app_state.runs_dir)
    for split in ("val", "test"):
        predictions_of(sketches, split).save(folder.predictions / f"{split}.npz")
    app_state.datasets.put(DatasetSpec.of(CONFIG), sketches)
    app_state.selected_run = folder
    return folder
