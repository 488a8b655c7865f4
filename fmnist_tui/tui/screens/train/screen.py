"""Train: the settings of a run, and the run itself while it learns."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.protocol.commands import Pause, Resume, SaveCheckpoint, ScaleLearningRate, Stop
from fmnist_tui.protocol.events import FINISHED, TRAIN
from fmnist_tui.render import names as renderers
from fmnist_tui.tui.base.screen import FOLDED, DashboardScreen
from fmnist_tui.tui.screens.train import curves
from fmnist_tui.tui.screens.train.form import Form
from fmnist_tui.tui.screens.train.form_controller import FormController
from fmnist_tui.tui.screens.train.log import LogPane, RunLog
from fmnist_tui.tui.screens.train.lr_panel import LrPanel
from fmnist_tui.tui.screens.train.lr_search import LrSearchController
from fmnist_tui.tui.screens.train.progress import RunProgress
from fmnist_tui.tui.screens.train.sample_predictions import SamplePane, SamplePredictions
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.tui.widgets.confusion_heatmap import ConfusionHeat
from fmnist_tui.tui.widgets.line_chart import LineChart
from fmnist_tui.util.text import safe_text

VIEWS = ("settings", "run", "model", "log")


class TrainScreen(DashboardScreen):
    """The form on the left, curves and progress in the middle, the model's mind on the right."""

    NAME, KEY, TITLE = "train", "2", "Train"
    HELP = (
        "space starts a run with the settings on the left, and pauses it. l tries learning rates "
        "on a few steps and suggests one. In a narrow terminal the panes are views: v goes from "
        "one to the next."
    )
    CSS_PATH = "screen.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "go", "Start/pause", id="train.go"),
        Binding("s", "stop", "Stop", id="train.stop"),
        Binding("c", "checkpoint", "Checkpoint", id="train.checkpoint"),
        Binding(
            "left_square_bracket", "rate(0.5)", "Halve the rate", key_display="[", id="train.slower"
        ),
        Binding(
            "right_square_bracket", "rate(2)", "Double the rate", key_display="]", id="train.faster"
        ),
        Binding("l", "find_rate", "Find a rate", id="train.find_rate"),
        Binding("n", "renew", "New from this", id="train.new"),
        Binding("f", "recipe", "Recipe", id="train.recipe"),
        Binding("u", "resume", "Resume", id="train.resume"),
        Binding("M", "seeds", "Ensemble of several seeds", show=False, id="train.ensemble"),
        Binding("y", "log_scale", "Log scale", show=False, id="train.log_scale"),
        Binding("m", "smooth", "Smooth the training curves", show=False, id="train.smooth"),
        Binding("v", "view", "View", id="view.next"),
        Binding("r", "renderer", "How pictures are drawn", show=False, id="view.renderer"),
    ]

    def __init__(self) -> None:
        super().__init__(classes=f"-view-{VIEWS[0]}")
        self._drafting = FormController(self, lambda: self._to("settings"))
        self.draft = self._drafting.draft
        self._smoothing = 0
        self._narration = RunLog()
        self._glancing = SamplePredictions(self)
        self._titled = ""
        self._view = VIEWS[0]
        self._followed: RunFeed | None = None
        self._possible: object = None
        self._searching = LrSearchController(self, self._drafting, self._config, self._show_search)

    def panes(self) -> Iterable[Widget]:
        with Horizontal(id="columns"):
            form = Form(self.draft, id="settings", classes="pane view")
            form.border_title = "settings"
            yield form
            with Vertical(id="run", classes="view"):
                yield LrPanel(classes="pane")
                with Vertical(id="charts"):
                    loss = LineChart("loss", empty="the curves of a run come here", id="loss")
                    yield loss
                    yield LineChart("accuracy", percent=True, id="accuracy")
                progress = RunProgress(classes="pane")
                yield progress
                log = LogPane(id="log", classes="pane")
                log.border_title = "log"
                yield log
            with Vertical(id="model", classes="view"):
                thinks = SamplePane(classes="pane")
                thinks.border_title = "what it thinks now"
                yield thinks
                heat = ConfusionHeat(classes="pane")
                heat.border_title = "true ↓ predicted →"
                yield heat

    def on_mount(self) -> None:
        self.query_one(Form).fields.focus()
        self.context.run_replaced.subscribe(self, self._show_run)
        self.context.run_updated.subscribe(self, self._update_run)
        self.app.theme_changed_signal.subscribe(self, lambda _: self._show_run(self.app_state.feed))
        self.app_state.form = self.draft
        self._show_run(self.app_state.feed)

    def on_screen_resume(self) -> None:
        self.load_draft()
        self._show_run(self.app_state.feed)

    def load_draft(self) -> None:
        """Put the settings that lie on the desk, if there are any, into the form."""
        values, self.app_state.draft = self.app_state.draft, None
        if values is not None:
            recipe = self.app_state.recipe
            name = recipe.name if recipe is not None else values.get("recipe", "custom")
            told = f"{'recipe' if recipe is not None else 'settings of'} {name}"
            self._drafting.take(values, told, recipe)

    # -- showing the run on the bench -----------------------------------------------------

    def _show_run(self, feed: RunFeed | None) -> None:
        """Another run, or the same after a while: everything anew."""
        if not self.is_current:
            return
        self._searching.run_replaced(feed)
        self._show(feed, live=False)
        if feed is not self._followed and feed is not None and feed.live:
            # Where the panes are folded, a run that goes is more than its settings.
            self._to("run", focus=self.app.size.width < FOLDED)
        self._followed = feed

    def _update_run(self, feed: RunFeed) -> None:
        if self.is_current:
            self._searching.show(feed)
            self._show(feed, live=feed.live)

    def _show(self, feed: RunFeed | None, live: bool) -> None:
        log = self.query_one(LogPane)
        for entry in self._narration.news(feed, self.app_state.printed):
            log.add(entry.message, entry.level, entry.t)
        progress = self.query_one(RunProgress)
        progress.show(feed)
        self._title(feed, progress)
        self._charts(feed, live)
        self._glancing.show(feed)
        possible = (
            feed is not None and (feed.live, feed.folder is not None),
            self.app_state.training,
        )
        if possible != self._possible:
            self._possible = possible
            self.refresh_bindings()

    def _title(self, feed: RunFeed | None, progress: RunProgress) -> None:
        title = ""
        if feed is not None:
            where = f"{feed.holder} · " if feed.holder is not None else ""
            synthetic = feed.state.started is not None and feed.state.started.synthetic
            data = feed.config.dataset if feed.config is not None else ""
            place = f"{feed.heading} · " if feed.heading else ""
            title = f"{feed.name} · {place}{where}{data}{' (SYNTHETIC)' if synthetic else ''}"
            if feed.error:
                title = f"{feed.name} · {feed.error}"
        if title != self._titled:
            self._titled = title
            progress.border_title = Content(safe_text(title, 200))

    def _charts(self, feed: RunFeed | None, live: bool) -> None:
        loss, accuracy = self.query_one("#loss", LineChart), self.query_one("#accuracy", LineChart)
        if feed is None or self._searching.is_open:
            loss.show([])
            accuracy.show([])
            return
        smoothing = curves.SMOOTHINGS[self._smoothing]
        state = feed.state
        # Both or neither, so that they end at the same step.
        if not live or (loss.due and accuracy.due):
            loss.show(curves.loss(state, smoothing), curves.marks(state), "step", live=live)
            accuracy.show(curves.accuracy(state, smoothing), curves.marks(state), "step", live=live)

    # -- what the keys do ---------------------------------------------------------------------

    @property
    def _live(self) -> bool:
        feed = self.app_state.feed
        return feed is not None and feed.live

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        feed = self.app_state.feed
        if action in ("checkpoint", "rate"):
            return True if feed is not None and feed.live and feed.kind == TRAIN else None
        if action == "stop":
            return True if self._live else None
        if action == "resume":
            ended = feed is not None and not feed.live and feed.folder is not None
            return True if ended and feed is not None and feed.kind == TRAIN else None
        if action == "renew":
            return True if self.app_state.feed is not None else None
        return True

    def action_go(self) -> None:
        feed = self.app_state.feed
        if feed is not None and feed.live and feed.kind != TRAIN:
            self.notify_error(f"{feed.name} cannot be paused; s stops it")
            return
        if feed is not None and feed.live:
            pause = not feed.state.paused
            if self.context.send_command(Pause(time.time()) if pause else Resume(time.time())):
                self.notify("pausing" if pause else "going on")
            return
        config = self._config()
        if config is not None and self._drafting.begin(config):
            self._to("run")

    def action_seeds(self) -> None:
        if self.app_state.training:
            self.notify_error("a run is under way here; an ensemble is begun when it has ended")
            return
        config = self._config()
        if config is not None:
            self._drafting.ask_seeds(config, lambda: self._to("run"))

    def _config(self) -> RunConfig | None:
        """The settings as they stand; where something is wrong with them, that is shown."""
        config = self.draft.config()
        if config is None:
            name, why = next(iter(self.draft.problems.items()))
            self.notify_error(f"{name}: {why}")
            self._to("settings")
            self.query_one(Form).fields.go_to(name)
        return config

    def action_stop(self) -> None:
        if self.context.send_command(Stop(time.time(), "stopped by key")):
            self.notify("stopping: a checkpoint is saved first")

    def action_checkpoint(self) -> None:
        if self.context.send_command(SaveCheckpoint(time.time())):
            self.notify("a checkpoint is being saved")

    def action_rate(self, factor: float) -> None:
        if self.context.send_command(ScaleLearningRate(time.time(), float(factor))):
            self.notify("learning rate " + ("halved" if factor < 1 else "doubled"))

    def action_find_rate(self) -> None:
        self._searching.find()

    def _show_search(self) -> None:
        self._to("run", focus=False)
        self.query_one(LrPanel).curve.focus()

    @on(LrPanel.Taken)
    def _rate_taken(self, event: LrPanel.Taken) -> None:
        if event.again:
            self.action_go()
        else:
            self._searching.take(event.lr)

    @on(LrPanel.Left)
    def _search_left(self) -> None:
        self._searching.leave()

    def action_renew(self) -> None:
        feed = self.app_state.feed
        if feed is not None and feed.config is not None:
            self._drafting.take(feed.config.model_dump(), f"settings of {feed.name}")

    def action_resume(self) -> None:
        feed = self.app_state.feed
        if feed is None or feed.live or feed.folder is None or feed.config is None:
            self.notify_error("there is no run to resume here")
            return
        if feed.state.end_reason == FINISHED:
            self.notify("this run has finished; Runs (6) resumes it for more epochs, or forks it")
            return
        self.context.resume_run(feed.folder, feed.config)

    def action_recipe(self) -> None:
        self._drafting.choose_recipe()

    @on(Form.Pick)
    def _pick(self, event: Form.Pick) -> None:
        self._drafting.pick(event.name, event.choices)

    def action_log_scale(self) -> None:
        chart = self.query_one("#loss", LineChart)
        chart.toggle_log()
        self.notify("loss on a " + ("log" if chart.log_scale else "linear") + " scale")

    def action_smooth(self) -> None:
        self._smoothing = (self._smoothing + 1) % len(curves.SMOOTHINGS)
        weight = curves.SMOOTHINGS[self._smoothing]
        self.notify(f"training curves smoothed by {weight:g}" if weight else "curves as they are")
        self._charts(self.app_state.feed, live=False)

    def action_renderer(self) -> None:
        kinds = renderers()
        now = self.app_state.renderer
        following = kinds[(kinds.index(now) + 1) % len(kinds)] if now in kinds else kinds[0]
        self.app_state.settings.save("renderer", following)
        self._glancing.renew(self.app_state.feed)
        self.notify(f"pictures as {self.app_state.renderer}")

    def action_view(self) -> None:
        self._to(VIEWS[(VIEWS.index(self._view) + 1) % len(VIEWS)])

    def _to(self, view: str, *, focus: bool = True) -> None:
        """In a narrow or low terminal show this of the folded panes."""
        self.remove_class(*(f"-view-{name}" for name in VIEWS))
        self.add_class(f"-view-{view}")
        self._view = view
        target = {"settings": "Fields", "run": "#loss", "model": "#loss", "log": "#log"}[view]
        if focus:
            self.call_after_refresh(self._focus_on, target)

    def _focus_on(self, target: str) -> None:
        widget = self.query_one(target)
        if widget.display and widget.region.area:
            widget.focus()
        elif self.focused is not None and not self.focused.region.area:
            self.set_focus(None)
