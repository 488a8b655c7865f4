"""What is said of an ensemble that is not created."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fmnist_tui.cli.commands import ensemble
from fmnist_tui.cli.support import run_plan
from fmnist_tui.cli.support.run_plan import CompletedStep
from fmnist_tui.config.plans import Plan
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.runs.folder import RunFolder
from tests.unit.support import ended, started

MEMBER = "20260101-000000-first-sketches-abcd"


def finished_member(status: int = 0) -> CompletedStep:
    state = RunState()
    for event in (started(), ended()):
        state.apply(event)
    return CompletedStep("seed 0", state, RunFolder(Path(MEMBER)), status)


@pytest.mark.parametrize("is_late", [False, True], ids=["in the ensemble", "as a member ends"])
def test_ctrl_c_after_a_member_has_finished_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_late: bool
) -> None:
    def run_steps(*_: object) -> Iterator[CompletedStep]:
        yield finished_member(130 if is_late else 0)
        raise KeyboardInterrupt

    monkeypatch.setattr(ensemble, "run_plan", run_steps)
    session: Any = None
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        ensemble._train_members(session, Plan("", ()))
    name = RunFolder(Path(MEMBER)).id
    assert capsys.readouterr().err == f"no ensemble was created; finished members: {name}\n"


@pytest.mark.parametrize("is_late", [False, True], ids=["in the next", "as a step ends"])
def test_ctrl_c_between_the_steps_of_a_plan_says_what_is_not_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_late: bool
) -> None:
    def steps() -> Iterator[CompletedStep]:
        yield finished_member(130 if is_late else 0)
        if not is_late:
            raise KeyboardInterrupt

    monkeypatch.setattr("fmnist_tui.cli.support.run_summary.print_run", lambda *_: None)
    plan: Any = SimpleNamespace(steps=(1, 2), runs=(), recipe="staged")
    args: Any = SimpleNamespace(debug=False, json=False)
    try:
        assert run_plan.print_steps(steps(), plan, args) == 130
    except KeyboardInterrupt:
        assert not is_late
    assert "staged ends here: 1 of 2 steps not run" in capsys.readouterr().err
