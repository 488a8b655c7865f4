"""How many threads are used as other programs come and go."""

from __future__ import annotations

import os
import time

from fmnist_tui.engine.cpu.sharing import CpuSharing, CpuTimes, read_cpu_times


class Machine:
    """CPUs whose use by other programs is set, in seconds of its own clock."""

    def __init__(self, cpus: int, limit: int | None = None) -> None:
        self.t = self.total = self.own = 0.0
        self.sharing = CpuSharing(limit or cpus, cpus, self.read)
        self.sharing.update()

    def read(self) -> CpuTimes:
        return CpuTimes(self.t, self.total, self.own)

    def run(self, seconds: float, others: float, own: float = 1.0) -> list[int]:
        """The number of threads after each second."""
        counts = []
        for _ in range(round(seconds)):
            self.t += 1
            self.total += others + own
            self.own += own
            self.sharing.update()
            counts.append(self.sharing.threads)
        return counts


def test_alone_every_cpu_has_a_thread() -> None:
    machine = Machine(8)
    assert set(machine.run(20, others=0.1, own=8)) == {8}
    assert not machine.sharing.are_contended(8)


def test_a_busy_program_takes_a_thread_away_and_gives_it_back_when_it_ends() -> None:
    machine = Machine(2)
    machine.run(10, others=0.0, own=2)
    # Two threads and a busy loop share two CPUs: the loop gets two thirds of one at least.
    assert machine.run(3, others=0.7)[-1] == 1
    assert set(machine.run(20, others=1.0)) == {1}
    assert machine.run(9, others=0.0)[-1] == 2


def test_more_programs_than_cpus_leave_one_thread() -> None:
    machine = Machine(2)
    assert machine.run(3, others=1.9, own=0.1)[-1] == 1


def test_a_large_machine_keeps_a_thread_for_each_free_cpu() -> None:
    machine = Machine(16)
    assert machine.run(4, others=3.7, own=12)[-1] == 12
    assert machine.run(12, others=1.0, own=12)[-1] == 15


def test_programs_on_cpus_beyond_a_quota_take_no_thread_away() -> None:
    machine = Machine(16, limit=2)
    assert set(machine.run(5, others=10.0, own=2)) == {2}
    assert not machine.sharing.are_contended(2)


def test_a_load_that_comes_and_goes_within_seconds_does_not_change_the_number_each_time() -> None:
    machine = Machine(2)
    machine.run(3, others=1.0)
    counts = [count for _ in range(10) for count in machine.run(1, 1.0) + machine.run(2, 0.0)]
    assert set(counts) == {1}


def test_threads_are_contended_as_soon_as_a_part_of_a_cpu_is_missing() -> None:
    machine = Machine(2)
    machine.run(3, others=0.3)
    assert machine.sharing.threads == 2
    assert machine.sharing.are_contended(2)
    assert not machine.sharing.are_contended(1)


def test_a_measurement_of_long_ago_is_not_used() -> None:
    machine = Machine(2)
    machine.run(3, others=1.0)
    machine.t += 3600
    machine.sharing.update()
    assert machine.sharing.others is None


def test_without_measurements_all_cpus_are_used() -> None:
    sharing = CpuSharing(4, 4, lambda: None)
    sharing.update()
    assert (sharing.threads, sharing.others, sharing.are_contended(4)) == (4, None, False)


def test_the_system_tells_the_cpu_time_of_this_process() -> None:
    before = read_cpu_times()
    deadline = time.process_time() + 0.2
    while time.process_time() < deadline:
        os.getpid()
    after = read_cpu_times()
    assert before is not None
    assert after is not None
    assert after.own - before.own >= 0.2
    # The system counts in hundredths of a second.
    assert after.total - before.total >= 0.2 - 0.05
