"""The stops of the tour: a screen, what there is to see, and what is started there."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from textual import events

from fmnist_tui.config import recipes
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.tui.context import DashboardContext
from fmnist_tui.tui.key_names import key_name
from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.paths import format_path

RECIPE = "one-conv"
TRIALS = 4
SWEEP_NAME = "tour.toml"
_SWEEP = f"""\
about = "Learning rate and dropout of a small network, on sketches."
recipe = "{RECIPE}"
[run]
dataset = "sketches"
epochs = 1
limit = 1500
[sweep]
trials = {TRIALS}
[space.lr]
low = 1e-4
high = 1e-1
log = true
[space.dropout]
low = 0.0
high = 0.5
"""


# Gets the folder of the tour.
Start = Callable[[DashboardContext, Path], None]


@dataclass(frozen=True, slots=True)
class TourStop:
    """`template` names keys by the ids of their bindings, in braces, and the {folder}. `start` is
    done on the first arrival; the next stop needs what it trains if `waits`."""

    screen: str
    template: str
    start: Start | None = None
    waits: bool = False

    def text(self, folder: Path) -> str:
        """What there is to see, with the keys as the user has set them."""

        def fill(match: re.Match[str]) -> str:
            name = match[1]
            return format_path(folder) if name == "folder" else key_name(name)

        return re.sub(r"\{([\w.]+)\}", fill, self.template)


def _train(context: DashboardContext, folder: Path) -> None:
    context.start_run(tour_config())


def tour_config() -> RunConfig:
    """The run of the tour: on sketches, whatever else the environment says."""
    changes = {**recipes.settings_from_environment(), "dataset": "sketches"}
    return recipes.load_recipe(RECIPE).config(**changes)


def _predict(context: DashboardContext, folder: Path) -> None:
    samples = recipes.shipped_folder("assets") / "samples"
    context.screen.post_message(events.Paste(str(samples)))


def _sweep(context: DashboardContext, folder: Path) -> None:
    file = folder / SWEEP_NAME
    try:
        file.write_text(_SWEEP, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{format_path(file)}: {format_error(error)}") from error
    words = ["sweep", "start", str(file), f"--trials={TRIALS}"]
    context.start_job("sweep", [*words, *context.app_state.folder_options])


STOPS = (
    TourStop(
        "data",
        "Sketches of garments, drawn by this program: the arrow keys move, {gallery.open} shows one"
        " large with its pixels, {data.augmented} what training makes of it.",
    ),
    TourStop(
        "train",
        "A small network learns them now: its loss and accuracy, what it thinks of ten images, and"
        " what it confuses. {train.go} pauses it.",
        _train,
        waits=True,
    ),
    TourStop(
        "evaluate",
        "Which garment it takes for which, on images that it has never seen. The cursor is on the"
        " worst confusion: {matrix.open} shows its images.",
    ),
    TourStop(
        "errors",
        "Every image that it got wrong, the one it was surest of first; {gallery.open} compares"
        " what it saw with what it expected.",
    ),
    TourStop(
        "predict",
        "Photographs are turned, cut out and shrunk to what the network expects; it knows sketches"
        " alone, so it errs. {predict.pad} lets you draw one yourself.",
        _predict,
    ),
    TourStop(
        "runs",
        "Every run is kept with its settings and curves: {runs.mark} marks runs to compare,"
        " {runs.export} exports a model, {runs.report} writes a report. Those of the tour are in"
        " {folder} and are removed at its end.",
        _sweep,
    ),
    TourStop(
        "sweep",
        f"A sweep looks for good settings: {TRIALS} short trainings are being tried now, beside"
        " this screen. The best so far is marked.",
    ),
)
