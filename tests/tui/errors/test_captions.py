"""What is written below the images on Errors."""

from __future__ import annotations

import numpy as np
import pytest

from fmnist_tui.analysis.predictions import Misclassified
from fmnist_tui.config.dataset_catalog import GARMENTS
from fmnist_tui.render.contact_sheet import FULL, SMALL, TINY
from fmnist_tui.tui.screens.errors.captions import build_tile
from fmnist_tui.tui.screens.errors.filters import ALL_ERRORS, Pair


@pytest.mark.parametrize(
    ("pair", "columns", "lines"),
    [
        (ALL_ERRORS, FULL, ("Sneaker → Ankle boot", "97 %  #9238")),
        (ALL_ERRORS, SMALL, ("Sneaker #9238", "→Boot 97%")),
        (ALL_ERRORS, TINY, ("Sn…→Bo…", "97 %  #9238")),
        ((7, None), SMALL, ("→ Boot", "97 %  #9238")),
        ((None, 9), SMALL, ("Sneaker →", "97 %  #9238")),
        ((7, 9), SMALL, ("97 %", "#9238")),
    ],
)
def test_a_caption_has_no_name_that_its_pair_says_and_cuts_none_where_both_fit(
    pair: Pair, columns: int, lines: tuple[str, str]
) -> None:
    miss = Misclassified(
        row=0, index=9238, true=7, predicted=9, probability=0.97, true_probability=0.01
    )
    tile = build_tile(miss, GARMENTS, pair, columns, np.zeros((28, 28), np.uint8))
    assert (tile.caption.plain, tile.note.plain) == lines
