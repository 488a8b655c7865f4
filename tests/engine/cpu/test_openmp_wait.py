"""OpenMP threads spin or sleep while they wait."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from fmnist_tui.engine.cpu import openmp_wait
from fmnist_tui.engine.cpu.machine import usable_cpus
from fmnist_tui.engine.cpu.openmp_wait import OpenMPWait
from tests.unit.support import start_python

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


SCRIPT = """
import time
import torch
from fmnist_tui.engine.cpu.openmp_wait import OpenMPWait

def cpu_seconds_of_waiting():
    values = torch.zeros(1 << 20)
    start = time.process_time()
    for _ in range(40):
        values.add_(1)
        time.sleep(0.01)  # the time in which the second thread waits for work
    return time.process_time() - start

torch.set_num_threads(2)
wait = OpenMPWait()
for brief in (True, False, True):
    wait.set_brief(brief, 2)
    print(cpu_seconds_of_waiting())
"""


@pytest.mark.skipif(len(usable_cpus()) < 2, reason="needs two CPUs")
def test_brief_waiting_takes_much_less_cpu_time_and_can_be_ended(wait: OpenMPWait) -> None:
    # In a process of its own: teams of other threads change how this one waits.
    process = start_python(SCRIPT)
    output, _ = process.communicate(timeout=60)
    brief, usual, again = map(float, output.split())
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
