"""Fills the form on Train from recipes, runs and dialogs, and starts what it holds."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from textual.content import Content

from fmnist_tui.config import recipes
from fmnist_tui.config.plans import Plan, first_run
from fmnist_tui.config.recipes import Recipe
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.tui.base.dialogs import PickerDialog, PromptDialog
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.screens.train.form import Form
from fmnist_tui.tui.shared.counts import parse_count
from fmnist_tui.tui.shared.model_picker import pick_model
from fmnist_tui.tui.state.config_draft import ConfigDraft
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text


class FormController:
    """Controls a screen's form; `show_form` makes it visible."""

    def __init__(self, screen: DashboardScreen, show_form: Callable[[], None]) -> None:
        self.draft = ConfigDraft()
        self._screen, self._show_form = screen, show_form
        # The recipe whose first run the form holds, where it has several.
        self._recipe: Recipe | None = None

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
        heading = first_run(recipe)[1] if recipe is not None else ""
        self._recipe = recipe if heading else None
        self.draft.reset(values)
        form = self._form
        form.reload()
        form.border_title = Content(safe_text(f"{heading} · {source}" if heading else source, 60))
        if focus:
            self._show_form()
            form.fields.focus()

    async def choose_recipe(self) -> None:
        """Let the user pick a recipe, and fill the form with its first run."""
        items = []
        for name in recipes.recipe_names():
            with contextlib.suppress(UserError):
                about = recipes.load_recipe(name).about.strip().split("\n")[0]
                items.append((name, f"{name:<16} {about}"))
        choice = await self._screen.ask(PickerDialog("Which recipe", items))
        if choice is not None:
            recipe = recipes.load_recipe(choice)
            self.fill(first_run(recipe)[0].model_dump(), f"recipe {choice}", recipe)

    async def choose_value(self, field: str, choices: tuple[str, ...]) -> None:
        """Let the user pick the value of a field."""
        if field == "start":
            model = await pick_model(self._screen, allow_none=True)
            choice = model.name if isinstance(model, RunFolder) else str(model) if model else None
        else:
            items = [(choice, choice) for choice in choices]
            choice = await self._screen.ask(PickerDialog(field, items))
        if choice is not None:
            self.draft.set(field, choice)
            self._form.reload()

    def start(self, config: RunConfig) -> bool:
        """Start the run in the form, and the others of its recipe after it; False where that is
        not possible."""
        context = self._screen.context
        if self._recipe is None:
            return context.start_run(config)
        try:
            return context.start_plan(Plan.starting_with(config, self._recipe))
        except UserError as error:
            self._screen.notify_error(str(error).split("\n")[0])
            return False

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


def check_seeds(text: str) -> str:
    """What is wrong with a number of seeds; empty input cancels."""
    text = text.strip()
    if not text or parse_count(text, 2, recipes.MAX_SEEDS) is not None:
        return ""
    return f"{safe_text(text, 20)!r}: an ensemble has 2 to {recipes.MAX_SEEDS} seeds"
