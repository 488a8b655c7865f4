"""The form on Train: where its settings come from, and what is begun with them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from textual.content import Content

from fmnist_tui.config import recipes
from fmnist_tui.config.plans import Plan, first_run
from fmnist_tui.config.recipes import Recipe
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.tui.base.dialogs import PickerDialog, PromptDialog
from fmnist_tui.tui.base.screen import DashboardScreen
from fmnist_tui.tui.screens.train.form import Form
from fmnist_tui.tui.shared.model_picker import pick_model
from fmnist_tui.tui.state.config_draft import ConfigDraft
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text


class FormController:
    """Fills one screen's form. `filled` is called when it holds other settings than before."""

    def __init__(self, screen: DashboardScreen, filled: Callable[[], None]) -> None:
        self.draft = ConfigDraft()
        self._screen, self._filled = screen, filled
        # The recipe that the form holds the first run of, where it has several.
        self._recipe: Recipe | None = None

    def take(self, values: Mapping[str, Any], told: str, recipe: Recipe | None = None) -> None:
        """Put settings into the form and go there; with a recipe, they are those of its first
        run."""
        self.fill(values, told, recipe)
        self._filled()
        self._form.fields.focus()

    def fill(self, values: Mapping[str, Any], told: str, recipe: Recipe | None = None) -> None:
        """The same, but stay."""
        heading = first_run(recipe)[1] if recipe is not None else ""
        self._recipe = recipe if heading else None
        self.draft.reset(values)
        form = self._form
        form.renew()
        form.border_title = Content(safe_text(f"{heading} · {told}" if heading else told, 60))

    def take_recipe(self, name: str) -> None:
        """Put the first run of a recipe into the form."""
        try:
            recipe = recipes.load_recipe(name)
            self.take(first_run(recipe)[0].model_dump(), f"recipe {name}", recipe)
        except UserError as error:
            self._screen.notify_error(str(error))

    def choose_recipe(self) -> None:
        """Have the user choose one of the recipes there are."""
        items = []
        try:
            names = recipes.recipe_names()
        except UserError as error:
            self._screen.notify_error(str(error))
            return
        for name in names:
            with contextlib.suppress(UserError):
                about = recipes.load_recipe(name).about.strip().split("\n")[0]
                items.append((name, f"{name:<16} {about}"))

        def chosen(name: str | None) -> None:
            if name is not None:
                self.take_recipe(name)

        self._screen.over(PickerDialog("recipe", items), chosen)

    def pick(self, name: str, choices: tuple[str, ...]) -> None:
        """Have the user choose a field's value."""

        def chosen(choice: str | None) -> None:
            if choice is not None:
                self.draft.set(name, choice)
                self._form.renew()

        if name == "start":
            pick_model(
                self._screen,
                lambda run: chosen(run.name),
                lambda file: chosen(str(file)),
                lambda: chosen("none"),
            )
            return
        items = [(choice, choice) for choice in choices]
        self._screen.over(PickerDialog(name, items), chosen)

    def begin(self, config: RunConfig) -> bool:
        """Begin the run in the form, and with it the others of its recipe if it has any;
        whether it could be asked for."""
        context = self._screen.context
        if self._recipe is None:
            return context.start_run(config)
        try:
            return context.start_plan(Plan.starting_with(config, self._recipe))
        except UserError as error:
            self._screen.notify_error(str(error).split("\n")[0])
            return False

    def ask_seeds(self, config: RunConfig, begun: Callable[[], None]) -> None:
        """Ask how many seeds of the form's run are to become an ensemble, and begin with them."""

        def given(text: str | None) -> None:
            word = (text or "").strip()
            if not word:
                return
            if not (word.isdecimal() and 2 <= int(word) <= recipes.MAX_SEEDS):
                self._screen.notify_error(
                    f"{safe_text(word, 20)!r}: an ensemble is of 2 to {recipes.MAX_SEEDS} seeds"
                )
                self.ask_seeds(config, begun)
            elif self._screen.context.start_plan(Plan.for_seeds(config, int(word))):
                begun()

        hint = "trained one after another from the form's seed on, then asked as one"
        self._screen.over(PromptDialog("Ensemble of how many seeds?", "3", hint), given)

    @property
    def _form(self) -> Form:
        return self._screen.query_one(Form)
