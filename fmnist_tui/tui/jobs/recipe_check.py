"""Check a recipe's claims in a background job, after asking."""

from __future__ import annotations

from typing import Any

from fmnist_tui.config import recipes
from fmnist_tui.config.plans import EnsembleStep, Plan
from fmnist_tui.tui.base.dialogs import Choice, ChoiceDialog
from fmnist_tui.tui.context import DashboardContext
from fmnist_tui.tui.key_names import name_keys
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.formatting import format_count
from fmnist_tui.util.text import safe_text


async def check_recipe(context: DashboardContext, name: str) -> None:
    """Ask first, for a check trains several runs."""
    try:
        recipe = recipes.load_recipe(name)
        steps = Plan.from_recipe(recipe).steps
    except UserError as error:
        context.notify(str(error), "error")
        return
    variants = recipe.variants("auto")
    if not variants:
        context.notify(f"{name} has no claims to check on this machine", "warning")
        return
    trainings = sum(not isinstance(step, EnsembleStep) for step in steps)
    runs = len(variants) * trainings * (recipe.seeds or recipes.DEFAULT_SEEDS)
    question = ChoiceDialog(
        f"Check the claims of {safe_text(name)}?",
        f"{format_count(sum(map(len, variants)), 'claim')}, {format_count(runs, 'run')} to train,"
        " each with its own seed; every run reads the test split once.",
        [
            Choice("y", "train them", name_keys("{app.jobs} shows the progress")),
            Choice("n", "cancel"),
        ],
    )
    if await context.ask(question) == "y":
        words = ["recipes", "check", name, *context.app_state.folder_options]
        context.start_job(
            f"check {name}", words, lambda claims: context.notify(summarise_claims(claims))
        )


def summarise_claims(claims: list[dict[str, Any]]) -> str:
    """The results of a check in one line, from the JSON document of the command."""
    passed = sum(claim["passed"] is True for claim in claims)
    unchecked = sum(claim["passed"] is None for claim in claims)
    recipe, total = safe_text(claims[0]["recipe"]), format_count(len(claims), "claim")
    line = f"{recipe}: {passed} of {total} passed"
    return line + (f"; {unchecked} could not be checked" if unchecked else "")
