"""The search for a learning rate on Train: start it, show it, use its rate, close it."""

from __future__ import annotations

import time
from collections.abc import Callable

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.compute.schedule import schedule_factor
from fmnist_tui.protocol.commands import CancelSearch, FindLearningRate, SetLearningRate, Stop
from fmnist_tui.protocol.events import FAILED, LRFIND, TRAIN
from fmnist_tui.protocol.lr_curve import RateRange
from fmnist_tui.protocol.lr_search import LrSearch
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.screens.train.form import Form
from fmnist_tui.tui.screens.train.form_controller import FormController
from fmnist_tui.tui.screens.train.lr_panel import LrPanel
from fmnist_tui.tui.state.run_feed import RunFeed

# The class of the screen while it shows a search in place of the charts.
SEARCHING = "-searching"


class LrSearchController:
    """Controls a search, which is a run of its own or part of a training.

    `config` returns the settings of the form if they are valid; `on_open` is called when the
    panel opens."""

    def __init__(
        self,
        screen: DashboardScreen,
        form: FormController,
        config: Callable[[], RunConfig | None],
        on_open: Callable[[], None],
    ) -> None:
        self._screen, self._form = screen, form
        self._config, self._on_open = config, on_open
        self._feed: RunFeed | None = None
        # The run that was followed before the search.
        self._run_before: RunFeed | None = None
        # An earlier search of the same training, which is not shown.
        self._search_before: LrSearch | None = None
        self._closing = False

    @property
    def _panel(self) -> LrPanel:
        return self._screen.query_one(LrPanel)

    @property
    def is_open(self) -> bool:
        return self._screen.has_class(SEARCHING)

    def start(self) -> None:
        """Search in the training that is in progress, or else with the settings of the form."""
        feed, context = self._screen.app_state.feed, self._screen.context
        if feed is not None and feed.is_live and feed.kind == TRAIN:
            search, rates = feed.state.search, RateRange()
            if search is None or search.end is not None:
                command = FindLearningRate(time.time(), rates.low, rates.high, rates.steps)
                if not context.send_command(command):
                    return
                self._search_before = search
            self._open_panel()
            self.update(feed)
        elif feed is not None and feed.is_live:
            if feed.kind == LRFIND:
                self._open_panel()
            else:
                message = f"{feed.name} is not a training and has no learning rate"
                self._screen.notify_error(message)
        else:
            config = self._config()
            if config is not None:
                run = self._run_before if feed is not None and feed.kind == LRFIND else feed
                if context.start_lr_search(config):
                    self._run_before = run

    def set_feed(self, feed: RunFeed | None) -> None:
        """Open the panel for a search, close it for any other run."""
        if feed is not self._feed:
            self._feed, self._search_before, self._closing = feed, None, False
            if feed is not None and feed.kind == LRFIND:
                self._open_panel()
            else:
                self._run_before = None
                self._close_panel()
        self.update(feed)

    def update(self, feed: RunFeed | None) -> None:
        if feed is None or not self.is_open:
            return
        if self._closing and not feed.is_live:
            self._screen.context.show_run(self._run_before)
            return
        search, end = feed.state.search, feed.state.end
        error = feed.error
        if feed.kind == LRFIND and end is not None and end.reason == FAILED:
            error = end.message
        elif not feed.is_live and not error and (search is None or search.end is None):
            error = "the run ended before the search did"
        if search is self._search_before:
            search = None
        live = feed.is_live and feed.kind == TRAIN
        rise = _remaining_rise(feed) if live else 1.0
        self._panel.show(search, live=live, error=error, rise=rise)

    def use_rate(self, lr: float) -> None:
        """Send the rate to the training that is in progress, or put it into the form."""
        feed, context = self._screen.app_state.feed, self._screen.context
        if feed is not None and feed.is_live and feed.kind == TRAIN:
            if context.send_command(SetLearningRate(time.time(), lr)):
                self._close_panel()
            return
        form = self._screen.query_one(Form)
        if feed is not None and feed.kind == LRFIND and not feed.is_own and feed.config is not None:
            # The rate holds only for the settings that it was found with.
            source = f"settings of {feed.name}"
            self._form.fill(feed.config.model_dump(), source, focus=False)
        self._form.draft.set("lr", f"{lr:g}")
        form.reload()
        form.fields.go_to("lr")
        self._panel.mark_used(lr)

    def close(self) -> None:
        """Cancel a search that is in progress, and show what was shown before it."""
        feed, context = self._screen.app_state.feed, self._screen.context
        if feed is None or feed.kind != LRFIND:
            search = feed.state.search if feed is not None else None
            ended = (
                search is not self._search_before and search is not None and search.end is not None
            )
            if feed is not None and feed.is_live and not ended:
                context.send_command(CancelSearch(time.time()))
            self._close_panel()
        elif feed.is_own and feed.is_live:
            feed.send(Stop(time.time(), "the search was cancelled"))
            self._closing = True
        else:
            context.show_run(self._run_before)

    def _open_panel(self) -> None:
        self._screen.add_class(SEARCHING)
        self._on_open()

    def _close_panel(self) -> None:
        if self.is_open:
            focused = self._screen.focused
            self._screen.remove_class(SEARCHING)
            if focused is not None and self._panel in focused.ancestors:
                self._screen.call_after_refresh(self._refocus)

    def _refocus(self) -> None:
        """Focus the form or, where it is hidden, the charts."""
        fields = self._screen.query_one(Form).fields
        (fields if fields.region.area else self._screen.query_one("#loss")).focus()


def _remaining_rise(feed: RunFeed) -> float:
    """The factor by which the schedule will still raise the rate of a training."""
    config, started, step = feed.config, feed.state.started, feed.state.step
    if config is None or started is None:
        return 1.0
    total = max(1, started.total_steps)
    now, soon = (
        schedule_factor(config.schedule, at, total, config.warmup) for at in (step, step + 1)
    )
    return 1 / now if soon > now else 1.0
