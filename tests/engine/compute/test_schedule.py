"""Learning-rate schedules."""

from __future__ import annotations

import pytest

from fmnist_tui.engine.compute.schedule import schedule_factor


def test_schedules_warm_up_peak_and_end_low() -> None:
    total = 100
    courses = {
        name: [schedule_factor(name, step, total) for step in range(total)]
        for name in ("constant", "onecycle", "cosine", "linear", "step")
    }
    assert set(courses["constant"]) == {1.0}
    assert max(courses["onecycle"]) == courses["onecycle"][25] == 1.0
    assert courses["onecycle"][0] < 0.05
    assert courses["cosine"][0] == 1.0
    assert courses["step"][49:51] == [1.0, 0.1]
    for name in ("onecycle", "cosine", "linear", "step"):
        assert 0 < courses[name][-1] < 0.06
        falling = courses[name][25:]
        assert falling == sorted(falling, reverse=True)


def test_warm_up_is_linear() -> None:
    rise = [schedule_factor("constant", step, 100, warmup=0.1) for step in range(11)]
    assert rise == sorted(rise) and rise[-1] == 1.0
    assert rise[0] == pytest.approx(1 / 11)
