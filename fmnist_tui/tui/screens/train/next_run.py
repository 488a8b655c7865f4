"""Before the first run: what the next one is, what its recipe claims, and how long it takes."""

from __future__ import annotations

import math
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping

from textual import getters
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from fmnist_tui.config import dataset_catalog
from fmnist_tui.config.measurement import STEP_SECONDS, WARM_SECONDS, format_result
from fmnist_tui.config.plans import NO_START
from fmnist_tui.config.recipes import Claim, Recipe
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.key_names import key_name
from fmnist_tui.tui.screens.train.form_controller import FormController
from fmnist_tui.tui.shared.recipe_facts import RecipeFacts, read_recipe_facts
from fmnist_tui.tui.shared.run_names import run_name
from fmnist_tui.tui.state.config_draft import DraftRow
from fmnist_tui.tui.widgets.incremental import update_text
from fmnist_tui.util.formatting import (
    format_count,
    format_duration,
    format_percent,
    format_short_time,
)
from fmnist_tui.util.text import safe_text

# The keys, and what they do.
_KEYS = (
    ("train.go", "starts it"),
    ("form.edit", "edits a setting"),
    ("train.recipe", "another recipe"),
    ("train.find_rate", "looks for a learning rate"),
)
# What the number of parameters and the time of a recipe hold for.
_SIZE = frozenset({"dataset", "classes", "input_size", "colour", "model", "width"})
_PLAIN = frozenset({"seed", "split_seed", "checkpoint_seconds"})
# Where the line of a fact begins.
_LABEL = 12


class NextRunPane(VerticalScroll):
    """The card in the place of the charts as long as no run is shown."""

    DEFAULT_CSS = """
    NextRunPane { height: 1fr; scrollbar-size-vertical: 1;
        scrollbar-gutter: stable;
        Static { width: 1fr; height: auto; }
    }
    """
    KEYS_TITLE = "Next run"

    _text = getters.query_one(Static)
    _card: Callable[[int], Content] | None = None

    def compose(self) -> ComposeResult:
        yield Static()

    @property
    def text(self) -> str:
        """The whole card, without styles."""
        return str(self._text.content)

    def allow_focus(self) -> bool:
        # Its only keys are those that scroll.
        return super().allow_focus() and self.max_scroll_y > 0

    def show(self, card: Callable[[int], Content]) -> None:
        """Show a card, which is made for a width."""
        self._card = card
        self.on_resize()

    def on_resize(self) -> None:
        if self._card is not None and (width := self.scrollable_content_region.width):
            update_text(self._text, self._card(width))


class NextRun:
    """Fills the pane from the form and from what is known of its recipe."""

    def __init__(self, screen: DashboardScreen, form: FormController) -> None:
        self._screen, self._form = screen, form
        self._facts: Mapping[str, RecipeFacts] = {}

    def read(self) -> None:
        """Read what is known of the recipes, in a thread, and show it."""
        runs_dir = self._screen.app_state.runs_dir

        def show(facts: list[RecipeFacts]) -> None:
            self._facts = {each.recipe.name: each for each in facts}
            self.show()

        self._screen.run_in_thread(
            lambda: read_recipe_facts(runs_dir), show, lambda _: None, group="recipes"
        )

    def show(self) -> None:
        """Show the settings of the form."""
        recipe, draft = self._form.source_recipe, self._form.draft
        facts = self._facts.get(recipe.name) if recipe is not None else None
        if facts is None and recipe is not None:
            facts = RecipeFacts(recipe)
        config, changed = draft.config(), draft.differences()
        self._screen.query_one(NextRunPane).show(
            lambda width: describe_next_run(config, facts, changed, width)
        )


def describe_next_run(
    config: RunConfig | None, facts: RecipeFacts | None, changed: list[DraftRow], width: int
) -> Content:
    """The card of a run with these settings, `changed` from those of the recipe."""
    recipe = facts.recipe if facts is not None else None
    title = safe_text(recipe.name if recipe is not None else "your own settings", 60)
    parts = [Content.styled(f"{title}\n", "bold $primary")]
    if recipe is not None and recipe.about:
        about = safe_text(recipe.about.strip().splitlines()[0], 300)
        parts.append(Content("\n".join([*textwrap.wrap(about, max(1, width)), ""])))
    parts.append(Content("\n"))
    rows = [*_describe_config(config, facts, changed)] if config is not None else []
    if facts is not None:
        rows += _describe_recipe(facts, changed)
    for label, text in rows:
        room = max(20, width - _LABEL)
        lines = [line for part in text.split("\n") for line in textwrap.wrap(part, room)]
        parts.append(Content.styled(f"{label:<{_LABEL}}", "$foreground-muted"))
        parts.append(Content(f"\n{' ' * _LABEL}".join(lines) + "\n"))
    parts.append(Content("\n"))
    for binding, about in _KEYS:
        parts.append(Content.styled(f"{key_name(binding):<{_LABEL}}", "bold $accent"))
        parts.append(Content(f"{about}\n"))
    return Content("").join(parts)


