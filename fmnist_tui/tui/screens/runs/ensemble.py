"""Make an ensemble of the marked runs: ask for the views of each image, then start a job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fmnist_tui.config import dataset_catalog
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import RunSummary
from fmnist_tui.tui.base.dialogs import Choice, ChoiceDialog
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.shared.run_names import ensemble_summary
from fmnist_tui.util.errors import UserError

# Values of --tta, by key.
VIEWS = {"n": "none", "f": "flip", "s": "flip+shift"}
CHOICES = [
    Choice("n", "none", "each image as it is"),
    Choice("f", "flip", "two views: also mirrored"),
    Choice("s", "flip+shift", "six views: also moved by a pixel, and mirrored"),
]


async def make_ensemble(
    screen: DashboardScreen, runs: Sequence[RunSummary], on_done: Callable[[], None]
) -> None:
    """Make an ensemble in a background job, select it, then call `on_done`."""
    if len(runs) < 2:
        raise UserError("mark at least two runs with space to make an ensemble of them")
    tta: str | None = "none"
    datasets = [dataset_catalog.find_dataset_info(run.dataset) for run in runs]
    if all(info is None or info.mirror for info in datasets):
        dialog = ChoiceDialog(
            f"Ensemble of {len(runs)} runs",
            "The probabilities of the members are averaged. Models that were trained with flips"
            " and shifts gain from several views of each image.",
            CHOICES,
        )
        tta = VIEWS.get(await screen.ask(dialog) or "")
    if tta is None:
        return
    context = screen.context

    def on_result(document: Any) -> None:
        context.select_run(RunFolder(Path(document["path"])))
        on_done()
        context.notify(ensemble_summary(document))

    words = ["ensemble", *(str(run.run.path.absolute()) for run in runs), f"--tta={tta}"]
    words += context.app_state.folder_options
    context.start_job(f"ensemble of {len(runs)}", words, on_result)
