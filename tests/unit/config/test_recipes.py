"""Recipes: the shipped ones are valid, and invalid ones are reported in one line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fmnist_tui.config import recipes
from fmnist_tui.config.measurement import format_result
from fmnist_tui.config.plans import Plan
from fmnist_tui.config.problems import ConfigError
from fmnist_tui.config.recipes import Claim, read_recipe
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text

README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
MEASURED = '[[measured]]\non = "x"\n'
VALID = f"{MEASURED}test_accuracy = 0.9\ntrain_seconds = 1\n"


@pytest.mark.parametrize("name", recipes.recipe_names())
def test_the_figures_of_every_shipped_recipe_stand_in_the_readme(name: str) -> None:
    measured = recipes.load_recipe(name).measured
    missing = [each for each in measured if format_result(each) not in README]
    assert missing == []


def test_the_result_of_a_recipe_is_that_of_its_last_stage_with_the_seconds_of_all() -> None:
    recipe = recipes.load_recipe("transfer")
    assert recipe.result is not None
    assert (recipe.result.stage, recipe.result.train_seconds) == ("adapt", 287)
    assert recipes.load_recipe("fast").summary == "Two small convolutions"


@pytest.mark.parametrize("name", recipes.recipe_names())
def test_every_shipped_recipe_is_valid_and_claims_something_or_says_that_it_has_not_run(
    name: str,
) -> None:
    recipe = recipes.load_recipe(name)
    assert recipe.name == name and recipe.about
    is_run = "not run yet" not in recipe.about
    kept = [claim for claim in recipe.claims if not claim.goal]
    assert bool(kept) == bool(recipe.measured) == is_run
    assert recipe.claims
    Plan.from_recipe(recipe)
    for claim in recipe.claims:
        Plan.from_recipe(recipe, claim.run)


def test_the_default_recipe_is_shipped() -> None:
    assert recipes.DEFAULT_RECIPE in recipes.recipe_names()


def test_an_unknown_recipe_is_refused_with_similar_names() -> None:
    with pytest.raises(UserError, match=r"unknown recipe 'two-cov'.*two-conv"):
        recipes.load_recipe("two-cov")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("epochs = 3", "epochs = 3: no such key"),
        ("[run", "not a readable TOML file"),
        ("run = 3", "must be a table"),
        ("[run]\nepoch = 3", "no such setting"),
        ('[run]\nlr = "0.1"', "lr = '0.1': must be a number"),
        ('[[claim]]\nmetric = "luck"\nat_least = 0.5', "claim.metric"),
        ('[[claim]]\nmetric = "test_accuracy"\nat_least = 93', "claim.at_least"),
        ('[[claim]]\nmetric = "test_accuracy"\nat_least = 0.9\nless = 1', "claim.less"),
        ("claim = 3", "must be tables"),
        ('[[claim]]\nmetric = "test_accuracy"', "set either at_least or at_most"),
        (
            '[[claim]]\nmetric = "test_accuracy"\nat_least = 0.1\nat_most = 0.2',
            "set either at_least or at_most",
        ),
        ('[[claim]]\nmetric = "train_seconds"\nat_most = -3', "claim.at_most = -3: must be a num"),
        ('[[claim]]\nmetric = "warm_seconds"\nat_most = true', "claim.at_most = true"),
        ('[[claim]]\nmetric = "test_accuracy"\nat_least = 1\nstage = "x"', "claim.stage"),
        ('[[claim]]\nmetric = "test_accuracy"\nat_least = 1\nabout = 3', "claim.about"),
        ('[[claim]]\nmetric = "test_accuracy"\nat_least = 1\ngoal = 1', "claim.goal = 1: must be"),
        ("measured = 3", "must be tables: [[measured]]"),
        (f"{MEASURED}test_accuracy = 92\ntrain_seconds = 1", "measured.test_accuracy = 92"),
        (f"{MEASURED}test_accuracy = 0.9", "measured.warm_seconds = none: set warm_seconds, train"),
        (f"{MEASURED}test_accuracy = 0.9\nwarm_seconds = 0", "measured.warm_seconds = 0: must be"),
        (f"{VALID}gpu = 1", "measured.gpu = 1: must be true or false"),
        (f'{VALID}stage = "x"', "measured.stage = 'x': no such stage"),
        (f"{VALID}val = 1", "measured.val = 1: no such key"),
        ("seeds = 0", "seeds = 0: must be a whole number from 1 to 64"),
        ("seeds = true", "seeds = true"),
        ("gpu = 3", "gpu = 3: must be a table"),
        ("[ensemble]\nseeds = 1", "ensemble.seeds = 1: must be a whole number from 2 to 64"),
        ("[ensemble]", "ensemble.seeds = none"),
        ('[ensemble]\nseeds = 2\ntta = "mirror"', "ensemble.tta = 'mirror': must be one of none"),
        ("[ensemble]\nseeds = 2\nmembers = 2", "ensemble.members"),
        ("stage = 3", "must be tables: [[stage]]"),
        ("[[stage]]\nrun = {}", "stage.name = none: must be a word"),
        ('[[stage]]\nname = "a b"\nrun = {}', "stage.name = 'a b'"),
        ('[[stage]]\nname = "a"', "stage.run = none: must be a table"),
        ('[[stage]]\nname = "a"\nrun = {}\nepochs = 3', "stage.epochs = 3: no such key"),
        (
            '[[stage]]\nname = "a"\nrun = {}\n[ensemble]\nseeds = 2',
            "cannot be combined with stages",
        ),
    ],
)
def test_an_invalid_recipe_is_reported_with_its_file_and_key(
    tmp_path: Path, text: str, part: str
) -> None:
    path = tmp_path / "broken.toml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        Plan.from_recipe(recipes.read_recipe(path))
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_config_file_is_named() -> None:
    with pytest.raises(UserError, match=r"none\.toml: there is no such config file"):
        recipes.read_recipe(Path("none.toml"))


def test_settings_come_from_the_environment_and_unknown_names_are_refused() -> None:
    environment = {
        "FMNIST_TUI_LR": "0.5",
        "FMNIST_TUI_FLIP": "yes",
        "FMNIST_TUI_RUNS": "/x",
        "HOME": "/",
    }
    assert recipes.settings_from_environment(environment) == {"lr": 0.5, "flip": True}
    with pytest.raises(ConfigError, match=r"FMNIST_TUI_EPOCH.*FMNIST_TUI_EPOCHS"):
        recipes.settings_from_environment({"FMNIST_TUI_EPOCH": "3"})


FULL = """
about = "all there is"
seeds = 5
[run]
epochs = 2
[gpu]
batch_size = 512
[[stage]]
name = "one"
run = { lr = 0.1 }
[[stage]]
name = "two"
run = { epochs = 1 }
[[claim]]
metric = "train_seconds"
at_most = 10
stage = "two"
"""


def test_a_recipe_may_have_stages_gpu_settings_and_claims(
    tmp_path: Path,
) -> None:
    path = tmp_path / "full.toml"
    path.write_text(FULL)
    recipe = recipes.read_recipe(path)
    assert recipe.name == "full" and recipe.seeds == 5
    assert recipe.gpu == {"batch_size": 512}
    assert [(stage.name, stage.run) for stage in recipe.stages] == [
        ("one", {"lr": 0.1}),
        ("two", {"epochs": 1}),
    ]
    assert recipe.claims == (Claim("train_seconds", at_most=10, stage="two"),)


def test_a_claim_is_met_up_to_its_bound() -> None:
    least, most = Claim("test_accuracy", at_least=0.9), Claim("train_seconds", at_most=10)
    assert least.is_met_by(0.9) and least.is_met_by(0.95) and not least.is_met_by(0.8999)
    assert most.is_met_by(10.0) and most.is_met_by(3.0) and not most.is_met_by(10.01)
    assert (least.bound, most.bound) == (0.9, 10)


def test_a_users_folder_adds_recipes_and_takes_precedence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.toml").write_text('about = "my own"')
    (tmp_path / "two-conv.toml").write_text('about = "not the shipped one"')
    monkeypatch.setenv("FMNIST_TUI_CONFIGS", str(tmp_path))
    assert {"mine", "one-conv", "two-conv"} <= set(recipes.recipe_names())
    assert recipes.recipe_names().count("two-conv") == 1
    assert recipes.load_recipe("mine").about == "my own"
    assert recipes.load_recipe("two-conv").about == "not the shipped one"
    monkeypatch.setenv("FMNIST_TUI_CONFIGS", str(tmp_path / "none"))
    with pytest.raises(UserError, match=r"FMNIST_TUI_CONFIGS = .*there is no such folder"):
        recipes.recipe_names()


def test_what_is_no_file_is_no_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMNIST_TUI_CONFIGS", str(tmp_path))
    os.mkfifo(tmp_path / "pipe.toml")
    with pytest.raises(UserError, match="unknown recipe 'pipe'"):
        recipes.load_recipe("pipe")


def test_a_file_of_very_many_mistakes_gets_a_short_answer(tmp_path: Path) -> None:
    path = tmp_path / "mistakes.toml"
    path.write_text("".join(f"k{number} = 1\n" for number in range(50_000)))
    with pytest.raises(ConfigError) as caught:
        read_recipe(path)
    lines = str(caught.value).splitlines()
    assert len(lines) == 21 and lines[-1] == f"{path}: and more problems like these"


def test_what_a_recipe_calls_itself_is_made_safe(tmp_path: Path) -> None:
    path = tmp_path / "name.toml"
    path.write_text(f'[run]\nrecipe = "\\u001b[31m{"x" * 5000}"\nclasses = "{"y" * 5000}"\n')
    with pytest.raises(ConfigError) as caught:
        read_recipe(path).config()
    for line in str(caught.value).splitlines():
        assert line == safe_text(line) and len(line) < 1000
