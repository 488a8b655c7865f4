"""Errands: commands of ours that other processes do for the dashboard."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fmnist_tui.tui.base.dialogs import ChoiceDialog, TextDialog
from fmnist_tui.tui.jobs.screen import JobsScreen, format_job
from fmnist_tui.tui.state import job
from fmnist_tui.tui.state.job import BackgroundJob
from fmnist_tui.tui.widgets.line_table import LineTable
from fmnist_tui.util.errors import UserError
from tests.tui.conftest import OpenDashboard
from tests.tui.support import wait_until

SCRIPT = """
import json, signal, sys, time
def tell(done, total, what):
    print(json.dumps({"done": done, "total": total, "what": what}), file=sys.stderr, flush=True)
def interrupted(*_):
    sys.exit(143)
signal.signal(signal.SIGTERM, interrupted)
kind = sys.argv[1]
tell(1, 4, "first")
print("a line of words", file=sys.stderr, flush=True)
if kind == "long":
    time.sleep(60)
if kind == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    tell(2, 4, "deaf")
    time.sleep(60)
if kind == "fails":
    print("fmnist-tui: the disk is full", file=sys.stderr)
    sys.exit(1)
if kind == "babbles":
    print("no document")
    sys.exit(0)
tell(4, 4, "last")
print(json.dumps({"argv": sys.argv[1:]}))
"""


@pytest.fixture(autouse=True)
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In place of the program a script that behaves in ways a command can."""
    package = tmp_path / "fmnist_tui"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(SCRIPT)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    before = Path.cwd()
    monkeypatch.chdir(tmp_path)
    yield
    monkeypatch.chdir(before)


def finished(one: BackgroundJob, seconds: float = 20.0) -> BackgroundJob:
    until = time.monotonic() + seconds
    while one.status == job.RUNNING and time.monotonic() < until:
        one.poll()
        time.sleep(0.01)
    return one


def told(one: BackgroundJob, what: str, seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while one.what != what and time.monotonic() < until:
        one.poll()
        time.sleep(0.01)
    assert one.what == what


def test_what_a_command_prints_is_its_document_and_its_lines_are_kept() -> None:
    one = BackgroundJob("export", ["works", "--out", "x y"])
    one.start()
    finished(one)
    assert one.status == job.DONE
    assert one.document == {"argv": ["works", "--out", "x y", "--json"]}
    assert (one.done, one.total) == (4, 4)
    assert list(one.lines) == ["a line of words"]


def test_a_command_that_fails_says_why_in_one_line() -> None:
    one = BackgroundJob("export", ["fails"])
    one.start()
    assert finished(one).status == job.FAILED
    assert one.error == "the disk is full"


def test_output_that_is_no_document_is_a_failure() -> None:
    one = BackgroundJob("export", ["babbles"])
    one.start()
    assert finished(one).status == job.FAILED
    assert "no JSON" in one.error


def test_a_cancelled_command_gives_up() -> None:
    one = BackgroundJob("sweep", ["long"])
    one.start()
    told(one, "first")
    one.cancel()
    assert one.what == "stopping"
    assert finished(one).status == job.CANCELLED


def test_what_is_cancelled_before_it_has_begun_does_not_go_on() -> None:
    one = BackgroundJob("sweep", ["long"])
    one.cancel()
    one.start()
    assert finished(one).status == job.CANCELLED


def test_a_command_that_cannot_be_started_says_so() -> None:
    one = BackgroundJob("sweep", ["a\0b"])
    with pytest.raises(UserError, match="cannot start a process"):
        one.start()
    assert one.status == job.FAILED


def test_a_command_deaf_to_that_is_ended_when_asked_again() -> None:
    one = BackgroundJob("sweep", ["deaf"])
    one.start()
    told(one, "deaf")
    one.cancel()
    assert not one.wait(0.3)
    one.cancel()
    assert one.wait(10)
    assert one.status == job.CANCELLED


def test_time_left_follows_the_pace_of_the_stage_that_is_going_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = BackgroundJob("export", [])
    now = 1000.0
    monkeypatch.setattr("fmnist_tui.tui.state.job.time.monotonic", lambda: now)
    one._parse_line('{"done": 0, "total": 10, "what": "a"}')
    now += 2
    one._parse_line('{"done": 4, "total": 10, "what": "a"}')
    assert one.left == pytest.approx(3.0)
    one._parse_line('{"done": 0, "total": 100, "what": "b"}')
    assert one.left is None
    assert one.share == 0


@pytest.mark.parametrize("said", ["{", '{"done": 1}', '{"done": "x", "total": 1, "what": ""}'])
def test_a_line_that_is_no_step_is_a_line(said: str) -> None:
    one = BackgroundJob("export", [])
    one._parse_line(said)
    assert list(one.lines) == [said]


async def test_the_dashboard_gives_the_document_to_whoever_asked(
    open_dashboard: OpenDashboard,
) -> None:
    got: list[Any] = []
    async with open_dashboard("data") as (dashboard, pilot):
        dashboard.start_job("export", ["works"], got.append)
        await wait_until(pilot, lambda: bool(got))
        assert got[0]["argv"][0] == "works"
        assert dashboard.jobs.summary() == ""


async def test_the_list_shows_errands_and_cancels_the_chosen_one(
    open_dashboard: OpenDashboard,
) -> None:
    why: list[str] = []
    async with open_dashboard("data") as (dashboard, pilot):
        dashboard.start_job("sweep of rates", ["long"], None, why.append)
        await wait_until(pilot, lambda: dashboard.app_state.jobs[0].what == "first")
        assert dashboard.jobs.summary() == "sweep of rates 25%"
        assert "sweep of rates" in dashboard.status_line().plain
        await pilot.press("E")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, JobsScreen))
        table = dashboard.screen.query_one(LineTable)
        await wait_until(pilot, lambda: table.row_count == 1)
        await pilot.press("enter")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, TextDialog))
        await pilot.press("escape")
        await pilot.press("x")
        await wait_until(pilot, lambda: why == ["cancelled"])
        await pilot.press("c")
        assert table.row_count == 0
        await pilot.press("escape")
        assert not isinstance(dashboard.screen, JobsScreen)


