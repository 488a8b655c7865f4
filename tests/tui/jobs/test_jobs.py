"""Jobs: commands that the dashboard runs in other processes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fmnist_tui.tui.base.dialogs import ChoiceDialog, TextDialog
from fmnist_tui.tui.jobs.screen import JobsScreen, format_job
from fmnist_tui.tui.state.job import CANCELLED, DONE, FAILED, RUNNING, BackgroundJob, end_all
from fmnist_tui.tui.widgets.line_table import LineTable
from fmnist_tui.util.errors import UserError
from tests.tui.conftest import OpenDashboard
from tests.tui.support import record_toasts, wait_until

SCRIPT = """
import json, signal, sys, time
def report(done, total, what):
    print(json.dumps({"done": done, "total": total, "what": what}), file=sys.stderr, flush=True)
def interrupted(*_):
    sys.exit(143)
signal.signal(signal.SIGTERM, interrupted)
kind = sys.argv[1]
report(1, 4, "first")
print("a line of words", file=sys.stderr, flush=True)
if kind == "long":
    time.sleep(60)
if kind == "ignores":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    report(2, 4, "ignoring")
    time.sleep(60)
if kind == "fails":
    print("fmnist-tui: the disk is full", file=sys.stderr)
    sys.exit(1)
if kind == "text":
    print("not JSON")
    sys.exit(0)
report(4, 4, "last")
print(json.dumps({"argv": sys.argv[1:]}))
"""


@pytest.fixture(autouse=True)
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Replace the program by a script that behaves as its first argument says."""
    package = tmp_path / "fmnist_tui"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(SCRIPT)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    before = Path.cwd()
    monkeypatch.chdir(tmp_path)
    yield
    monkeypatch.chdir(before)


def wait_for_end(job: BackgroundJob, seconds: float = 60.0) -> BackgroundJob:
    deadline = time.monotonic() + seconds
    while job.status == RUNNING and time.monotonic() < deadline:
        job.poll()
        time.sleep(0.01)
    return job


def wait_for_step(job: BackgroundJob, what: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while job.what != what and time.monotonic() < deadline:
        job.poll()
        time.sleep(0.01)
    assert job.what == what


def test_a_job_has_the_json_and_the_lines_that_its_command_prints() -> None:
    job = BackgroundJob("export", ["works", "--out", "x y"])
    job.start()
    wait_for_end(job)
    assert job.status == DONE
    assert job.document == {"argv": ["works", "--out", "x y", "--json"]}
    assert (job.done, job.total) == (4, 4)
    assert list(job.lines) == ["a line of words"]


def test_a_failed_command_has_its_error_in_one_line() -> None:
    job = BackgroundJob("export", ["fails"])
    job.start()
    assert wait_for_end(job).status == FAILED
    assert job.error == "the disk is full"


def test_output_that_is_not_json_is_a_failure() -> None:
    job = BackgroundJob("export", ["text"])
    job.start()
    assert wait_for_end(job).status == FAILED
    assert "not a JSON document" in job.error


def test_a_cancelled_job_stops_its_command() -> None:
    job = BackgroundJob("sweep", ["long"])
    job.start()
    wait_for_step(job, "first")
    job.cancel()
    assert job.what == "stopping"
    assert wait_for_end(job).status == CANCELLED


def test_a_job_cancelled_before_its_start_does_not_run() -> None:
    job = BackgroundJob("sweep", ["long"])
    job.cancel()
    job.start()
    assert wait_for_end(job).status == CANCELLED


def test_a_command_that_cannot_be_started_is_an_error() -> None:
    job = BackgroundJob("sweep", ["a\0b"])
    with pytest.raises(UserError, match="cannot start a process"):
        job.start()
    assert job.status == FAILED
    assert job.error.startswith("cannot start a process: ")


async def test_a_job_that_cannot_start_has_its_title_once_in_the_toast(
    open_dashboard: OpenDashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_dashboard("data") as (dashboard, pilot):
        toasts = record_toasts(monkeypatch)
        dashboard.start_job("sweep of rates", ["a\0b"])
        await wait_until(pilot, lambda: len(toasts) == 2)
        (job,) = dashboard.app_state.jobs
        assert toasts[1] == f"sweep of rates: {job.error}"


def test_a_command_that_ignores_the_signal_is_killed_by_a_second_cancel() -> None:
    job = BackgroundJob("sweep", ["ignores"])
    job.start()
    wait_for_step(job, "ignoring")
    job.cancel()
    assert not job.wait(0.3)
    job.cancel()
    assert job.wait(60)
    assert job.status == CANCELLED


def test_the_time_left_follows_the_speed_of_the_current_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = BackgroundJob("export", [])
    now = 1000.0
    monkeypatch.setattr("fmnist_tui.tui.state.job.time.monotonic", lambda: now)
    job._parse_line('{"done": 0, "total": 10, "what": "a"}')
    now += 2
    job._parse_line('{"done": 4, "total": 10, "what": "a"}')
    assert job.seconds_left == pytest.approx(3.0)
    job._parse_line('{"done": 0, "total": 100, "what": "b"}')
    assert job.seconds_left is None
    assert job.share == 0


@pytest.mark.parametrize("line", ["{", '{"done": 1}', '{"done": "x", "total": 1, "what": ""}'])
def test_a_line_that_is_not_progress_is_kept_as_text(line: str) -> None:
    job = BackgroundJob("export", [])
    job._parse_line(line)
    assert list(job.lines) == [line]


async def test_the_callback_gets_the_json_of_a_job(
    open_dashboard: OpenDashboard,
) -> None:
    documents: list[Any] = []
    async with open_dashboard("data") as (dashboard, pilot):
        dashboard.start_job("export", ["works"], documents.append)
        await wait_until(pilot, lambda: bool(documents))
        assert documents[0]["argv"][0] == "works"
        assert dashboard.jobs.summary() == ""


async def test_the_jobs_dialog_lists_jobs_and_cancels_the_selected_one(
    open_dashboard: OpenDashboard,
) -> None:
    errors: list[str] = []
    async with open_dashboard("data") as (dashboard, pilot):
        dashboard.start_job("sweep of rates", ["long"], None, errors.append)
        await wait_until(pilot, lambda: dashboard.app_state.jobs[0].what == "first")
        assert dashboard.jobs.summary() == "sweep of rates 25%"
        assert "sweep of rates" in dashboard.status_line().plain
        await pilot.press("E")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, JobsScreen))
        table = dashboard.screen.query_one(LineTable)

        def listed() -> list[str]:
            """The rows, without the times of messages."""
            return [row.plain.split("  ", 1)[-1] for row in table.rows.values()]

        await wait_until(pilot, lambda: bool(table.rows))
        started = "sweep of rates: started (E shows it)"
        assert next(iter(table.rows.values())).plain.startswith("● sweep of rates")
        assert listed()[1:] == [started]
        await pilot.press("enter")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, TextDialog))
        await pilot.press("escape")
        await pilot.press("x")
        await wait_until(pilot, lambda: errors == ["cancelled"])
        await pilot.press("c")
        assert listed() == ["▲ sweep of rates: cancelled", started]
        await pilot.press("escape")
        assert not isinstance(dashboard.screen, JobsScreen)