def _describe_config(
    config: RunConfig, facts: RecipeFacts | None, changed: list[DraftRow]
) -> Iterator[tuple[str, str]]:
    measured = facts.measured if facts is not None else None
    is_own_size = not _SIZE & {row.name for row in changed}
    parameters = measured.parameters if measured is not None and is_own_size else 0
    model = safe_text(config.model, 60)
    yield "model", f"{model}, {parameters:,} parameters" if parameters else model
    info = dataset_catalog.find_dataset_info(config.dataset)
    title = safe_text(info.title if info is not None else config.dataset, 60)
    train = config.limit or (info.train if info is not None else 0)
    if info is not None and info.train and config.classes is None:
        val = round(info.train * config.val_fraction)
        train = config.limit or info.train - val
        test = f"{info.test:,} to test at last" if config.test else "none to test"
        title += f": {train:,} images to train, {val:,} to validate, {test}"
    yield "data", title
    steps = math.ceil(train / config.batch_size) if train and config.classes is None else 0
    each = f" of {steps:,} steps" if steps else ""
    yield (
        "training",
        f"{format_count(config.epochs, 'epoch')}{each}, {config.batch_size:,} images a step,"
        f" {config.optimizer} at {config.lr:g} ({config.schedule})",
    )


def _describe_recipe(facts: RecipeFacts, changed: list[DraftRow]) -> Iterator[tuple[str, str]]:
    recipe, run, measured = facts.recipe, facts.last_run, facts.measured
    if several := _describe_plan(recipe):
        yield "runs", several
    here = [claim for claim in recipe.claims if claim.is_about(uses_gpu=recipe.uses_gpu)]
    for kind, is_goal in (("claim", False), ("goal", True)):
        of_kind = [_describe_claim(each) for each in here if not each.run and each.goal == is_goal]
        if of_kind:
            yield kind, "\n".join(of_kind)
    if measured is not None:
        seeds = f"{measured.seeds} seeds" if measured.seeds > 1 else "one seed"
        yield (
            "measured",
            (
                f"{format_result(measured)} on the test split of {safe_text(measured.data, 60)},"
                f" {seeds}, on {safe_text(measured.on, 60)}"
            ),
        )
    if run is not None and facts.expected_seconds:
        yield "time", f"about {_seconds(facts.expected_seconds)}, as its last run here took"
    elif facts.expected_seconds:
        yield "time", f"about {_seconds(facts.expected_seconds)}, judged by other runs here"
    elif measured is not None:
        where = safe_text(measured.on, 60)
        kind = "" if measured.warm_seconds else " in training steps"
        yield "time", f"{_seconds(measured.seconds)}{kind} on {where}; not timed here yet"
    if run is not None:
        yield "last run", _describe_run(facts)
    if rows := [row for row in changed if row.name not in _PLAIN]:
        values = ", ".join(f"{row.name} {row.value} ← {row.base}" for row in rows)
        yield "changed", f"{values}\nso claim, figures and time are not this run's"


def _describe_plan(recipe: Recipe) -> str:
    if recipe.stages:
        names = ", ".join(stage.name for stage in recipe.stages)
        is_new = any(stage.run.get("start") == NO_START for stage in recipe.stages[1:])
        how = "one after the other" if is_new else "each from the weights of the one before"
        return f"{len(recipe.stages)}, {how}: {safe_text(names)}"
    if recipe.ensemble is not None:
        return f"{recipe.ensemble.seeds} with a seed each, then combined into one classifier"
    return ""


def _describe_claim(claim: Claim) -> str:
    """`test accuracy at least 91.00 % (fashion, 5 epochs)`."""
    names = {WARM_SECONDS: "warm wall time", STEP_SECONDS: "time in training steps"}
    metric = names.get(claim.metric, claim.metric.replace("_", " "))
    bound = _seconds(claim.bound) if claim.metric in names else format_percent(claim.bound)
    about = f" ({safe_text(claim.about, 100)})" if claim.about else ""
    return f"{metric} {claim.bound_kind} {bound}{about}"


def _describe_run(facts: RecipeFacts) -> str:
    """`two-conv a36d, 11-28 07:33: val 91.86 %, test 91.60 %, 2:41 in all`."""
    run = facts.last_run
    assert run is not None
    parts = [f"val {run.val_text}"] if run.best_val_accuracy is not None else []
    if run.test_accuracy is not None:
        parts.append(f"test {format_percent(run.test_accuracy)}")
    parts.append(f"{format_duration(run.seconds)} in all")
    return f"{run_name(run)}, {format_short_time(run.started, time.time())}: {', '.join(parts)}"


def _seconds(seconds: float) -> str:
    return format_duration(round(seconds), units=True).replace(".0 s", " s")
