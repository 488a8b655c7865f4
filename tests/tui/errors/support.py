"""Predictions of a dataset of noise, and what Errors shows of them."""

from __future__ import annotations

import re

import numpy as np
from textual.pilot import Pilot
from textual.widgets import Static

from fmnist_tui.analysis.predictions import Predictions
from fmnist_tui.config.dataset_catalog import GARMENTS
from fmnist_tui.data.dataset import Dataset
from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.screens.errors.screen import ErrorsScreen
from fmnist_tui.tui.widgets.gallery import Gallery
from tests.tui.support import notice, wait_until

COUNT = 300


def predictions_of(dataset: Dataset, split: str, seed: int = 0) -> Predictions:
    """Predictions of the first images of a split; every fifth is wrong."""
    part = dataset.split(split)
    labels, random = part.labels[:COUNT], np.random.default_rng(seed)
    logits = random.normal(0, 0.5, (COUNT, 10))
    predicted = np.where(np.arange(COUNT) % 5 == 0, (labels + 1) % 10, labels)
    logits[np.arange(COUNT), predicted] += 4 + 2 * random.random(COUNT)
    return Predictions(
        split, logits.astype(np.float32), labels, part.indices[:COUNT], GARMENTS, "best"
    )


def gallery_of(dashboard: Dashboard) -> Gallery:
    return dashboard.screen.query_one(Gallery)


def facts(dashboard: Dashboard) -> str:
    return str(dashboard.screen.query_one("#facts", Static).content)


async def wait_for_images(dashboard: Dashboard, pilot: Pilot[int], count: int = COUNT // 5) -> None:
    """Wait until so many are shown, and the one at the cursor in detail."""

    def shown() -> bool:
        if not isinstance(dashboard.screen, ErrorsScreen) or notice(dashboard):
            return False
        position = re.search(rf"   \d+ of {count}\b", facts(dashboard)) or not count
        return bool(position) and gallery_of(dashboard).count == count

    await wait_until(pilot, shown)
