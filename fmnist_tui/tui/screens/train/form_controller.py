"""Fills the form on Train from recipes, runs and dialogs, and starts what it holds."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from fmnist_tui.config import recipes
from fmnist_tui.config.plans import Plan, first_run
from fmnist_tui.config.recipes import Recipe
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.protocol.events import ENSEMBLE
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.tui.base.dialogs import PickerDialog, PromptDialog
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.screens.train.form import Form
from fmnist_tui.tui.shared.counts import parse_count
from fmnist_tui.tui.shared.model_picker import pick_model
from fmnist_tui.tui.shared.recipe_picker import pick_recipe
from fmnist_tui.tui.state.config_draft import ConfigDraft
from fmnist_tui.tui.state.run_feed import RunFeed
from fmnist_tui.tui.widgets.incremental import set_border_titles
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text


class FormController:
    """Controls a screen's form; `show_form` makes it visible."""

    def __init__(self, screen: DashboardScreen, show_form: Callable[[], None]) -> None:
        self.draft = ConfigDraft()
        self._screen, self._show_form = screen, show_form
        # The recipe whose first run the form holds, where it has several.
        self._recipe: Recipe | None = None
        # The recipe that the settings come from, if any, and where else they come from.
        self.source_recipe = _find_recipe(self.draft.values)
        self._base = _recipe_values(self.source_recipe) or dict(self.draft.values)
        self._source = self._heading = ""
        # The values that nobody has chosen for a next run: the first ones, or those of a run.
        self._replaceable = dict(self.draft.values)

    @property
    def _form(self) -> Form:
        return self._screen.query_one(Form)

    def fill(
        self,
        values: Mapping[str, Any],
        source: str,
        recipe: Recipe | None = None,
        *,
        focus: bool = True,
    ) -> None:
        """Put settings into the form, and by default the focus. With a recipe, they are those
        of its first run. `source` is shown in the title."""
        self._source = source
        self._heading = first_run(recipe)[1] if recipe is not None else ""
        self._recipe = recipe if self._heading else None
        self.source_recipe = recipe or _find_recipe(values)
        self.draft.reset(values)
        self._base = _recipe_values(self.source_recipe) or dict(self.draft.values)
        form = self._form
        form.reload()
        self.mark_differences(self._screen.app_state.feed)
        if focus:
            self._show_form()
            form.fields.focus()

    def follow(self, feed: RunFeed) -> None:
        """Show the settings of a run that is shown from now on, unless the user has chosen
        others for the next run, or the form holds the whole plan that the run belongs to."""
        is_free = self.draft.values == self._replaceable
        # The config of an ensemble is that of a member.
        if feed.config is None or feed.kind == ENSEMBLE or feed.heading or not is_free:
            return
        values = feed.config.model_dump()
        if values != self.draft.values:
            self.fill(values, f"settings of {feed.name}", focus=False)
            self._replaceable = dict(self.draft.values)

    def mark_differences(self, feed: RunFeed | None) -> None:
        """Say whether these are the settings of the run in progress or of the next one, and mark
        what differs from the run in progress, or else from the recipe."""
        form, config = self._form, _live_config(feed)
        running = config.model_dump() if config is not None else self.draft.values
        if running != self.draft.values:
            base, form.compared_with, legend = running, "the run in progress", "← the run's values"
        else:
            base, form.compared_with, legend = self._base, "recipe", "← the recipe's values"
        self.draft.compare_with(base)
        if feed is not None and config is not None and running == self.draft.values:
            title = f"Settings of {feed.name}"
        else:
            title = " · ".join(filter(None, ("Next run", self._heading)))
        marked = legend if self.draft.differences() else ""
        set_border_titles(form, title, " · ".join(filter(None, (marked, self._source))))
        form.fields.show_rows()

    async def choose_recipe(self) -> None:
        """Let the user pick a recipe, and fill the form with its first run."""
        choice = await pick_recipe(self._screen)
        if choice is not None:
            recipe = recipes.load_recipe(choice)
            self.fill(first_run(recipe)[0].model_dump(), f"recipe {choice}", recipe)

    async def choose_value(self, field: str, choices: tuple[str, ...]) -> None:
        """Let the user pick the value of a field."""
        if field == "recipe":
            await self.choose_recipe()
            return
        if field == "start":
            model = await pick_model(self._screen, allow_none=True)
            choice = model.name if isinstance(model, RunFolder) else str(model) if model else None
        else:
            items = [(choice, choice) for choice in choices]
            current = str(self.draft.values[field])
            choice = await self._screen.ask(PickerDialog(field, items, current=current))
        if choice is not None:
            self.draft.set(field, choice)
            self._form.reload()

    def start(self, config: RunConfig) -> bool:
        """Start the run in the form, and the others of its recipe after it; False where that is
        not possible."""
        context, values = self._screen.context, dict(self.draft.values)
        try:
            if self._recipe is None:
                has_started = context.start_run(config)
            else:
                has_started = context.start_plan(Plan.starting_with(config, self._recipe))
        except UserError as error:
            self._screen.notify_error(str(error).split("\n")[0])
            return False
        if has_started:
            self._replaceable = values
        return has_started

    async def start_ensemble(self, config: RunConfig) -> bool:
        """Ask for a number of seeds, and start an ensemble of the form's run with them."""
        dialog = PromptDialog(
            "Ensemble of how many seeds?",
            "3",
            "trained one after another from the form's seed on, then combined",
            check_seeds,
        )
        seeds = parse_count(await self._screen.ask(dialog) or "", 2, recipes.MAX_SEEDS)
        return seeds is not None and self._screen.context.start_plan(Plan.for_seeds(config, seeds))


def _live_config(feed: RunFeed | None) -> RunConfig | None:
    """The settings of a training in progress; those of an ensemble are a member's."""
    is_live = feed is not None and feed.is_live and feed.kind != ENSEMBLE
    return feed.config if feed is not None and is_live else None


def _find_recipe(values: Mapping[str, Any]) -> Recipe | None:
    with contextlib.suppress(UserError):
        return recipes.load_recipe(str(values.get("recipe")))
    return None


def _recipe_values(recipe: Recipe | None) -> dict[str, Any] | None:
    """The settings of a recipe, of several runs those of the first."""
    with contextlib.suppress(UserError):
        return first_run(recipe)[0].model_dump() if recipe is not None else None
    return None


def check_seeds(text: str) -> str:
    """What is wrong with a number of seeds; empty input cancels."""
    text = text.strip()
    if not text or parse_count(text, 2, recipes.MAX_SEEDS) is not None:
        return ""
    return f"{safe_text(text, 20)!r}: an ensemble has 2 to {recipes.MAX_SEEDS} seeds"
