"""Visitors whose dashboards behave badly, and the places they take."""

from __future__ import annotations

import asyncio
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from fmnist_tui.serve import connections as rooms
from fmnist_tui.serve import dashboard_process as parts
from fmnist_tui.serve.connections import ConnectionPool
from fmnist_tui.serve.dashboard_process import DashboardProcess

Program = Callable[[str], None]

DRAWS = 'import sys; out = sys.stdout.buffer; out.write(b"__GANGLION__\\n")\n'
# Ends with its input, but only once all it has drawn by then is read.
FLOODS = (
    DRAWS
    + """
block = b"D" + (1 << 20).to_bytes(4, "big") + b"x" * (1 << 20)
for _ in range(8):
    out.write(block)
    out.flush()
sys.stdin.read()
print("that was all", file=sys.stderr)
"""
)
DEAF = (
    DRAWS
    + """
import signal, subprocess, time
signal.signal(signal.SIGHUP, signal.SIG_IGN)
child = subprocess.Popen([sys.argv[0], "child"]) if "child" not in sys.argv else None
out.write(b"D\\0\\0\\0\\4deaf")
out.flush()
time.sleep(600)
"""
)
HEEDS = DRAWS + "import time; out.flush(); time.sleep(600)"
FAILS = 'import sys; print("fmnist-tui: \\x1b[31mno data\\nat all", file=sys.stderr); sys.exit(1)'


@pytest.fixture(autouse=True)
def hanging_up() -> Iterator[None]:
    """The signal is heeded, though the tests may have been begun by nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Have visitors run this instead of a dashboard."""
    python = sys.executable

    def become(code: str) -> None:
        file = tmp_path / "program"
        file.write_text(f"#!{python}\n{code}")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(sys, "executable", str(file))

    monkeypatch.setattr(parts, "_DEAF_SECONDS", 0.3)
    return become


async def begun(told: list[str]) -> DashboardProcess:
    visitor = DashboardProcess(told.append)
    await visitor.start(["dashboard"], 80, 24)
    return visitor


async def test_what_is_drawn_and_not_yet_read_keeps_nobody_from_ending(program: Program) -> None:
    program(FLOODS)
    told: list[str] = []
    visitor = await begun(told)
    screen = visitor.screen()
    assert await anext(screen) == b"x" * (1 << 20)
    await screen.aclose()
    assert await visitor.end(20.0)
    assert told == ["that was all"]


async def test_one_that_does_not_hear_the_end_of_its_input_is_told_by_a_signal(
    program: Program,
) -> None:
    program(HEEDS)
    visitor = await begun([])
    assert await visitor.end(20.0)
    assert visitor.pid is not None and not psutil.pid_exists(visitor.pid)


async def test_one_that_hears_nothing_is_killed_with_what_it_has_started(
    program: Program,
) -> None:
    program(DEAF)
    visitor = await begun([])
    screen = visitor.screen()
    assert await anext(screen) == b"deaf"
    await screen.aclose()
    assert visitor.pid is not None
    family = [psutil.Process(visitor.pid), *psutil.Process(visitor.pid).children()]
    assert len(family) == 2
    assert not await visitor.end(0.5)
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []


async def test_why_a_dashboard_did_not_open_is_shown_without_its_controls(
    program: Program,
) -> None:
    program(FAILS)
    visitor = await begun([])
    shown = b"".join([block async for block in visitor.screen()])
    assert shown.decode() == "fmnist-tui: ␛[31mno data\r\nat all"
    assert await visitor.end(5.0)


async def test_a_place_is_free_once_the_dashboard_has_gone(program: Program) -> None:
    program(HEEDS)
    house = ConnectionPool(1, lambda _: None)
    first = await house.admit()
    assert first is not None
    await first.start([], 80, 24)
    states = [house.is_full]
    assert await house.admit() is None
    house.dismiss(first)
    states.append(house.is_full)
    assert states == [True, False]
    second = await house.admit()
    assert second is not None and second is not first
    assert first.pid is not None and not psutil.pid_exists(first.pid)
    await house.close(5.0)
    assert await house.admit() is None


async def test_nobody_waits_for_a_place_for_ever(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(DEAF)
    monkeypatch.setattr(rooms, "WAIT_SECONDS", 0.2)
    house = ConnectionPool(1, lambda _: None)
    visitor = await house.admit()
    assert visitor is not None
    await visitor.start([], 80, 24)
    await anext(visitor.screen())
    house.dismiss(visitor)
    assert await house.admit() is None
    await house.close(0.0)


async def test_closing_kills_those_that_take_too_long_and_says_so(program: Program) -> None:
    program(DEAF)
    told: list[str] = []
    house = ConnectionPool(3, told.append)
    visitors = [await house.admit() for _ in range(3)]
    for visitor in visitors:
        assert visitor is not None
        await visitor.start([], 80, 24)
        await anext(visitor.screen())
    house.dismiss(visitors[0] or DashboardProcess(told.append))
    await asyncio.wait_for(house.close(0.5), 20)
    assert len([line for line in told if "was killed" in line]) == 3
    assert not [v for v in visitors if v is not None and psutil.pid_exists(v.pid or 0)]
