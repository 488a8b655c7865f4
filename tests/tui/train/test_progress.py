"""The figures of a run as lines of text."""

from __future__ import annotations

from dataclasses import replace

from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.tui.screens.train.progress import machine_figures, wrap_parts
from tests.unit.support import changed, started, telemetry


def test_a_part_longer_than_a_line_is_broken_between_words() -> None:
    reason = "the loss never falls between 1e-06 and 0.073 (0.325 at first)"
    lines = wrap_parts(["step 3", reason, "enter uses it"], 30)
    assert max(map(len, lines)) <= 30
    assert " ".join(lines) == f"step 3 {reason}  enter uses it"


def test_the_figures_say_how_many_threads_are_used_and_what_others_use() -> None:
    state = RunState()
    state.apply(replace(started(), threads=2, cpus=2))
    assert "2 threads" in machine_figures(state)
    state.apply(telemetry())
    assert not any("others" in part or "sleep" in part for part in machine_figures(state))
    state.apply(replace(telemetry(), other_cpus=1.02, waits_briefly=True))
    assert {"others 102 %", "threads sleep to wait"} <= set(machine_figures(state))
    state.apply(changed("threads", "1"))
    assert "1 of 2 threads" in machine_figures(state)
