"""What a study's trials add up to: the best so far, values over settings, which matter."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Container

from fmnist_tui.render.line_chart import Line
from fmnist_tui.sweeps.snapshot import Snapshot
from fmnist_tui.tui.screens.sweep.space_pane import PARALLEL, SLICES, SpacePlot
from fmnist_tui.tui.widgets.incremental import entitle
from fmnist_tui.tui.widgets.line_chart import LineChart
from fmnist_tui.tui.widgets.probability_bars import ProbabilityBars

COURSE, IMPORTANCE = "course", "importance"
VIEWS = (COURSE, SLICES, PARALLEL, IMPORTANCE)
# Below so many columns there is room for one plot, from so many on for all.
NARROW, WIDE = 100, 160


class Plots(Container):
    """`show` gives it a study, `turn` goes to the next view of it."""

    DEFAULT_CSS = """
    Plots { height: 1fr; layout: horizontal;
        & LineChart, & SpacePlot { width: 1fr; height: 100%; }
        & ProbabilityBars { width: 36; height: 100%; padding: 0 1; }
    }
    """

    def __init__(self, view: str, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._view = view if view in VIEWS else COURSE
        self._columns = 0

    def compose(self) -> ComposeResult:
        empty = "no trial is complete yet"
        yield LineChart("best so far", percent=True, empty=empty, id=COURSE, classes="pane")
        yield SpacePlot(id="space", classes="pane")
        yield ProbabilityBars(id=IMPORTANCE, classes="pane")

    def on_mount(self) -> None:
        entitle(self.query_one(LineChart), "Course")
        entitle(self.query_one(ProbabilityBars), "what matters")
        self.query_one(ProbabilityBars).empty = "known once trials are complete"

    def show(
        self,
        shown: Snapshot | None,
        shares: Sequence[tuple[str, float]],
        here: int | None,
        *,
        live: bool = False,
    ) -> None:
        """Draw a study: `shares` is how much each setting matters, `here` the trial in view."""
        points = shown.best_so_far() if shown is not None else ()
        xs = [float(number) for number, _ in points]
        line = Line("best", xs, [value for _, value in points], "green")
        self.query_one(LineChart).show([line] if points else [], xlabel="trial", live=live)
        known = {part.key for part in shown.spec.space} if shown is not None else set()
        shares = [pair for pair in shares if pair[0] in known]
        self.query_one(SpacePlot).show(shown, [key for key, _ in shares], here)
        self.query_one(ProbabilityBars).show(shares)

    def fold(self, columns: int) -> None:
        """Show what there is room for in a window of so many columns."""
        self._columns = columns
        views = self._views()
        view = self._view if self._view in views else views[0]
        wide, space = columns >= WIDE, self.query_one(SpacePlot)
        if view in (SLICES, PARALLEL):
            space.turn_to(view)
        space.display = wide or view in (SLICES, PARALLEL)
        self.query_one(LineChart).display = wide or view == COURSE
        shares = self.query_one(ProbabilityBars)
        shares.display = columns >= NARROW or view == IMPORTANCE
        shares.styles.width = "1fr" if columns < NARROW else 44 if wide else 36

    def turn(self) -> str:
        """Show the next view; its name."""
        views = self._views()
        here = views.index(self._view) if self._view in views else 0
        self._view = views[(here + 1) % len(views)]
        self.fold(self._columns)
        return self._view

    def _views(self) -> tuple[str, ...]:
        """The views that do not stand beside each other anyway."""
        if self._columns >= WIDE:
            return SLICES, PARALLEL
        return VIEWS if self._columns < NARROW else VIEWS[:-1]
