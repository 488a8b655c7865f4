"""Connections whose dashboards misbehave, and the pool's limit."""

from __future__ import annotations

import asyncio
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from fmnist_tui.serve import connections, dashboard_process
from fmnist_tui.serve.connections import ConnectionPool
from fmnist_tui.serve.dashboard_process import DashboardProcess

Program = Callable[[str], None]

STARTS = 'import sys; out = sys.stdout.buffer; out.write(b"__GANGLION__\\n")\n'
# Ends with its input, but only after all its output has been read
FLOODS = (
    STARTS
    + """
block = b"D" + (1 << 20).to_bytes(4, "big") + b"x" * (1 << 20)
for _ in range(8):
    out.write(block)
    out.flush()
sys.stdin.read()
print("finished", file=sys.stderr)
"""
)
IGNORES_ALL = (
    STARTS
    + """
import signal, subprocess, time
signal.signal(signal.SIGHUP, signal.SIG_IGN)
child = subprocess.Popen([sys.argv[0], "child"]) if "child" not in sys.argv else None
out.write(b"D\\0\\0\\0\\4busy")
out.flush()
time.sleep(600)
"""
)
IGNORES_INPUT = STARTS + "import time; out.flush(); time.sleep(600)"
FAILS = 'import sys; print("fmnist-tui: \\x1b[31mno data\\nat all", file=sys.stderr); sys.exit(1)'


@pytest.fixture(autouse=True)
def default_sighup() -> Iterator[None]:
    """SIGHUP is not ignored, even if nohup started the tests."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Replace the dashboard by this code."""
    python = sys.executable

    def install(code: str) -> None:
        file = tmp_path / "program"
        file.write_text(f"#!{python}\n{code}")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(sys, "executable", str(file))

    monkeypatch.setattr(dashboard_process, "_HANGUP_SECONDS", 0.3)
    return install


async def start_dashboard(messages: list[str]) -> DashboardProcess:
    dashboard = DashboardProcess(messages.append)
    await dashboard.start(["dashboard"], 80, 24)
    return dashboard


async def test_unread_output_does_not_keep_a_dashboard_from_ending(program: Program) -> None:
    program(FLOODS)
    messages: list[str] = []
    dashboard = await start_dashboard(messages)
    output = dashboard.output()
    assert await anext(output) == b"x" * (1 << 20)
    await output.aclose()
    assert await dashboard.stop(20.0)
    assert messages == ["finished"]


async def test_a_dashboard_that_ignores_the_end_of_its_input_gets_a_signal(
    program: Program,
) -> None:
    program(IGNORES_INPUT)
    dashboard = await start_dashboard([])
    assert await dashboard.stop(20.0)
    assert dashboard.pid is not None and not psutil.pid_exists(dashboard.pid)


async def test_a_dashboard_that_ignores_signals_is_killed_with_its_children(
    program: Program,
) -> None:
    program(IGNORES_ALL)
    dashboard = await start_dashboard([])
    output = dashboard.output()
    assert await anext(output) == b"busy"
    await output.aclose()
    assert dashboard.pid is not None
    processes = [psutil.Process(dashboard.pid), *psutil.Process(dashboard.pid).children()]
    assert len(processes) == 2
    assert not await dashboard.stop(0.5)
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert alive == []


async def test_why_a_dashboard_did_not_start_is_shown_without_control_characters(
    program: Program,
) -> None:
    program(FAILS)
    dashboard = await start_dashboard([])
    output = b"".join([block async for block in dashboard.output()])
    assert output.decode() == "fmnist-tui: ␛[31mno data\r\nat all"
    assert await dashboard.stop(5.0)


async def test_a_slot_is_free_once_its_dashboard_has_ended(program: Program) -> None:
    program(IGNORES_INPUT)
    pool = ConnectionPool(1, lambda _: None)
    first = await pool.acquire()
    assert first is not None
    await first.start([], 80, 24)
    states = [pool.is_full]
    assert await pool.acquire() is None
    pool.release(first)
    states.append(pool.is_full)
    assert states == [True, False]
    second = await pool.acquire()
    assert second is not None and second is not first
    assert first.pid is not None and not psutil.pid_exists(first.pid)
    await pool.close(5.0)
    assert await pool.acquire() is None


async def test_waiting_for_a_slot_has_a_limit(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(IGNORES_ALL)
    monkeypatch.setattr(connections, "WAIT_SECONDS", 0.2)
    pool = ConnectionPool(1, lambda _: None)
    dashboard = await pool.acquire()
    assert dashboard is not None
    await dashboard.start([], 80, 24)
    await anext(dashboard.output())
    pool.release(dashboard)
    assert await pool.acquire() is None
    await pool.close(0.0)


async def test_closing_kills_dashboards_that_take_too_long_and_reports_it(program: Program) -> None:
    program(IGNORES_ALL)
    messages: list[str] = []
    pool = ConnectionPool(3, messages.append)
    dashboards = [await pool.acquire() for _ in range(3)]
    for dashboard in dashboards:
        assert dashboard is not None
        await dashboard.start([], 80, 24)
        await anext(dashboard.output())
    pool.release(dashboards[0] or DashboardProcess(messages.append))
    await asyncio.wait_for(pool.close(0.5), 20)
    assert len([line for line in messages if "was killed" in line]) == 3
    assert not [
        dashboard
        for dashboard in dashboards
        if dashboard is not None and psutil.pid_exists(dashboard.pid or 0)
    ]


async def test_input_without_a_character_is_not_passed_on(program: Program) -> None:
    """Neither as a `?`, which would be a key, nor as an empty packet, which would be the end."""
    program(STARTS + "out.flush(); print(sys.stdin.buffer.read(), file=sys.stderr)")
    messages: list[str] = []
    dashboard = await start_dashboard(messages)
    for text in ("", "\ud800", "2"):
        await dashboard.send_input(text)
    assert await dashboard.stop(20.0)
    assert messages == ["b'D\\x00\\x00\\x00\\x012'"]
