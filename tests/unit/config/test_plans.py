"""The steps of a recipe, and which is next."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fmnist_tui.config import gpu_detect
from fmnist_tui.config.plans import EnsembleStep, Plan, TrainStep
from fmnist_tui.config.problems import ConfigError
from fmnist_tui.config.recipes import EnsembleMembers, Recipe, Stage
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.protocol.events import FAILED, FINISHED, STOPPED
from fmnist_tui.util.errors import UserError

FIRST, SECOND, THIRD = Path("/runs/first"), Path("/runs/second"), Path("/runs/third")
STAGES = (
    Stage("pretrain", {"classes": [0, 1, 2]}),
    Stage("adapt", {"classes": [3, 4], "freeze": "convolutions", "epochs": 7}),
)
TWO = Recipe("two", "", {"epochs": 3, "batch_size": 64}, stages=STAGES)
MANY = Recipe("many", "", {"seed": 10}, ensemble=EnsembleMembers(3, "flip"))


def configs(plan: Plan) -> list[RunConfig]:
    return [step.config for step in plan.steps if isinstance(step, TrainStep)]


def now(plan: Plan) -> RunConfig:
    step = plan.next
    assert isinstance(step, TrainStep)
    return step.config


def test_a_plain_recipe_is_one_run() -> None:
    plan = Plan.from_recipe(Recipe("plain", "", {"epochs": 2}), {"lr": 0.5})
    assert now(plan) == RunConfig(recipe="plain", epochs=2, lr=0.5)
    assert plan.heading == ""
    done = plan.advance(FINISHED, FIRST)
    assert done.next is None and done.remaining == 0


def test_a_later_stage_starts_from_the_previous_run() -> None:
    plan = Plan.from_recipe(TWO)
    assert plan.heading == "stage 1 of 2: pretrain"
    first = now(plan)
    assert (first.recipe, first.classes, first.start, first.epochs) == (
        "two-pretrain",
        (0, 1, 2),
        None,
        3,
    )
    plan = plan.advance(FINISHED, FIRST)
    assert plan.heading == "stage 2 of 2: adapt"
    second = now(plan)
    assert (second.recipe, second.classes, second.start, second.freeze, second.epochs) == (
        "two-adapt",
        (3, 4),
        str(FIRST),
        "convolutions",
        7,
    )
    done = plan.advance(FINISHED, SECOND)
    assert done.next is None and done.remaining == 0 and done.heading == ""
    assert done.runs == (FIRST, SECOND)


@pytest.mark.parametrize("reason", [STOPPED, FAILED, "detached", ""])
def test_no_step_follows_a_run_that_has_not_finished(reason: str) -> None:
    broken = Plan.from_recipe(TWO).advance(reason, FIRST)
    assert broken.next is None and broken.remaining == 1


def test_changes_apply_to_every_stage_except_for_its_own_settings() -> None:
    first, second = configs(Plan.from_recipe(TWO, {"epochs": 1, "lr": 0.5, "dataset": "sketches"}))
    assert (first.epochs, second.epochs) == (1, 7)
    assert first.lr == second.lr == 0.5
    assert first.dataset == second.dataset == "sketches"


def test_a_start_in_the_changes_applies_to_the_first_stage() -> None:
    plan = Plan.from_recipe(TWO, {"start": "elsewhere"})
    assert now(plan).start == "elsewhere"
    assert now(plan.advance(FINISHED, FIRST)).start == str(FIRST)


def test_a_stage_with_a_start_of_its_own_is_not_linked() -> None:
    stages = (*STAGES, Stage("third", {"start": "/a/file.pth"}))
    plan = Plan.from_recipe(Recipe("three", "", {}, stages=stages))
    plan = plan.advance(FINISHED, FIRST).advance(FINISHED, SECOND)
    assert now(plan).start == "/a/file.pth"


def test_a_third_stage_starts_from_the_second() -> None:
    stages = (*STAGES, Stage("third", {"body_lr": 0.1}))
    plan = Plan.from_recipe(Recipe("three", "", {}, stages=stages)).advance(FINISHED, FIRST)
    plan = plan.advance(FINISHED, SECOND)
    assert (plan.heading, now(plan).start) == ("stage 3 of 3: third", str(SECOND))


def test_a_stage_may_begin_with_new_weights_and_train_the_same_on_all_images() -> None:
    stages = (
        Stage("choose", {"test": False}),
        Stage("retrain", {"start": "none", "val_fraction": 0.0}),
    )
    plan = Plan.from_recipe(Recipe("two", "", {"epochs": 9}, stages=stages), {"lr": 0.5})
    first = now(plan)
    second = now(plan.advance(FINISHED, FIRST))
    assert set(second.differences(first)) == {"recipe", "val_fraction", "test"}
    assert (first.test, second.test, second.val_fraction, second.lr) == (False, True, 0.0, 0.5)


def test_an_invalid_stage_is_refused_before_training() -> None:
    stages = (STAGES[0], Stage("adapt", {"freeze": "convolutions", "flip": True}))
    with pytest.raises(ConfigError, match="recipe two: flip = true: MNIST must not be mirrored"):
        Plan.from_recipe(Recipe("two", "", {"dataset": "mnist"}, stages=stages))
    with pytest.raises(ConfigError, match=r"freeze.*set start"):
        Plan.from_recipe(TWO, {"freeze": "convolutions"})


def test_members_differ_in_seed_and_an_ensemble_follows() -> None:
    plan = Plan.from_recipe(MANY)
    assert [config.seed for config in configs(plan)] == [10, 11, 12]
    headings = []
    for run in (FIRST, SECOND, THIRD):
        headings.append(plan.heading)
        assert now(plan).start is None
        plan = plan.advance(FINISHED, run)
    assert headings == ["member 1 of 3", "member 2 of 3", "member 3 of 3"]
    assert plan.heading == "ensemble of 3"
    assert plan.next == EnsembleStep("ensemble of 3", "flip", (FIRST, SECOND, THIRD))
    assert plan.advance(FINISHED, Path("/runs/all")).next is None


def test_a_seed_in_the_changes_shifts_the_seeds_of_all_members() -> None:
    assert [config.seed for config in configs(Plan.from_recipe(MANY, {"seed": 100}))] == [
        100,
        101,
        102,
    ]


def test_a_failed_member_ends_the_plan() -> None:
    plan = Plan.from_recipe(MANY).advance(FINISHED, FIRST).advance(FAILED, SECOND)
    assert plan.next is None and plan.remaining == 2


def test_a_plan_from_the_form_applies_its_changes_to_all_runs() -> None:
    first = configs(Plan.from_recipe(TWO))[0].changed(lr=0.5, classes=(1, 2))
    plan = Plan.starting_with(first, TWO)
    assert now(plan) == first
    second = now(plan.advance(FINISHED, FIRST))
    assert (second.lr, second.classes, second.start) == (0.5, (3, 4), str(FIRST))


GPU = Recipe("quick", "", {"batch_size": 64, "epochs": 3}, gpu={"batch_size": 2048})


@pytest.mark.parametrize(
    ("present", "changes", "batch_size"),
    [
        (False, {}, 64),
        (True, {}, 2048),
        (True, {"device": "cpu"}, 64),
        (False, {"device": "cuda:1"}, 2048),
        (True, {"batch_size": 512}, 512),
        (True, {"device": "mps"}, 64),
    ],
)
def test_gpu_settings_apply_if_a_gpu_is_used_and_changes_override_them(
    monkeypatch: pytest.MonkeyPatch, present: bool, changes: dict[str, Any], batch_size: int
) -> None:
    monkeypatch.setattr(gpu_detect, "has_gpu", lambda: present)
    assert GPU.config(**changes).batch_size == batch_size


def test_a_stage_overrides_gpu_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_detect, "has_gpu", lambda: True)
    stages = (Stage("one", {}), Stage("two", {"epochs": 9}))
    recipe = Recipe("x", "", {"epochs": 3}, gpu={"epochs": 30}, stages=stages)
    assert [config.epochs for config in configs(Plan.from_recipe(recipe))] == [30, 9]


@pytest.mark.parametrize(
    ("visible", "made_for", "counted", "expected"),
    [
        (None, 13, (1, 13), True),
        (None, 12, (1, 13), True),
        (None, 13, (1, 12), False),
        (None, 13, (0, 0), False),
        (None, None, (1, 13), False),
        ("", 13, (1, 13), False),
        ("-1", 13, (1, 13), False),
        ("0,1", 13, (2, 13), True),
        ("0,7", 13, (1, 13), True),
        ("7", 13, (1, 13), False),
        ("GPU-5f1e", 13, (1, 13), True),
    ],
)
def test_a_gpu_counts_if_torch_and_driver_support_it_and_it_is_visible(
    monkeypatch: pytest.MonkeyPatch,
    visible: str | None,
    made_for: int | None,
    counted: tuple[int, int],
    expected: bool,
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(gpu_detect, "_torch_cuda_version", lambda: made_for)
    monkeypatch.setattr(gpu_detect, "_query_driver", lambda: counted)
    assert gpu_detect.has_gpu.__wrapped__() is expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("cuda: Optional[str] = '13.2'", 13),
        ("cuda = '12.8'", 12),
        ("cuda: Optional[str] = None", None),
        ("hip = '6.4'", None),
    ],
)
def test_the_cuda_version_of_torch_is_read_from_its_version_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str, expected: int | None
) -> None:
    (tmp_path / "version.py").write_text(f"__version__ = '9'\ndebug = False\n{line}\n")

    class Spec:
        origin = str(tmp_path / "__init__.py")

    monkeypatch.setattr("importlib.util.find_spec", lambda name: Spec())
    assert gpu_detect._torch_cuda_version() == expected


def test_tta_applies_to_the_ensemble_and_invalid_tta_is_refused_at_once() -> None:
    plan = Plan.from_recipe(MANY, {"tta": "flip+shift"})
    assert [config.tta for config in configs(plan)] == ["none"] * 3
    assert plan.steps[-1] == EnsembleStep("ensemble of 3", "flip+shift")
    with pytest.raises(ConfigError, match="MNIST must not be mirrored"):
        Plan.from_recipe(MANY, {"dataset": "mnist"})


def test_starts_are_resolved_once_for_all_runs() -> None:
    plan = Plan.from_recipe(MANY, {"start": "last"}).resolve_starts(lambda start: f"/runs/{start}")
    assert [config.start for config in configs(plan)] == ["/runs/last"] * 3
    # The weights of the previous run do not exist yet.
    staged = Plan.from_recipe(TWO).resolve_starts(lambda start: f"/runs/{start}")
    assert now(staged.advance(FINISHED, FIRST)).start == str(FIRST)


@pytest.mark.parametrize(
    ("change", "why"),
    [({"runs": "abcd"}, "more runs than steps"), ({"linked": True}, "its first step is linked")],
    ids=str,
)
def test_a_plan_that_cannot_be_carried_out_is_refused(
    tmp_path: Path, change: dict[str, Any], why: str
) -> None:
    document = json.loads(Plan.for_seeds(RunConfig(), 2).to_json())
    document["steps"][0] |= change
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(document | change))
    with pytest.raises(UserError, match=why):
        Plan.from_file(file)