async def test_the_cursor_stays_on_its_job_when_others_are_cleared(
    open_dashboard: OpenDashboard,
) -> None:
    async with open_dashboard("data") as (dashboard, pilot):
        dashboard.start_job("ended", ["works"])
        await wait_until(pilot, lambda: not dashboard.app_state.running_jobs)
        dashboard.start_job("mine", ["long"])
        dashboard.start_job("another", ["long"])
        await wait_until(
            pilot, lambda: all(job.what == "first" for job in dashboard.app_state.running_jobs)
        )
        await pilot.press("E")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, JobsScreen))
        table = dashboard.screen.query_one(LineTable)
        # Below the jobs are three starts and an end.
        await wait_until(pilot, lambda: len(table.rows) == 3 + 4)
        await pilot.press("down", "c")
        await wait_until(pilot, lambda: len(table.rows) == 2 + 4)
        await pilot.press("x")
        await wait_until(pilot, lambda: len(dashboard.app_state.running_jobs) == 1)
        assert dashboard.app_state.running_jobs[0].title == "another"
        end_all(dashboard.app_state.running_jobs)


@pytest.mark.parametrize(("key", "to_end"), [("e", 1), ("g", 0)])
async def test_quitting_asks_whether_to_stop_running_jobs(
    open_dashboard: OpenDashboard, key: str, to_end: int
) -> None:
    async with open_dashboard("data") as (dashboard, pilot):
        dashboard.start_job("report", ["long"])
        await wait_until(pilot, lambda: dashboard.app_state.jobs[0].what == "first")
        job = dashboard.app_state.jobs[0]
        await pilot.press("q")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, ChoiceDialog))
        await pilot.press(key)
        await asyncio.sleep(0)
    assert len(dashboard.app_state.jobs_to_end) == to_end
    end_all([job])
    assert job.status == CANCELLED


@pytest.mark.parametrize("has_ended", [False, True])
async def test_ctrl_c_in_the_question_about_jobs_quits_and_ends_those_that_run(
    open_dashboard: OpenDashboard, has_ended: bool
) -> None:
    async with open_dashboard("data") as (dashboard, pilot):
        dashboard.start_job("report", ["long"])
        await wait_until(pilot, lambda: dashboard.app_state.jobs[0].what == "first")
        job = dashboard.app_state.jobs[0]
        await pilot.press("ctrl+c")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, ChoiceDialog))
        if has_ended:
            job.cancel()
            await wait_until(pilot, lambda: not dashboard.app_state.running_jobs)
        await pilot.press("ctrl+c")
        await asyncio.sleep(0)
    assert dashboard.return_value == 130
    assert dashboard.app_state.jobs_to_end == ([] if has_ended else [job])
    end_all([job])


def test_ending_several_jobs_waits_for_each() -> None:
    jobs = [BackgroundJob("a", ["long"]), BackgroundJob("b", ["long"])]
    for job in jobs:
        job.start()
        wait_for_step(job, "first")
    end_all(jobs)
    assert [job.status for job in jobs] == [CANCELLED] * 2


def test_a_row_of_the_list_shows_state_progress_and_error() -> None:
    job = BackgroundJob("export", [])
    job._parse_line('{"done": 1, "total": 2, "what": "checking"}')
    assert "50%" in format_job(job, 100).plain
    assert "checking" in format_job(job, 100).plain
    job.status = FAILED
    job.lines.append("fmnist-tui: no room")
    assert format_job(job, 100).plain.startswith("✗")
    assert "no room" in format_job(job, 100).plain
