"""The errors that a page shows, and their contact sheet."""

from __future__ import annotations

import io
from dataclasses import replace
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
from tests.tui.support import CONFIG
from tests.unit.report.support import make_predictions


def test_the_most_confident_come_first_then_the_most_confused_pairs() -> None:
    predictions = make_predictions("test")
    first, *pairs = select_errors(predictions)
    misses = predictions.find_misses()
    assert first.misses == tuple(misses[:MOST_CONFIDENT])
    assert first.count == len(misses)
    assert len(pairs) == MAX_PAIRS
    assert (pairs[0].true, pairs[0].predicted) == (6, 0)
    assert pairs[0].misses == tuple(predictions.find_misses(6, 0)[:PER_PAIR])
    assert [pair.count for pair in pairs] == sorted((p.count for p in pairs), reverse=True)


def test_every_error_is_at_its_position_on_the_sheet(tmp_path: Path) -> None:
    errors = load_error_images(CONFIG, make_predictions("test"), tmp_path)
    assert errors is not None
    sheet = np.asarray(Image.open(io.BytesIO(errors.sheet)))
    images = load_dataset("sketches", data_dir=tmp_path).test.images
    for group in errors.groups:
        for miss in group.misses:
            x, y = errors.corner(miss)
            assert np.array_equal(sheet[y : y + 28, x : x + 28], images[miss.index][..., 0])
    assert errors.uri.startswith("data:image/png;base64,iVBOR")


def test_without_errors_there_is_no_gallery(tmp_path: Path) -> None:
    correct = make_predictions("test")
    logits = np.zeros_like(correct.logits)
    logits[np.arange(len(logits)), correct.labels] = 9.0
    perfect = Predictions("test", logits, correct.labels, correct.indices, correct.classes)
    assert load_error_images(CONFIG, perfect, tmp_path) is None


def test_images_whose_class_has_changed_are_refused(tmp_path: Path) -> None:
    stored = make_predictions("test")
    shifted = Predictions(
        "test", stored.logits, (stored.labels + 1) % 10, stored.indices, stored.classes
    )
    with pytest.raises(UserError, match="no longer contains the images"):
        load_error_images(CONFIG, shifted, tmp_path)


def test_images_that_were_replaced_by_others_of_their_class_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = make_predictions("test")
    ids = np.arange(len(stored.labels)).astype(np.uint64)
    dataset = load_dataset("sketches", data_dir=tmp_path)
    test = replace(dataset.test, ids=np.arange(len(dataset.test)).astype(np.uint64))
    with_ids = replace(dataset, test=test)
    monkeypatch.setattr("fmnist_tui.data.load.load_dataset_for", lambda *_, **__: with_ids)
    assert load_error_images(CONFIG, replace(stored, ids=ids), tmp_path) is not None
    with pytest.raises(UserError, match="no longer contains the images"):
        load_error_images(CONFIG, replace(stored, ids=ids + np.uint64(1)), tmp_path)


@pytest.mark.parametrize("channels", [1, 3])
def test_large_images_are_scaled_down(channels: int) -> None:
    images = np.zeros((3, 200, 200, channels), np.uint8)
    images[1] = 255
    sheet = np.asarray(Image.open(io.BytesIO(contact_sheet(images, 64, 2))))
    assert sheet.shape[:2] == (128, 128)
    assert sheet[:64, 64:].min() == 255
    assert sheet[64:].max() == 0
