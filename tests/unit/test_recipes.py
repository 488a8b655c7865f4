"""Recipes: the shipped ones are sound, and broken ones are told in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from fmnist_tui import recipes
from fmnist_tui.config import ConfigError
from fmnist_tui.errors import UserError


@pytest.mark.parametrize("name", recipes.names())
def test_every_shipped_recipe_is_possible_tells_its_story_and_claims_something(name: str) -> None:
    recipe = recipes.load(name)
    assert recipe.name == name and recipe.about and recipe.claims
    for claim in recipe.claims:
        recipe.config(**claim.run)


def test_the_default_recipe_is_among_the_shipped_ones() -> None:
    assert recipes.DEFAULT in recipes.names()


def test_an_unknown_recipe_is_refused_with_the_near_names() -> None:
    with pytest.raises(UserError, match=r"'two-cov' is not known.*two-conv"):
        recipes.load("two-cov")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("epochs = 3", "epochs = 3: no such part of a config"),
        ("[run", "not a readable TOML file"),
        ("run = 3", "must be a table"),
        ("[run]\nepoch = 3", "no such setting"),
        ('[run]\nlr = "0.1"', "lr = '0.1': must be a number"),
        ('[[claim]]\nmetric = "luck"\nat_least = 0.5', "claim.metric"),
        ('[[claim]]\nmetric = "test_accuracy"\nat_least = 93', "claim.at_least"),
        ('[[claim]]\nmetric = "test_accuracy"\nat_least = 0.9\nless = 1', "claim.less"),
        ("claim = 3", "must be tables"),
    ],
)
def test_a_broken_recipe_gets_one_line_with_its_file_and_key(
    tmp_path: Path, text: str, part: str
) -> None:
    path = tmp_path / "broken.toml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        recipes.read(path).config()
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_config_file_is_named() -> None:
    with pytest.raises(UserError, match=r"none\.toml: there is no such config file"):
        recipes.read(Path("none.toml"))


def test_the_environment_is_read_by_field_and_unknown_names_are_refused() -> None:
    given = {"FMNIST_TUI_LR": "0.5", "FMNIST_TUI_FLIP": "yes", "FMNIST_TUI_RUNS": "/x", "HOME": "/"}
    assert recipes.from_environment(given) == {"lr": 0.5, "flip": True}
    with pytest.raises(ConfigError, match=r"FMNIST_TUI_EPOCH.*FMNIST_TUI_EPOCHS"):
        recipes.from_environment({"FMNIST_TUI_EPOCH": "3"})
