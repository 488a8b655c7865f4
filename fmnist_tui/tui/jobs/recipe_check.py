"""Having a recipe held to its claims meanwhile, and what came of it in a line."""

from __future__ import annotations

from typing import Any

from fmnist_tui.config import recipes
from fmnist_tui.config.plans import EnsembleStep, Plan
from fmnist_tui.tui.base.dialogs import Choice, ChoiceDialog
from fmnist_tui.tui.context import DashboardContext
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import counted, safe_text


def check_recipe(context: DashboardContext, name: str) -> None:
    """Ask whether that is meant, for it trains several runs; then have it done."""
    try:
        recipe = recipes.load(name)
        steps = Plan.of(recipe).steps
    except UserError as error:
        context.notify(str(error), "error")
        return
    if not recipe.claims:
        context.notify(f"{name} claims nothing that could be checked", "warning")
        return
    each = sum(not isinstance(step, EnsembleStep) for step in steps)
    runs = len(recipe.variants) * each * (recipe.seeds or recipes.SEEDS)

    def chosen(key: str | None) -> None:
        if key == "y":
            words = ["recipes", "check", name]
            words += [
                f"--runs={context.app_state.runs_dir}",
                f"--data={context.app_state.data_dir}",
            ]
            context.start_job(f"check {name}", words, lambda found: context.notify(told(found)))

    question = ChoiceDialog(
        f"Hold {safe_text(name)} to its claims?",
        f"{counted(len(recipe.claims), 'claim')}, {counted(runs, 'run')} to train, each with a seed"
        " of its own; every run reads the test split once.",
        [Choice("y", "train them", "E shows how far they are"), Choice("n", "leave it")],
    )
    context.push_screen(question, chosen)


def told(found: list[dict[str, Any]]) -> str:
    """What came of it, from the command's document."""
    kept = sum(claim["passed"] is True for claim in found)
    open_ = sum(claim["passed"] is None for claim in found)
    words = f"{safe_text(found[0]['recipe'])} keeps {kept} of {counted(len(found), 'claim')}"
    return words + (f"; {open_} could not be checked" if open_ else "")
