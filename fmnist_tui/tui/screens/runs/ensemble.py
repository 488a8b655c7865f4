"""Making one classifier of several runs: by which views, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fmnist_tui.config import dataset_catalog
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import RunSummary
from fmnist_tui.tui.base.dialogs import Choice, ChoiceDialog
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.shared.job_results import ensemble_summary

VIEWS = {"n": "none", "f": "flip", "s": "flip+shift"}
CHOICES = [
    Choice("n", "as they are", "each image once"),
    Choice("f", "flip", "and mirrored"),
    Choice("s", "flip+shift", "and moved by a pixel, both mirrored: six views"),
]


def unite(screen: DashboardScreen, runs: Sequence[RunSummary], after: Callable[[], None]) -> None:
    """Make an ensemble of these runs and take it in hand; then call `after`."""
    if len(runs) < 2:
        screen.notify_error("mark two runs or more with space; then m makes one ensemble of them")
        return
    datasets = [dataset_catalog.find_dataset_info(run.dataset) for run in runs]
    if any(info is not None and not info.mirror for info in datasets):
        _unite(screen, runs, "none", after)
        return

    def chosen(key: str | None) -> None:
        if key is not None:
            _unite(screen, runs, VIEWS[key], after)

    question = ChoiceDialog(
        f"Ensemble of {len(runs)} runs",
        "What the members say is averaged. Other views of an image help those that were"
        " trained with such views.",
        CHOICES,
    )
    screen.over(question, chosen)


def _unite(
    screen: DashboardScreen, runs: Sequence[RunSummary], tta: str, after: Callable[[], None]
) -> None:
    context, app_state = screen.context, screen.app_state

    def made(found: Any) -> None:
        context.select_run(RunFolder(Path(found["path"])))
        after()
        context.notify(ensemble_summary(found))

    words = ["ensemble", *(str(run.run.path.absolute()) for run in runs), f"--tta={tta}"]
    words += [f"--runs={app_state.runs_dir}", f"--data={app_state.data_dir}"]
    context.start_job(f"ensemble of {len(runs)}", words, made)