async def test_the_cursor_stays_with_its_errand_when_others_are_cleared(
    open_dashboard: OpenDashboard,
) -> None:
    async with open_dashboard("data") as (dashboard, pilot):
        dashboard.start_job("ended", ["works"])
        await wait_until(pilot, lambda: not dashboard.app_state.running_jobs)
        dashboard.start_job("mine", ["long"])
        dashboard.start_job("another", ["long"])
        await wait_until(
            pilot, lambda: all(one.what == "first" for one in dashboard.app_state.running_jobs)
        )
        await pilot.press("E")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, JobsScreen))
        table = dashboard.screen.query_one(LineTable)
        await wait_until(pilot, lambda: table.row_count == 3)
        await pilot.press("down", "c", "x")
        await wait_until(pilot, lambda: len(dashboard.app_state.running_jobs) == 1)
        assert dashboard.app_state.running_jobs[0].title == "another"
        job.end_all(dashboard.app_state.running_jobs)


@pytest.mark.parametrize(("key", "unwanted"), [("s", 1), ("g", 0)])
async def test_leaving_asks_what_becomes_of_errands(
    open_dashboard: OpenDashboard, key: str, unwanted: int
) -> None:
    async with open_dashboard("data") as (dashboard, pilot):
        dashboard.start_job("report", ["long"])
        await wait_until(pilot, lambda: dashboard.app_state.jobs[0].what == "first")
        one = dashboard.app_state.jobs[0]
        await pilot.press("q")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, ChoiceDialog))
        await pilot.press(key)
        await asyncio.sleep(0)
    assert len(dashboard.app_state.jobs_to_end) == unwanted
    job.end_all([one])
    assert one.status == job.CANCELLED


def test_ending_many_waits_for_each() -> None:
    both = [BackgroundJob("a", ["long"]), BackgroundJob("b", ["long"])]
    for one in both:
        one.start()
        told(one, "first")
    job.end_all(both)
    assert [one.status for one in both] == [job.CANCELLED] * 2


def test_a_line_of_the_list_tells_state_share_and_what_is_wrong() -> None:
    one = BackgroundJob("export", [])
    one._parse_line('{"done": 1, "total": 2, "what": "checking"}')
    assert "50%" in format_job(one, 100).plain
    assert "checking" in format_job(one, 100).plain
    one.status = job.FAILED
    one.lines.append("fmnist-tui: no room")
    assert format_job(one, 100).plain.startswith("✗")
    assert "no room" in format_job(one, 100).plain
