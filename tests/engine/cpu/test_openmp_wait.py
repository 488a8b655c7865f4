"""OpenMP threads spin or sleep while they wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import torch

from fmnist_tui.engine.cpu import openmp_wait
from fmnist_tui.engine.cpu.openmp_wait import OpenMPWait

THREAD = "openmp-wait"


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenMPWait]:
    for name in openmp_wait._SETTINGS:
        monkeypatch.delenv(name, raising=False)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    wait = OpenMPWait()
    wait.set_brief(True, 2)
    if not wait.is_brief:
        pytest.skip("torch does not use GNU's OpenMP library here")
    yield wait
    wait.set_brief(False, 2)
    torch.set_num_threads(threads)


def cpu_seconds_of_waiting() -> float:
    """CPU time of threads that have nothing to do for a while after each of 40 calls."""
    values = torch.zeros(1 << 20)
    start = time.process_time()
    for _ in range(40):
        values.add_(1)
        time.sleep(0.01)  # the time in which the second thread waits for work
    return time.process_time() - start


def test_brief_waiting_takes_much_less_cpu_time_and_can_be_ended(wait: OpenMPWait) -> None:
    brief = cpu_seconds_of_waiting()
    wait.set_brief(False, 2)
    usual = cpu_seconds_of_waiting()
    wait.set_brief(True, 2)
    again = cpu_seconds_of_waiting()
    assert max(brief, again) < usual / 1.5, (brief, usual, again)


def test_the_sleeping_threads_end_with_brief_waiting(wait: OpenMPWait) -> None:
    assert [thread.name for thread in threading.enumerate()].count(THREAD) == 1
    wait.set_brief(True, 2)
    assert [thread.name for thread in threading.enumerate()].count(THREAD) == 1
    wait.set_brief(True, 1)
    assert THREAD not in [thread.name for thread in threading.enumerate()]


def test_what_the_user_has_set_is_left_alone(
    wait: OpenMPWait, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait.set_brief(False, 2)
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    wait.set_brief(True, 2)
    assert not wait.is_brief
