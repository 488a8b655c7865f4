"""`last`: the run that started last, by its own record."""

from __future__ import annotations

from pathlib import Path

import pytest

from fmnist_tui.runs import listing
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import resolve
from tests.unit.support import ended, started, write_events


def dated_run(folder: Path, name: str, t: float) -> RunFolder:
    run = RunFolder(folder / name)
    run.path.mkdir()
    write_events(run.events, [started(t=t), ended(t=t + 1)])
    return run


def test_last_is_the_run_that_started_last_whatever_the_local_time_in_its_name(
    tmp_path: Path,
) -> None:
    """The clock was put back between the two, or their time zones differ."""
    dated_run(tmp_path, "2026-10-25_025959_linear_fashion_aaaa", 100.0)
    second = dated_run(tmp_path, "2026-10-25_020001_linear_fashion_bbbb", 200.0)
    assert resolve(tmp_path, "last") == second
    renamed = dated_run(tmp_path, "renamed", 300.0)
    assert resolve(tmp_path, "last") == renamed


def test_last_reads_only_the_runs_that_may_be_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in range(1, 29):
        name = f"2026-10-{day:02}_120000_linear_fashion_{day:04}"
        dated_run(tmp_path, name, 86_400.0 * day)
    read: list[str] = []

    def record(run: RunFolder) -> float:
        read.append(run.id)
        return float(run.id)

    monkeypatch.setattr(listing, "_recorded_start", record)
    assert resolve(tmp_path, "last").id == "0028" and len(read) == 2
