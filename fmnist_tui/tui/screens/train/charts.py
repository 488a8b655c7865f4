"""The charts of the followed run: loss above accuracy."""

from __future__ import annotations

import time
from typing import ClassVar

from textual import getters
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from fmnist_tui.render import smoothing
from fmnist_tui.tui.screens.train.curves import STEP, X_AXES, RunCurves
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.tui.state.settings import Settings
from fmnist_tui.tui.widgets.charts.chart_view import ChartView
from fmnist_tui.tui.widgets.charts.line_chart import LineChart
from fmnist_tui.util.sequences import next_item

X_SETTING, SMOOTHING_SETTING = "train.x", "train.smoothing"
SMOOTHINGS = {
    "light": smoothing.LIGHT,
    "strong": smoothing.STRONG,
    "off": smoothing.OFF,
}


class RunCharts(Vertical):
    """Draws the curves of a run, as often as their share of the time allows while it is live."""

    KEYS_TITLE = "Charts"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "x_axis", "Step/epoch/time", id="train.x_axis"),
        Binding("m", "smooth", "Smoothing", id="train.smooth"),
    ]

    _loss = getters.query_one("#loss", LineChart)
    _accuracy = getters.query_one("#accuracy", LineChart)
    _feed: RunFeed | None = None
    _late_redraw_is_scheduled = False

    def __init__(self, settings: Settings, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._settings = settings
        self._view = ChartView(settings)

    def compose(self) -> ComposeResult:
        yield LineChart(
            "loss",
            may_log=True,
            view=self._view,
            empty="the curves of a run appear here",
            id="loss",
        )
        yield LineChart("accuracy", percent=True, view=self._view, id="accuracy")

    def show(self, feed: RunFeed | None, *, live: bool) -> None:
        """Draw the curves of this run, none without one."""
        if feed is not self._feed:
            self._view.show_all()
        self._feed = feed
        loss, accuracy = self._loss, self._accuracy
        if feed is None:
            loss.show([])
            accuracy.show([])
        # Both or neither, so that they end at the same step.
        elif not live or (loss.is_due and accuracy.is_due):
            self._draw(feed, live)
        elif not self._late_redraw_is_scheduled:
            # Nothing more may come, for example because the run was paused.
            self._late_redraw_is_scheduled = True
            self.set_timer(max(loss.due_in, accuracy.due_in, 0.01), self._redraw_late)

    def _draw(self, feed: RunFeed, live: bool) -> None:
        started = time.thread_time()
        x_axis, share = self._x_axis, SMOOTHINGS[self._smoothing]
        curves = RunCurves(feed.state, x_axis)
        drawn = (self._loss, curves.loss(share)), (self._accuracy, curves.accuracy(share))
        marks, guides = curves.marks(), curves.epoch_ends()
        span = curves.growing_span() if live else None
        seconds = time.thread_time() - started
        for chart, lines in drawn:
            chart.show(
                lines,
                marks,
                x_axis,
                numbers=X_AXES[x_axis],
                guides=guides,
                span=span,
                live=live,
            )
        self._loss.add_cost(seconds)

    def _redraw_late(self) -> None:
        self._late_redraw_is_scheduled = False
        feed = self._feed
        if self.screen.is_current and feed is not None:
            self.show(feed, live=feed.is_live)

    @property
    def _x_axis(self) -> str:
        chosen = self._settings.get(X_SETTING)
        return chosen if chosen in X_AXES else STEP

    @property
    def _smoothing(self) -> str:
        chosen = self._settings.get(SMOOTHING_SETTING)
        return chosen if chosen in SMOOTHINGS else next(iter(SMOOTHINGS))

    def action_x_axis(self) -> None:
        self._settings.save(X_SETTING, next_item(X_AXES, self._x_axis))
        self._view.show_all()
        self._view.move_cursor(None)
        self.show(self._feed, live=False)

    def action_smooth(self) -> None:
        chosen = next_item(SMOOTHINGS, self._smoothing)
        self._settings.save(SMOOTHING_SETTING, chosen)
        self.app.notify(f"smoothing of the training curves: {chosen}")
        self.show(self._feed, live=False)
