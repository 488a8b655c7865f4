"""The plots of a study: best value so far, values over settings, importance of each setting."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Container

from fmnist_tui.render.axis import WHOLE
from fmnist_tui.render.line_chart import Line
from fmnist_tui.sweeps.snapshot import (
    MIN_IMPORTANCE_TRIALS,
    NONE_COMPLETE,
    Snapshot,
    too_few_trials,
)
from fmnist_tui.tui.screens.sweep.space_plot import PARALLEL, SLICES, SpacePlot
from fmnist_tui.tui.widgets.charts.line_chart import LineChart
from fmnist_tui.tui.widgets.incremental import set_border_titles
from fmnist_tui.tui.widgets.probability_bars import ProbabilityBars
from fmnist_tui.util.sequences import next_item

# View names, as the settings file keeps them.
PROGRESS, IMPORTANCE = "course", "importance"
VIEWS = (PROGRESS, SLICES, PARALLEL, IMPORTANCE)
# Below NARROW columns one plot fits, from WIDE on all.
NARROW, WIDE = 100, 160


class Plots(Container):
    """Shows as many plots of a study as fit; `next_view` goes through the others."""

    DEFAULT_CSS = """
    Plots { height: 1fr; layout: horizontal;
        & LineChart, & SpacePlot { width: 1fr; height: 100%; }
        & ProbabilityBars { width: 36; height: 100%; padding: 0 1; }
    }
    """

    def __init__(self, view: str, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._view = view if view in VIEWS else PROGRESS
        self._columns = 0

    def compose(self) -> ComposeResult:
        yield LineChart("best so far", percent=True, numbers=WHOLE, id=PROGRESS, classes="pane")
        yield SpacePlot(id="space", classes="pane")
        yield ProbabilityBars(id=IMPORTANCE, classes="pane")

    def on_mount(self) -> None:
        set_border_titles(self.query_one(LineChart), "Progress")
        set_border_titles(self.query_one(ProbabilityBars), "Importance")

    def show(
        self,
        study: Snapshot | None,
        importances: Sequence[tuple[str, float]] | None,
        current: int | None,
        *,
        live: bool = False,
    ) -> None:
        """Draw a study; `current` is the number of the trial under the cursor, `importances` None
        until they are computed."""
        points = study.best_so_far() if study is not None else ()
        xs = [float(number) for number, _ in points]
        line = Line("best", xs, [value for _, value in points], "green")
        empty = study.why_no_best if study is not None else NONE_COMPLETE
        chart = self.query_one(LineChart)
        chart.show([line] if points else [], xlabel="trial", numbers=WHOLE, empty=empty, live=live)
        keys = {part.key for part in study.spec.space} if study is not None else set()
        shares = [(key, share) for key, share in importances or () if key in keys]
        self.query_one(SpacePlot).show(study, [key for key, _ in shares], current)
        bars = self.query_one(ProbabilityBars)
        if study is None:
            bars.empty = ""
        elif study.complete < MIN_IMPORTANCE_TRIALS:
            bars.empty = too_few_trials(study)
        else:
            bars.empty = "computing …" if importances is None else "the values do not differ"
        bars.show(shares)

    def fold(self, columns: int) -> None:
        """Show the plots that fit in a window of this width."""
        self._columns = columns
        views = self._views()
        view = self._view if self._view in views else views[0]
        wide = columns >= WIDE
        space, bars = self.query_one(SpacePlot), self.query_one(ProbabilityBars)
        if view in (SLICES, PARALLEL):
            space.view = view
        space.display = wide or view in (SLICES, PARALLEL)
        self.query_one(LineChart).display = wide or view == PROGRESS
        bars.display = columns >= NARROW or view == IMPORTANCE
        bars.styles.width = "1fr" if columns < NARROW else 44 if wide else 36

    def next_view(self) -> str:
        """Show the next view; returns its name."""
        views = self._views()
        self._view = next_item(views, self._view if self._view in views else views[0])
        self.fold(self._columns)
        return self._view

    def _views(self) -> tuple[str, ...]:
        """The views that are not shown anyway."""
        if self._columns >= WIDE:
            return SLICES, PARALLEL
        return VIEWS if self._columns < NARROW else VIEWS[:-1]
