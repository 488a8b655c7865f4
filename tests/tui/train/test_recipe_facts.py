"""What is known of the recipes from the runs of this machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fmnist_tui.config import recipes
from fmnist_tui.config.recipes import Recipe
from fmnist_tui.runs.listing import summarise_run
from fmnist_tui.tui.shared.recipe_facts import RecipeFacts, find_facts
from fmnist_tui.tui.shared.recipe_picker import RecipePicker, describe
from fmnist_tui.util.errors import UserError
from tests.tui.conftest import OpenDashboard
from tests.tui.support import make_run, record_toasts, wait_until


def load_measured_in_steps(name: str) -> Recipe:
    """A recipe of which only the seconds in training steps were measured."""
    recipe = recipes.load_recipe(name)
    return replace(
        recipe, measured=tuple(replace(each, warm_seconds=None) for each in recipe.measured)
    )


def test_the_seconds_of_other_recipes_are_expected_by_those_of_a_run_on_this_machine(
    tmp_path: Path,
) -> None:
    loaded = [load_measured_in_steps(name) for name in ("one-conv", "two-conv")]
    measured = {recipe.name: recipe.result for recipe in loaded}
    one, two = measured["one-conv"], measured["two-conv"]
    assert one is not None and two is not None
    run = summarise_run(make_run(tmp_path, loaded[0].config(seed=3), splits=()))
    run = replace(run, train_seconds=10 * one.seconds)
    first, second = find_facts(loaded, [run])
    assert first.last_run == run and first.expected_seconds == run.train_seconds
    assert second.last_run is None
    assert second.expected_seconds == pytest.approx(10 * two.seconds)
    assert find_facts(loaded, [])[1].expected_seconds is None


def test_a_run_of_fewer_epochs_tells_the_speed_and_is_no_run_of_the_recipe(
    tmp_path: Path,
) -> None:
    recipe = load_measured_in_steps("one-conv")
    measured = recipe.result
    assert measured is not None
    run = summarise_run(make_run(tmp_path, recipe.config(epochs=1), splits=()))
    run = replace(run, warm_seconds=99.0, train_seconds=2 * measured.seconds / 5)
    [facts] = find_facts([recipe], [run])
    assert facts.last_run is None
    assert facts.expected_seconds == pytest.approx(2 * measured.seconds)
    # What was measured as warm wall time is compared with the run's.
    recipe = replace(recipe, measured=(replace(measured, warm_seconds=33.0),))
    assert find_facts([recipe], [run])[0].expected_seconds == pytest.approx(5 * 99)


async def test_the_recipes_can_be_chosen_where_the_runs_cannot_be_listed(
    open_dashboard: OpenDashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(runs_dir: Path) -> list[RecipeFacts]:
        raise UserError(f"cannot read the runs in {runs_dir}")

    monkeypatch.setattr("fmnist_tui.tui.shared.recipe_picker.read_recipe_facts", refuse)
    async with open_dashboard("train") as (dashboard, pilot):
        toasts = record_toasts(monkeypatch)
        await pilot.press("f")
        await wait_until(pilot, lambda: any("cannot read the runs" in said for said in toasts))
        assert isinstance(dashboard.screen, RecipePicker)


def test_of_seconds_in_training_steps_it_is_said_first_where_a_narrow_dialog_keeps_it() -> None:
    described = describe(RecipeFacts(load_measured_in_steps("one-conv"))).plain
    assert "Measured (time in training steps): Fashion-MNIST" in described
