"""Actions on studies and trials: open, kill, stop, promote, start, add a worker."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.containers import Vertical
from textual.widgets import Input, Static

from fmnist_tui.config import gpu_detect
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.sweeps import spec as specs
from fmnist_tui.sweeps import storage
from fmnist_tui.sweeps.storage import StorageLocation
from fmnist_tui.sweeps.study import StudyLedger
from fmnist_tui.tui.base.dialogs import ChoiceDialog, PickerDialog, PromptDialog
from fmnist_tui.tui.state.app_state import AppState
from tests.tui.conftest import OpenDashboard
from tests.tui.support import make_run, record_toasts, wait_until
from tests.tui.sweep.support import StartedJobs, answer, table, table_text, wait_for_rows
from tests.unit.sweeps.support import SEARCH, join_study, make_spec, run_trial


async def test_enter_opens_the_run_of_a_trial(
    open_dashboard: OpenDashboard, ledger: StudyLedger, app_state: AppState, remote_workers: None
) -> None:
    run = make_run(app_state.runs_dir / "trials", splits=("val",))
    trial = ledger.claim()
    ledger.record_run(trial, str(run.path))
    async with open_dashboard("sweep", size=(120, 36)) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 5)
        await pilot.press("enter")
        await wait_until(pilot, lambda: getattr(dashboard.screen, "NAME", "") == "evaluate")
        assert dashboard.selected_run == run


async def test_enter_names_the_machine_of_a_run_that_is_elsewhere(
    open_dashboard: OpenDashboard, ledger: StudyLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.record_run(ledger.claim(), "/far/away/run")
    async with open_dashboard("sweep", size=(120, 36)) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 5)
        toasts = record_toasts(monkeypatch)
        await pilot.press("enter")
        await wait_until(pilot, lambda: bool(toasts))
        assert "is not on this machine: /far/away/run on elsewhere" in toasts[0]
        await pilot.press("down", "enter")
        await wait_until(pilot, lambda: len(toasts) == 2)
        assert "has no run yet: it is failed" in toasts[1]


async def test_x_kills_a_running_trial_after_asking(
    open_dashboard: OpenDashboard, ledger: StudyLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = ledger.claim()
    async with open_dashboard("sweep", size=(120, 36)) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 5)
        toasts = record_toasts(monkeypatch)
        await pilot.press("x")
        assert isinstance(dashboard.screen, ChoiceDialog)
        # The answer that changes nothing is preselected.
        await pilot.press("enter")
        await pilot.pause()
        assert ledger.read_requests(trial) == (False, False)
        await pilot.press("x", "y")
        await wait_until(pilot, lambda: ledger.read_requests(trial)[0])
        await wait_until(pilot, lambda: "kill requested" in " ".join(toasts))
        await pilot.press("down", "x")
        await wait_until(pilot, lambda: "is not running: it is failed" in toasts[-1])


async def test_s_stops_all_workers_after_asking(
    open_dashboard: OpenDashboard, ledger: StudyLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = ledger.claim()
    async with open_dashboard("sweep", size=(120, 36)) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 5)
        toasts = record_toasts(monkeypatch)
        await pilot.press(*"sss")  # held down
        assert isinstance(dashboard.screen, ChoiceDialog)
        question = str(dashboard.screen.query_one(Static).content)
        assert question.endswith("tried again when the sweep continues (w).")
        assert ledger.read_requests(trial) == (False, False)
        await pilot.press("y")
        await wait_until(pilot, lambda: ledger.read_requests(trial)[1])
        await wait_until(pilot, lambda: "stopping 1 trial" in " ".join(toasts))


async def test_p_promotes_a_trial_with_several_seeds(
    open_dashboard: OpenDashboard, ledger: StudyLedger, jobs: StartedJobs, app_state: AppState
) -> None:
    async with open_dashboard("sweep", size=(120, 36)) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 4)
        await pilot.press("down", "down", "p")
        await answer(dashboard, pilot, "none")
        problem = str(dashboard.screen.query_one(Static).content)
        assert problem == "'none' is not a number of seeds"
        # More digits than Python converts to a number.
        await answer(dashboard, pilot, "9" * 5000)
        problem = str(dashboard.screen.query_one(Static).content)
        assert problem == "'9999999999…999999999' is not a number of seeds"
        await answer(dashboard, pilot, "2")
        ((title, words),) = jobs
        assert title == "promote trial 1"
        assert words[:5] == ["sweep", "promote", "search", "--trial=1", "--seeds=2"]
        # The environment names the storage, and the URL may contain a password.
        assert words[5:] == [f"--runs={app_state.runs_dir}", f"--data={app_state.data_dir}"]


async def test_w_adds_a_worker_to_a_study_in_any_storage(
    open_dashboard: OpenDashboard,
    jobs: StartedJobs,
    app_state: AppState,
    tmp_path: Path,
    remote_workers: None,
) -> None:
    other = storage.parse_location(f"journal:{tmp_path}/other.log", app_state.runs_dir)
    run_trial(join_study(other), [0.5])
    folder = RunFolder.create(app_state.runs_dir, "search", "sketches")
    (folder.path / "trials").mkdir()
    folder.config.write_text(specs.to_toml(make_spec(), {"storage": other.public_url}))
    async with open_dashboard("sweep", size=(120, 36)) as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 1)
        await pilot.press("w")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, PromptDialog))
        assert dashboard.screen.query_one(Input).value == "5"
        await pilot.press("enter")
        await pilot.pause()
        ((_, words),) = jobs
        assert words[:4] == ["sweep", "start", "--name=search", "--trials=5"]
        assert words[-1] == f"--storage={other.public_url}"


async def test_n_starts_a_shipped_sweep(open_dashboard: OpenDashboard, jobs: StartedJobs) -> None:
    async with open_dashboard("sweep", size=(120, 36)) as (dashboard, pilot):
        await wait_until(pilot, lambda: "press n to start one" in table_text(dashboard))
        await pilot.press("n")
        assert isinstance(dashboard.screen, PickerDialog)
        await pilot.press(*"two-conv", "enter")
        await answer(dashboard, pilot, "7")
        await answer(dashboard, pilot, "3")
        ((title, words),) = jobs
        assert title == "sweep two-conv"
        assert words[:5] == ["sweep", "start", "two-conv", "--trials=7", "--workers=3"]


async def test_a_sweep_gets_a_worker_for_each_gpu_unless_the_user_says_more(
    open_dashboard: OpenDashboard, jobs: StartedJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_detect, "has_gpu", lambda: True)
    monkeypatch.setattr(gpu_detect, "visible_gpus", lambda: ("0", "1"))
    async with open_dashboard("sweep", size=(120, 36)) as (dashboard, pilot):
        await wait_until(pilot, lambda: "press n to start one" in table_text(dashboard))
        await pilot.press("n", *"two-conv", "enter")
        await answer(dashboard, pilot, "7")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, PromptDialog))
        assert "how many workers share 2 GPUs?" in str(
            dashboard.screen.query_one(Vertical).border_title
        )
        await pilot.press("enter")
        await wait_until(pilot, lambda: bool(jobs))
        assert "--workers=2" in jobs[0][1]


async def test_n_starts_a_sweep_from_a_file_after_reporting_its_errors(
    open_dashboard: OpenDashboard, jobs: StartedJobs, tmp_path: Path, location: StorageLocation,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    path = tmp_path / "mine.toml"
    path.write_text(SEARCH.replace("low = 1e-4", "low = 9.0"))
    async with open_dashboard("sweep", size=(120, 36)) as (dashboard, pilot):
        await wait_until(pilot, lambda: "press n to start one" in table_text(dashboard))
        toasts = record_toasts(monkeypatch)
        await pilot.press("n", *"own", "enter")
        await answer(dashboard, pilot, str(path))
        await wait_until(pilot, lambda: bool(toasts))
        assert "space.lr.low = 9.0: must be below high" in toasts[0]
        path.write_text(SEARCH)
        await answer(dashboard, pilot, str(path))
        await answer(dashboard, pilot, f"2 journal:{tmp_path}/s.log")
        await answer(dashboard, pilot, "1")
        ((_, words),) = jobs
        assert words[:4] == ["sweep", "start", str(path), "--trials=2"]
        assert f"--storage=journal:{tmp_path}/s.log" in words
        # It is shown as soon as it exists.
        run_trial(join_study(location, make_spec(name="zzz")), [0.3])
        run_trial(join_study(location, make_spec(name="mine")), [0.3, 0.4])
        await wait_until(pilot, lambda: "mine" in str(table(dashboard).border_title))
