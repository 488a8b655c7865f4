"""The errors that a page shows, and the sheet of their pictures."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fmnist_tui.analysis.predictions import Predictions
from fmnist_tui.data.load import load_dataset
from fmnist_tui.report.error_images import (
    MAX_PAIRS,
    MOST_CONFIDENT,
    PER_PAIR,
    contact_sheet,
    load_error_images,
    select_errors,
)
from fmnist_tui.util.errors import UserError
from tests.tui.scripted import CONFIG
from tests.unit.report.support import answers


def test_the_most_confident_come_first_then_the_most_confused_pairs() -> None:
    predictions = answers("test")
    first, *pairs = select_errors(predictions)
    misses = predictions.misses()
    assert first.misses == tuple(misses[:MOST_CONFIDENT])
    assert first.count == len(misses)
    assert len(pairs) == MAX_PAIRS
    assert (pairs[0].true, pairs[0].predicted) == (6, 0)
    assert pairs[0].misses == tuple(predictions.misses(6, 0)[:PER_PAIR])
    assert [pair.count for pair in pairs] == sorted((p.count for p in pairs), reverse=True)


def test_every_error_is_on_the_sheet_where_it_is_said_to_be(tmp_path: Path) -> None:
    pictures = load_error_images(CONFIG, answers("test"), tmp_path)
    assert pictures is not None
    whole = np.asarray(Image.open(io.BytesIO(pictures.sheet)))
    images = load_dataset("sketches", data_dir=tmp_path).test.images
    for group in pictures.groups:
        for miss in group.misses:
            x, y = pictures.corner(miss)
            assert np.array_equal(whole[y : y + 28, x : x + 28], images[miss.index][..., 0])
    assert pictures.uri.startswith("data:image/png;base64,iVBOR")


def test_nothing_wrong_is_no_gallery(tmp_path: Path) -> None:
    right = answers("test")
    sure = np.zeros_like(right.logits)
    sure[np.arange(len(sure)), right.labels] = 9.0
    perfect = Predictions("test", sure, right.labels, right.indices, right.classes)
    assert load_error_images(CONFIG, perfect, tmp_path) is None


def test_pictures_that_are_another_class_by_now_are_refused(tmp_path: Path) -> None:
    kept = answers("test")
    shifted = Predictions("test", kept.logits, (kept.labels + 1) % 10, kept.indices, kept.classes)
    with pytest.raises(UserError, match="does not hold the pictures any more"):
        load_error_images(CONFIG, shifted, tmp_path)


@pytest.mark.parametrize("channels", [1, 3])
def test_large_pictures_are_made_smaller(channels: int) -> None:
    images = np.zeros((3, 200, 200, channels), np.uint8)
    images[1] = 255
    whole = np.asarray(Image.open(io.BytesIO(contact_sheet(images, 64, 2))))
    assert whole.shape[:2] == (128, 128)
    assert whole[:64, 64:].min() == 255
    assert whole[64:].max() == 0
