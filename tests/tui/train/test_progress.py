"""The figures of a run as lines of text."""

from __future__ import annotations

from fmnist_tui.tui.screens.train.progress import wrap_parts


def test_a_part_longer_than_a_line_is_broken_between_words() -> None:
    reason = "the loss never falls between 1e-06 and 0.073 (0.325 at first)"
    lines = wrap_parts(["step 3", reason, "enter uses it"], 30)
    assert max(map(len, lines)) <= 30
    assert " ".join(lines) == f"step 3 {reason}  enter uses it"
