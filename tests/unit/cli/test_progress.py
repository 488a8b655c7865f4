"""How far several long things are that are one together."""

from __future__ import annotations

import pytest

from fmnist_tui.cli.support.progress import WHOLE, ProgressPart


def test_a_part_of_a_part_is_a_part_of_the_whole() -> None:
    assert [WHOLE.split(at, 2).split(inner, 3) for at in range(2) for inner in range(3)] == [
        ProgressPart(place, 6) for place in range(6)
    ]


def test_the_whole_never_goes_back_when_a_part_begins_anew() -> None:
    said: list[tuple[float, float, str]] = []
    for at in range(3):
        tell = ProgressPart(at, 3).tell(lambda *told: said.append(told))
        tell(0, 0, "looking")
        tell(5, 10, "half")
        tell(10, 10, "all")
    assert [done for done, _, _ in said] == pytest.approx([0, 0.5, 1, 1, 1.5, 2, 2, 2.5, 3])
    assert {total for _, total, _ in said} == {3}
    assert said[4][2] == "2 of 3: half"


def test_what_is_one_alone_is_told_as_it_is() -> None:
    said: list[tuple[float, float, str]] = []
    WHOLE.tell(lambda *told: said.append(told))(3, 10, "x")
    assert said == [(3, 10, "x")]
