"""Stored predictions are read in bounded memory, whatever a file holds."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from fmnist_tui.analysis.predictions import SIZE_LIMIT, Predictions
from fmnist_tui.util.errors import UserError


def test_predictions_that_unpack_to_more_than_any_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "test.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("logits.npy", "w") as part,
    ):
        for _ in range(0, SIZE_LIMIT + 1, 1 << 24):
            part.write(bytes(1 << 24))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(UserError, match=r"damaged predictions \(more than 256 MB\)"):
        Predictions.load(path)


def test_a_file_of_predictions_is_not_read_beyond_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "test.npz"
    with path.open("wb") as file:
        file.truncate(100 * SIZE_LIMIT)
    with pytest.raises(UserError, match="more than 256 MB"):
        Predictions.load(path)
