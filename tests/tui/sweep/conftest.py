"""Studies to show, and the jobs that the Sweep screen starts."""

from __future__ import annotations

import pytest

from fmnist_tui.sweeps import storage
from fmnist_tui.sweeps import study as studies
from fmnist_tui.sweeps.storage import StorageLocation
from fmnist_tui.sweeps.study import StudyLedger
from fmnist_tui.tui.app import Dashboard
from fmnist_tui.tui.screens.sweep import screen as sweep_screen
from fmnist_tui.tui.state.app_state import AppState
from tests.tui.sweep.support import StartedJobs
from tests.unit.sweeps.support import join_study, run_trial


@pytest.fixture(autouse=True)
def location(app_state: AppState, monkeypatch: pytest.MonkeyPatch) -> StorageLocation:
    """Studies are in a journal file, which is faster to create than a database."""
    monkeypatch.setattr(sweep_screen.SweepScreen, "REFRESH_SECONDS", 0.05)
    monkeypatch.setenv(storage.VARIABLE, f"journal:{app_state.runs_dir}/studies.log")
    return storage.parse_location(None, app_state.runs_dir)


@pytest.fixture
def remote_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """All workers appear to be on another machine."""
    other = {**studies._this_process(), "host": "elsewhere"}
    monkeypatch.setattr(studies, "_this_process", lambda: other)


@pytest.fixture
def ledger(location: StorageLocation, remote_workers: None) -> StudyLedger:
    """A study with three complete trials, of which the second is the best, and a failed one."""
    ledger = join_study(location)
    for values in ([0.5, 0.6], [0.6, 0.8], [0.4, 0.7]):
        run_trial(ledger, values)
    ledger.end(ledger.claim(), "failed", why="the loss stopped being a number")
    return ledger


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> StartedJobs:
    """Records the jobs that the dashboard starts, instead of starting them."""
    jobs: StartedJobs = []
    monkeypatch.setattr(
        Dashboard, "start_job", lambda self, title, words, *callbacks: jobs.append((title, words))
    )
    return jobs
