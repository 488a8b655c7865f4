"""The progress of several parts of one job."""

from __future__ import annotations

import pytest

from fmnist_tui.cli.support.progress import WHOLE, ProgressPart


def test_a_part_of_a_part_is_a_part_of_the_whole() -> None:
    parts = [WHOLE.split(outer, 2).split(inner, 3) for outer in range(2) for inner in range(3)]
    assert parts == [ProgressPart(index, 6) for index in range(6)]


def test_progress_does_not_go_back_when_the_next_part_starts() -> None:
    reports: list[tuple[float, float, str]] = []
    for index in range(3):
        on_progress = ProgressPart(index, 3).scale(lambda *report: reports.append(report))
        on_progress(0, 0, "looking")
        on_progress(5, 10, "half")
        on_progress(10, 10, "all")
    assert [done for done, _, _ in reports] == pytest.approx([0, 0.5, 1, 1, 1.5, 2, 2, 2.5, 3])
    assert {total for _, total, _ in reports} == {3}
    assert reports[4][2] == "2 of 3: half"


def test_the_progress_of_a_single_part_is_not_changed() -> None:
    reports: list[tuple[float, float, str]] = []
    WHOLE.scale(lambda *report: reports.append(report))(3, 10, "x")
    assert reports == [(3, 10, "x")]
