"""What becomes of a search for a learning rate on Train: begun, shown, its rate taken, left."""

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

# The screen has this class while a search is what its middle shows.
SEARCHING = "-searching"


class LrSearchController:
    """The search on the bench, which is a run of its own or part of a training.

    `opened` is called when there is one to show, `config` for the settings as they stand, if
    they are right."""

    def __init__(
        self,
        screen: DashboardScreen,
        drafting: FormController,
        config: Callable[[], RunConfig | None],
        opened: Callable[[], None],
    ) -> None:
        self._screen, self._drafting = screen, drafting
        self._config, self._opened = config, opened
        self._feed: RunFeed | None = None
        # what was on the bench before a search came there
        self._before: RunFeed | None = None
        # of a training: the search that was there before the one that was asked for
        self._earlier: LrSearch | None = None
        self._leaving = False

    @property
    def _panel(self) -> LrPanel:
        return self._screen.query_one(LrPanel)

    @property
    def is_open(self) -> bool:
        return self._screen.has_class(SEARCHING)

    def find(self) -> None:
        """Search: in the training that goes on, or else with the settings as they stand."""
        feed, context = self._screen.app_state.feed, self._screen.context
        if feed is not None and feed.live and feed.kind == TRAIN:
            state, rates = feed.state, RateRange()
            if state.search is None or state.search.end is not None:
                asked = FindLearningRate(time.time(), rates.low, rates.high, rates.steps)
                if not context.send_command(asked):
                    return
                self._earlier = state.search
            self._open()
            self.show(feed)
        elif feed is not None and feed.live:
            if feed.kind == LRFIND:
                self._open()
            else:
                self._screen.notify_error(f"{feed.name} is no training: it has no learning rate")
        else:
            config = self._config()
            if config is not None:
                before = self._before if feed is not None and feed.kind == LRFIND else feed
                if context.start_lr_search(config):
                    self._before = before

    def run_replaced(self, feed: RunFeed | None) -> None:
        """Another run is on the bench, or the same after a while."""
        if feed is not self._feed:
            self._feed, self._earlier, self._leaving = feed, None, False
            if feed is not None and feed.kind == LRFIND:
                self._open()
            else:
                self._before = None
                self._close()
        self.show(feed)

    def show(self, feed: RunFeed | None) -> None:
        """Bring the panel up to date."""
        if feed is None or not self.is_open:
            return
        if self._leaving and not feed.live:
            self._screen.context.show_run(self._before)
            return
        search, end = feed.state.search, feed.state.end
        trouble = feed.error
        if feed.kind == LRFIND and end is not None and end.reason == FAILED:
            trouble = end.message
        elif not feed.live and not trouble and (search is None or search.end is None):
            trouble = "it ended before anything was found"
        if search is self._earlier:
            search = None
        live = feed.live and feed.kind == TRAIN
        self._panel.show(search, live=live, trouble=trouble, rise=_rise(feed) if live else 1.0)

    def take(self, lr: float) -> None:
        """Give the rate to the training that goes on, or write it into the settings."""
        feed, context = self._screen.app_state.feed, self._screen.context
        if feed is not None and feed.live and feed.kind == TRAIN:
            if context.send_command(SetLearningRate(time.time(), lr)):
                self._screen.notify(f"learning rate {lr:g}")
                self._close()
            return
        form = self._screen.query_one(Form)
        if feed is not None and feed.kind == LRFIND and not feed.own and feed.config is not None:
            # It was found with these settings and says nothing of others.
            self._drafting.fill(feed.config.model_dump(), f"settings of {feed.name}")
        self._drafting.draft.set("lr", f"{lr:g}")
        form.renew()
        form.fields.go_to("lr")
        self._panel.done(lr)

    def leave(self) -> None:
        """Give the search up if it goes on, and have all as it was before."""
        feed, context = self._screen.app_state.feed, self._screen.context
        if feed is None or feed.kind != LRFIND:
            search = feed.state.search if feed is not None else None
            over = search is not self._earlier and search is not None and search.end is not None
            if feed is not None and feed.live and not over:
                context.send_command(CancelSearch(time.time()))
            self._close()
        elif feed.own and feed.live:
            feed.send(Stop(time.time(), "the search was cancelled"))
            self._leaving = True
        else:
            context.show_run(self._before)

    def _open(self) -> None:
        self._screen.add_class(SEARCHING)
        self._opened()

    def _close(self) -> None:
        if self.is_open:
            inside = self._screen.focused
            self._screen.remove_class(SEARCHING)
            if inside is not None and self._panel in inside.ancestors:
                self._screen.call_after_refresh(self._refocus)

    def _refocus(self) -> None:
        """Have the keys go to the form again or, where it is folded away, to the curves."""
        fields = self._screen.query_one(Form).fields
        (fields if fields.region.area else self._screen.query_one("#loss")).focus()


def _rise(feed: RunFeed) -> float:
    """By how much the schedule will still raise the rate that a training has now."""
    config, started, step = feed.config, feed.state.started, feed.state.step
    if config is None or started is None:
        return 1.0
    total = max(1, started.total_steps)
    now, soon = (
        schedule_factor(config.schedule, at, total, config.warmup) for at in (step, step + 1)
    )
    if soon <= now:
        return 1.0
    return 1 / now
