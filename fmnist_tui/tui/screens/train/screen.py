"""Train: the settings of a run, and the run in progress."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import partial
from typing import ClassVar

from textual import getters, on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.reactive import Reactive
from textual.widget import Widget

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.protocol.checkpoint_record import BEST, LAST
from fmnist_tui.protocol.commands import Pause, Resume, SaveCheckpoint, ScaleLearningRate, Stop
from fmnist_tui.protocol.events import ENSEMBLE, FINISHED, TRAIN
from fmnist_tui.protocol.validation import MARK_MEANING
from fmnist_tui.runs.jsonl_reader import replay
from fmnist_tui.tui.base.copying import ToCopy
from fmnist_tui.tui.base.dialog_flow import dialog_flow
from fmnist_tui.tui.base.dialogs import Choice, ChoiceDialog
from fmnist_tui.tui.base.image_screen import ImageScreen
from fmnist_tui.tui.base.screen import FOLD_BELOW
from fmnist_tui.tui.key_names import key_name
from fmnist_tui.tui.screens.train.charts import RunCharts
from fmnist_tui.tui.screens.train.form import FieldList, Form
from fmnist_tui.tui.screens.train.form_controller import FormController
from fmnist_tui.tui.screens.train.log import LogPane, RunLog
from fmnist_tui.tui.screens.train.lr_panel import LrPanel
from fmnist_tui.tui.screens.train.lr_search import LrSearchController
from fmnist_tui.tui.screens.train.next_run import NextRun, NextRunPane
from fmnist_tui.tui.screens.train.probe_images import ProbeImages, ProbePane
from fmnist_tui.tui.screens.train.progress import RunProgress
from fmnist_tui.tui.screens.train.to_copy import training_to_copy
from fmnist_tui.tui.shared.run_names import command_refusal, stopping_message
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.tui.widgets.confusion_heatmap import ConfusionHeat
from fmnist_tui.tui.widgets.incremental import set_border_titles
from fmnist_tui.util.sequences import next_item
from fmnist_tui.util.text import safe_text

VIEWS = ("settings", "run", "model", "log")
# A key pressed so soon after the end of a run may have been meant for the run.
_JUST_ENDED_S = 1.5


class TrainScreen(ImageScreen):
    """The form on the left, the run in the middle, what its model predicts on the right."""

    NAME, KEY, TITLE = "train", "2", "Train"
    HELP = (
        "{train.go} starts a run with the settings on the left, and pauses it; after a stop it asks"
        " whether to resume the run or to start a new one. {train.find_rate} tries learning rates "
        "for a few steps and suggests one. A chart draws a smoothed line over the values of single "
        "steps; the wheel zooms, dragging moves what is shown. In a narrow terminal the panes are "
        f"views: {{view.next}} shows the next one. {MARK_MEANING}."
    )
    CSS_PATH = "screen.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "go", "Start or pause", id="train.go"),
        Binding("s", "stop", "Stop", id="train.stop"),
        Binding("c", "checkpoint", "Checkpoint", id="train.checkpoint"),
        Binding(
            "left_square_bracket", "rate(0.5)", "Halve the rate", key_display="[", id="train.slower"
        ),
        Binding(
            "right_square_bracket", "rate(2)", "Double the rate", key_display="]", id="train.faster"
        ),
        Binding("l", "find_rate", "Find a rate", id="train.find_rate"),
        Binding("n", "copy_settings", "Copy settings", id="train.new"),
        Binding("f", "recipe", "Recipe", id="train.recipe"),
        Binding("u", "resume", "Resume", id="train.resume"),
        Binding("M", "ensemble", "Ensemble of several seeds", show=False, id="train.ensemble"),
        Binding("v", "view", "View", id="view.next"),
        Binding("r", "renderer", "How images are drawn", show=False, id="view.renderer"),
    ]

    # What the keys depend on.
    _run_state: Reactive[object] = Reactive(None, repaint=False, bindings=True)
    _fields = getters.query_one(FieldList)
    _charts = getters.query_one(RunCharts)
    _progress = getters.query_one(RunProgress)
    _log_pane = getters.query_one(LogPane)

    def __init__(self) -> None:
        super().__init__(classes=f"-view-{VIEWS[0]}")
        self._form = FormController(self, lambda: self._show_view("settings"))
        self.draft = self._form.draft
        self._lr_search = LrSearchController(
            self, self._form, self._valid_config, self._show_lr_search
        )
        self._next_run = NextRun(self, self._form)
        self._run_log = RunLog()
        self._probes = ProbeImages(self)
        self._view = VIEWS[0]
        self.key_labels["train.go"] = _describe_go(None)
        self._last_feed: RunFeed | None = None

    def panes(self) -> Iterable[Widget]:
        with Horizontal(id="columns"):
            yield Form(self.draft, id="settings", classes="pane view")
            with Vertical(id="run", classes="view"):
                yield NextRunPane(classes="pane")
                yield LrPanel(classes="pane")
                yield RunCharts(self.app_state.settings, id="charts")
                yield RunProgress(classes="pane")
                log = LogPane(id="log", classes="pane")
                log.border_title = "Log"
                yield log
            with Vertical(id="model", classes="view"):
                yield ProbePane(classes="pane")
                heatmap = ConfusionHeat(classes="pane")
                heatmap.border_title = "True ↓ predicted → · % of true class"
                yield heatmap

    def on_mount(self) -> None:
        self._fields.focus()
        self.context.run_replaced.subscribe(self, self._show_feed)
        self.context.run_updated.subscribe(self, self._update_feed)
        self.app.theme_changed_signal.subscribe(
            self, lambda _: self._show_feed(self.app_state.feed)
        )
        self.app_state.form = self.draft
        self._show_feed(self.app_state.feed)

    def on_screen_resume(self) -> None:
        self.load_draft()
        self._show_feed(self.app_state.feed)

    def update_appearance(self) -> None:
        self._probes.redraw(self.app_state.feed)

    def load_draft(self) -> None:
        """Load the settings that another screen has left for the form."""
        values, self.app_state.draft = self.app_state.draft, None
        if values is not None:
            recipe = self.app_state.recipe
            source = f"settings of {values.get('recipe', 'custom')}"
            if recipe is not None:
                source = f"recipe {recipe.name}"
            self._form.fill(values, source, recipe)

    def to_copy(self) -> ToCopy:
        field = self._fields.field if self._fields.has_focus else ""
        return training_to_copy(self.app_state, self.draft, field)

    # -- showing the followed run -----------------------------------------------------------

    def _show_feed(self, feed: RunFeed | None) -> None:
        """Draw everything: another run is followed, or the screen is shown again."""
        if not self.is_current:
            return
        self.set_class(feed is None, "-idle")
        if feed is None:
            self._next_run.read()
        self._lr_search.set_feed(feed)
        if feed is not None and feed is not self._last_feed:
            self._form.follow(feed)
        self._mark_form()
        self._update(feed, live=False)
        if feed is not self._last_feed and feed is not None and feed.is_live:
            # Where only one view fits, show the run rather than its settings.
            self._show_view("run", focus=self.app.size.width < FOLD_BELOW)
        self._last_feed = feed

    @on(Form.DraftShown)
    def _mark_form(self) -> None:
        self._form.mark_differences(self.app_state.feed)
        if self.app_state.feed is None:
            self._next_run.show()

    def _update_feed(self, feed: RunFeed) -> None:
        # Signals arrive late: another run may be followed by now.
        if self.is_current and feed is self.app_state.feed:
            self._lr_search.update(feed)
            self._update(feed, live=feed.is_live)

    def _update(self, feed: RunFeed | None, live: bool) -> None:
        if self._run_log.follow(feed):
            self._log_pane.start_over()
        for entry in self._run_log.new_entries(self.app_state.printed):
            self._log_pane.add(entry)
        self._progress.show(feed)
        title = _run_title(feed) if feed is not None else ""
        set_border_titles(self._progress, safe_text(title, 200))
        self._charts.show(None if self._lr_search.is_open else feed, live=live)
        self._probes.show(feed)
        go = _describe_go(feed)
        run_state = feed and (feed.is_live, feed.is_own, feed.kind, feed.folder is not None, go)
        if run_state != self._run_state:
            self.key_labels["train.go"] = go
            self._run_state = run_state
            self._mark_form()

    # -- keys -----------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        feed = self.app_state.feed
        live = feed is not None and feed.is_live
        training = feed is not None and feed.kind == TRAIN
        enabled = {
            "checkpoint": live and training,
            "rate": live and training,
            "stop": live,
            "resume": training and not live and feed is not None and feed.folder is not None,
            "copy_settings": feed is not None,
            "view": feed is not None,
        }
        return enabled.get(action, True) or None

    @dialog_flow
    async def action_go(self) -> None:
        feed = self.app_state.feed
        if feed is not None and feed.is_live and feed.kind != TRAIN:
            refusal = command_refusal(feed.kind, feed.name)
            self.notify_error(
                refusal or f"{feed.name} cannot be paused; {key_name('train.stop')} stops it"
            )
        elif feed is not None and feed.is_live:
            pause = not feed.state.paused
            self.context.send_command(Pause(time.time()) if pause else Resume(time.time()))
        elif feed is not None and _is_unfinished(feed):
            # The key may have been meant as a pause, or to go on after a stop.
            answer = await self.ask(_unfinished_dialog(feed))
            if answer == "u":
                await self._resume(feed)
            elif answer == "n":
                self._start_new()
        elif feed is not None and _has_just_ended(feed):
            # The key may have been meant as a pause.
            self.notify(f"{feed.name} has just finished; the same key starts the next run")
        else:
            self._start_new()

    def _start_new(self) -> None:
        """Start a run with the settings of the form."""
        config = self._valid_config()
        if config is not None and self._form.start(config):
            self._show_view("run")

    @dialog_flow
    async def action_ensemble(self) -> None:
        if self.app_state.is_training:
            self.notify_error("a run is in progress: start the ensemble when it has ended")
            return
        config = self._valid_config()
        if config is not None and await self._form.start_ensemble(config):
            self._show_view("run")

    def _valid_config(self) -> RunConfig | None:
        """The settings of the form; where one is invalid, say why and go to its field."""
        config = self.draft.config()
        if config is None:
            name, problem = next(iter(self.draft.problems.items()))
            self.notify_error(f"{name}: {problem}")
            self._show_view("settings")
            self._fields.go_to(name)
        return config

    def action_stop(self) -> None:
        feed = self.app_state.feed
        if feed is not None and (refusal := command_refusal(feed.kind, feed.name)):
            self.notify_error(refusal)
        elif self.context.send_command(Stop(time.time(), "stopped by key")) and feed is not None:
            self.notify(stopping_message(feed.kind))
            self._progress.show(feed)

    def action_checkpoint(self) -> None:
        self.context.send_command(SaveCheckpoint(time.time()))

    def action_rate(self, factor: float) -> None:
        self.context.send_command(ScaleLearningRate(time.time(), float(factor)))

    def action_find_rate(self) -> None:
        self._lr_search.start()

    def _show_lr_search(self) -> None:
        self._show_view("run", focus=False)
        self.query_one(LrPanel).curve.focus()

    @on(LrPanel.RateChosen)
    def _use_rate(self, event: LrPanel.RateChosen) -> None:
        if event.again:
            self.action_go()
        else:
            self._lr_search.use_rate(event.lr)

    @on(LrPanel.SearchClosed)
    def _close_lr_search(self) -> None:
        self._lr_search.close()

    def action_copy_settings(self) -> None:
        feed = self.app_state.feed
        if feed is not None and feed.config is not None:
            whose = feed.name if feed.kind != ENSEMBLE else f"a member of {feed.name}"
            self._form.fill(feed.config.model_dump(), f"settings of {whose}")

    @dialog_flow
    async def action_resume(self) -> None:
        feed = self.app_state.feed
        if feed is None or feed.is_live or feed.folder is None or feed.config is None:
            self.notify_error("no run to resume")
        elif feed.state.end_reason == FINISHED:
            self.notify("finished: {show.runs} (Runs) resumes it for more epochs or forks it")
        else:
            await self._resume(feed)

    async def _resume(self, feed: RunFeed) -> None:
        if feed.folder is not None and feed.config is not None:
            state = await self.in_thread(partial(replay, feed.folder.events))
            self.context.resume_run(feed.folder, feed.config, state)

    @dialog_flow
    async def action_recipe(self) -> None:
        await self._form.choose_recipe()

    @on(Form.ChoicesRequested)
    @dialog_flow
    async def _choose_value(self, event: Form.ChoicesRequested) -> None:
        await self._form.choose_value(event.field, event.choices)

    def action_view(self) -> None:
        self._show_view(next_item(VIEWS, self._view))

    def _show_view(self, view: str, *, focus: bool = True) -> None:
        """Show a view where the terminal is too small for all."""
        self.remove_class(*(f"-view-{name}" for name in VIEWS))
        self.add_class(f"-view-{view}")
        self._view = view
        if focus:
            target = {"settings": "FieldList", "log": "#log"}.get(view, "#loss")
            self.call_after_refresh(self._focus_on, target)

    def _focus_on(self, target: str) -> None:
        widget = self.query_one(target)
        if widget.display and widget.region.area:
            widget.focus()
        elif self.focused is not None and not self.focused.region.area:
            self.set_focus(None)


def _describe_go(feed: RunFeed | None) -> str:
    """What the key that starts, pauses and resumes does now."""
    if feed is not None and feed.is_live and feed.kind == TRAIN:
        return "Go on" if feed.state.paused else "Pause"
    return "Resume or new" if feed is not None and _is_unfinished(feed) else "Start"


def _is_unfinished(feed: RunFeed) -> bool:
    """Whether the run shown is a training that has ended before its last step."""
    is_training = feed.kind == TRAIN and feed.state.started is not None
    return is_training and feed.config is not None and feed.state.end_reason != FINISHED


def _has_just_ended(feed: RunFeed) -> bool:
    """Whether the run has ended so lately that a key pressed now may not know."""
    end = feed.state.end
    return end is not None and 0 <= time.time() - end.t < _JUST_ENDED_S


def _unfinished_dialog(feed: RunFeed) -> ChoiceDialog:
    state = feed.state
    total = state.started.total_steps if state.started is not None else 0
    saved = state.record.newest(LAST) or state.record.newest(BEST)
    choices = [Choice("n", "new run", "with the settings of the form"), Choice("x", "cancel")]
    if saved is not None:
        choices.insert(0, Choice("u", f"resume {feed.name}", f"it goes on at step {saved.step:,}"))
    return ChoiceDialog(
        f"{feed.name} is not finished",
        f"It ended at step {state.step:,} of {total:,}"
        + ("." if saved is not None else " without a checkpoint: it cannot be resumed."),
        choices,
    )


def _run_title(feed: RunFeed) -> str:
    """`two-conv 7f3a · stage 1 of 2: pretrain · fashion`."""
    if feed.error:
        return f"{feed.name} · {feed.error}"
    dataset = feed.config.dataset if feed.config is not None else ""
    if feed.state.started is not None and feed.state.started.synthetic:
        dataset += " (SYNTHETIC)"
    holder = str(feed.holder) if feed.holder is not None else ""
    return " · ".join([feed.name, *filter(None, (feed.heading, holder)), dataset])
