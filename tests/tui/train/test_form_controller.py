"""What the dialogs of the form accept."""

from __future__ import annotations

import pytest

from fmnist_tui.tui.screens.train.form_controller import check_seeds


@pytest.mark.parametrize("text", ["", "  ", "2", " 64 ", "0000000003"])
def test_seeds_in_range_are_accepted_and_empty_input_cancels(text: str) -> None:
    assert not check_seeds(text)


@pytest.mark.parametrize("text", ["1", "65", "-3", "2.5", "x", "9" * 5000, "000000003999"])
def test_other_numbers_of_seeds_are_rejected(text: str) -> None:
    assert "2 to 64 seeds" in check_seeds(text)
