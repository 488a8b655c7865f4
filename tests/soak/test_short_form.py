"""A few trials of every concern; `make soak` makes them in full."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.concern import Concern, Tally, load_concerns, spread

CONCERNS = [concern for concern in load_concerns() if concern.short]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("concern", CONCERNS, ids=lambda concern: concern.name)
def test_a_few_trials_of_a_concern_lose_nothing(concern: Concern, tmp_path: Path) -> None:
    tally = Tally(tmp_path)
    concern.run(tally, concern.short)
    if tally.skipped and not tally.lost:
        pytest.skip("; ".join(tally.skipped))
    assert tally.tried >= concern.short > 0
    assert tally.lost == []


def test_a_trial_that_raises_is_counted_as_lost(tmp_path: Path) -> None:
    tally = Tally(tmp_path)
    with tally.trial("good"):
        pass
    with tally.trial("bad"):
        assert not tally.folder.exists(), "gone"
    assert (tally.tried, tally.survived) == (2, 1)
    assert tally.lost[0].startswith("bad: gone")


@pytest.mark.parametrize(
    ("count", "expected"), [(1, "a"), (2, "ac"), (4, "abcd"), (6, "abcdab")], ids=str
)
def test_trials_are_spread_over_all_cases(count: int, expected: str) -> None:
    assert "".join(spread("abcd", count)) == expected
