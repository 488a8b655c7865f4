"""The charts of the followed run: loss above accuracy."""

from __future__ import annotations

from textual import getters
from textual.app import ComposeResult
from textual.containers import Vertical

from fmnist_tui.tui.screens.train import curves
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.tui.widgets.charts.line_chart import LineChart
from fmnist_tui.util.sequences import next_item


class RunCharts(Vertical):
    """Draws the curves of a run, as often as their share of the time allows while it is live."""

    _loss = getters.query_one("#loss", LineChart)
    _accuracy = getters.query_one("#accuracy", LineChart)
    _feed: RunFeed | None = None
    _smoothing = curves.SMOOTHINGS[0]
    _late_redraw_is_scheduled = False

    def compose(self) -> ComposeResult:
        yield LineChart("loss", empty="the curves of a run appear here", id="loss")
        yield LineChart("accuracy", percent=True, id="accuracy")

    def show(self, feed: RunFeed | None, *, live: bool) -> None:
        """Draw the curves of this run, none without one."""
        self._feed = feed
        loss, accuracy = self._loss, self._accuracy
        if feed is None:
            loss.show([])
            accuracy.show([])
        # Both or neither, so that they end at the same step.
        elif not live or (loss.is_due and accuracy.is_due):
            state, marks = feed.state, curves.chart_marks(feed.state)
            loss.show(curves.loss_lines(state, self._smoothing), marks, "step", live=live)
            accuracy.show(curves.accuracy_lines(state, self._smoothing), marks, "step", live=live)
        elif not self._late_redraw_is_scheduled:
            # Nothing more may come, for example because the run was paused.
            self._late_redraw_is_scheduled = True
            self.set_timer(max(loss.due_in, accuracy.due_in, 0.01), self._redraw_late)

    def _redraw_late(self) -> None:
        self._late_redraw_is_scheduled = False
        feed = self._feed
        if self.screen.is_current and feed is not None:
            self.show(feed, live=feed.is_live)

    def toggle_log_scale(self) -> None:
        self._loss.toggle_log()
        self.app.notify(f"loss on a {'log' if self._loss.log_scale else 'linear'} scale")

    def change_smoothing(self) -> None:
        self._smoothing = weight = next_item(curves.SMOOTHINGS, self._smoothing)
        self.app.notify(
            f"training curves smoothed by {weight:g}" if weight else "curves not smoothed"
        )
        self.show(self._feed, live=False)
