"""The card of the next run, as text."""

from __future__ import annotations

from fmnist_tui.config import recipes
from fmnist_tui.config.plans import first_run
from fmnist_tui.tui.screens.train.next_run import describe_next_run
from fmnist_tui.tui.shared.recipe_facts import RecipeFacts


def card_of(name: str) -> str:
    recipe = recipes.load_recipe(name)
    config, _ = first_run(recipe)
    return describe_next_run(config, RecipeFacts(recipe), [], 200).plain


def test_the_card_says_where_a_stage_does_not_test_and_begins_with_new_weights() -> None:
    card = card_of("wrn-40-4")
    assert "50,000 images to train, 10,000 to validate, none to test" in card
    assert "2, one after the other: choose, retrain" in card
    assert "not run yet" in card and "measured" not in card
    assert "2, each from the weights of the one before: pretrain, adapt" in card_of("transfer")
