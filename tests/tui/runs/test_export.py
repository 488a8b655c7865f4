"""Export a run from the Runs screen: dialogs, the job, its result."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input, OptionList

from fmnist_tui.tui.base.dialogs import ChoiceDialog, PromptDialog
from fmnist_tui.tui.screens.runs.export import export_summary
from fmnist_tui.tui.state.app_state import AppState
from tests.tui.conftest import OpenDashboard
from tests.tui.runs.support import RecordedJobs, add_checkpoint, wait_for_rows
from tests.tui.support import make_run, record_toasts, screen_input, wait_until

EXPORTED = {
    "file": "/there/m.onnx",
    "size": 2_782_137,
    "parity": {
        "split": "test",
        "count": 10_000,
        "same_labels": 10_000,
        "largest_difference": 1.4e-06,
    },
    "latency_ms": {"torch": {"1": 0.171, "64": 2.0}, "onnxruntime": {"1": 0.064, "64": 1.9}},
}


async def test_e_asks_for_format_and_file_and_starts_an_export(
    open_dashboard: OpenDashboard, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(
        app_state.runs_dir, change=lambda folder: add_checkpoint(folder, "best-0001", 20, 1)
    )
    async with open_dashboard("runs") as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 1)
        jobs, toasts = RecordedJobs(dashboard, monkeypatch), record_toasts(monkeypatch)
        await pilot.press("e")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, ChoiceDialog))
        names = [str(option.prompt) for option in dashboard.screen.query_one(OptionList).options]
        assert [name.split()[1] for name in names] == ["onnx", "safetensors", "pth"]
        await pilot.press("o")
        await wait_until(pilot, lambda: isinstance(dashboard.screen, PromptDialog))
        assert dashboard.screen.query_one(Input).value == str(run.exports / f"{run.id}.onnx")
        await pilot.press("enter")
        assert jobs.words == [
            ["export", str(run.path), "--to=onnx", f"--data={app_state.data_dir}"]
        ]
        jobs.on_done[0](EXPORTED)
        assert toasts[-1] == export_summary(EXPORTED)


async def test_an_existing_file_is_overwritten_only_after_asking(
    open_dashboard: OpenDashboard,
    app_state: AppState,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_run(app_state.runs_dir, change=lambda folder: add_checkpoint(folder, "last-0001", 20, 1))
    out = tmp_path / "mine.pth"
    out.write_bytes(b"before")
    async with open_dashboard("runs") as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 1)
        jobs = RecordedJobs(dashboard, monkeypatch)
        for answer in ("n", "y"):
            await pilot.press("e")
            await wait_until(pilot, lambda: isinstance(dashboard.screen, ChoiceDialog))
            await pilot.press("p")
            await wait_until(pilot, lambda: isinstance(dashboard.screen, PromptDialog))
            (await screen_input(dashboard, pilot)).value = str(out)
            await pilot.press("enter")
            await wait_until(pilot, lambda: isinstance(dashboard.screen, ChoiceDialog))
            choices = dashboard.screen.query_one(OptionList)
            assert choices.highlighted_option is not None
            assert choices.highlighted_option.id == "n", "what changes nothing is preselected"
            await pilot.press(answer)
            await wait_until(pilot, lambda: not isinstance(dashboard.screen, ChoiceDialog))
        (words,) = jobs.words
        assert words[-2:] == [f"--out={out}", "--force"]
    assert out.read_bytes() == b"before"


async def test_a_run_without_checkpoint_is_not_exported(
    open_dashboard: OpenDashboard, app_state: AppState, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(app_state.runs_dir)
    async with open_dashboard("runs") as (dashboard, pilot):
        await wait_for_rows(dashboard, pilot, 1)
        toasts = record_toasts(monkeypatch)
        await pilot.press("e")
        await wait_until(pilot, lambda: bool(toasts))
        assert "no checkpoint to export" in toasts[0]
        for step in ("escape", "o"):
            await pilot.press(step)
        assert not isinstance(dashboard.screen, ChoiceDialog)


def test_the_result_of_an_export_is_one_line() -> None:
    assert export_summary(EXPORTED) == (
        "/there/m.onnx: 2.8 MB, same class for 10,000 of 10,000 test images, probabilities within"
        " 1.4e-06; torch 0.17 ms for 1 image, 2.0 ms for 64, onnxruntime 0.06 ms for 1 image,"
        " 1.9 ms for 64"
    )
