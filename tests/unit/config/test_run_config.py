"""Validation of configs and its messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist_tui.config import plugins, recipes, run_config
from fmnist_tui.config.problems import ConfigError, format_setting
from fmnist_tui.config.run_config import (
    FIELDS,
    RunConfig,
    find_doubts,
    find_problems,
    parse_setting,
)


def _problem(**values: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        RunConfig.build(values)
    assert len(caught.value.problems) == 1
    line = str(caught.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    ("values", "key", "parts"),
    [
        ({"epoch": 5}, "epoch", ["no such setting", '"epochs"']),
        ({"epochs": "five"}, "epochs = 'five'", ["a whole number from 1 to 100,000"]),
        ({"epochs": True}, "epochs = true", ["a whole number"]),
        ({"epochs": 2.5}, "epochs = 2.5", ["a whole number"]),
        ({"flip": 1}, "flip = 1", ["true or false"]),
        ({"lr": -1.0}, "lr = -1.0", ["a number above 0"]),
        ({"lr": float("nan")}, "lr = nan", ["a number above 0"]),
        ({"dropout": 1.0}, "dropout = 1.0", ["below 1"]),
        ({"limit": 0}, "limit = 0", ["or all"]),
        ({"device": "gpu"}, "device = 'gpu'", ["auto, cpu, mps, cuda or cuda:N"]),
        ({"schedule": "cosin"}, "schedule", ["one of constant, onecycle, cosine"]),
        ({"model": "tow-conv"}, "model", ['did you mean "two-conv"', "custom-cnn"]),
        ({"optimizer": "admw"}, "optimizer", ['"adamw"', "sgd"]),
        ({"dataset": "fasion"}, "dataset", ['"fashion"', "folder:PATH"]),
        ({"dataset": "folder:"}, "dataset", ["unknown"]),
        ({"dataset": "mnist", "flip": True}, "flip = true", ["must not be mirrored", "false"]),
        ({"dataset": "both:x", "flip": True}, "flip = true", ["must not be mirrored"]),
        ({"dataset": "mnist", "tta": "flip"}, "tta", ["allowed is none"]),
        ({"cutmix": 1.0, "fmix": 1.0}, "fmix", ["cannot be used with cutmix"]),
        ({"lookahead": 5}, "lookahead", ["needs averaged weights"]),
        ({"patience": 3, "val_fraction": 0.0}, "patience = 3", ["needs a validation split"]),
        ({"classes": [0, 11]}, "classes", ["the classes 0 to 9"]),
        ({"classes": [3]}, "classes", ["two classes or more"]),
        ({"classes": [3, 3]}, "classes", ["twice"]),
        ({"classes": "Shirt,Cot"}, "classes", ["'Cot'", '"Coat"']),
        ({"input_size": 32}, "input_size = 32", ["28×28"]),
        ({"colour": True}, "colour = true", ["grey"]),
        ({"shift": 28}, "shift = 28", ["below the image's side"]),
        ({"mixup": 0.2, "cutmix": 1.0}, "cutmix = 1.0", ["mixup"]),
        ({"limit": 50_001}, "limit = 50001", ["50,000"]),
        ({"start": ""}, "start = ''", ["a run (id, part of its name, path)", "or none"]),
        ({"freeze": "body"}, "freeze = 'body'", ["no weights to keep", "set start"]),
        ({"renew": "dense"}, "renew = 'dense'", ["leave it empty"]),
        (
            {"freeze": "a b", "start": "x"},
            "freeze = 'a b'",
            ["'a b' is not the name", "convolutions"],
        ),
        ({"freeze": 3}, "freeze = 3", ["convolutions, dense, body", "or none"]),
        ({"body_lr": 0.0}, "body_lr = 0.0", ["a number above 0, at most 1"]),
        ({"body_lr": 1.5}, "body_lr = 1.5", ["at most 1"]),
        (
            {"start": "x", "freeze": "0, body", "body_lr": 0.5},
            "body_lr = 0.5",
            ["all but the head is frozen", "allowed is 1"],
        ),
    ],
)
def test_each_problem_is_one_line_with_the_key_and_the_allowed_values(
    values: dict[str, Any], key: str, parts: list[str]
) -> None:
    line = _problem(**values)
    assert line.startswith(key)
    for part in parts:
        assert part in line


def test_all_problems_are_reported_at_once() -> None:
    problems = find_problems({"epochs": 0, "lr": "fast", "modle": "x"})
    assert {problem.key for problem in problems} == {"epochs", "lr", "modle"}


def test_a_config_without_values_is_the_default_and_has_no_problems() -> None:
    assert find_problems({}) == []
    assert RunConfig.build({}) == RunConfig()


def test_classes_may_be_names_or_numbers_and_become_numbers() -> None:
    assert RunConfig.build({"classes": ["Shirt", 2]}).classes == (6, 2)
    assert RunConfig.build({"classes": "3, ankle boot"}).classes == (3, 9)
    assert RunConfig.build({"dataset": "mnist", "classes": "3,4"}).classes == (3, 4)
    assert RunConfig.build({"dataset": "folder:x", "classes": "0,7"}).classes == (0, 7)


def test_the_path_of_a_dataset_is_kept_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for written in ("folder:boots", "folder:./x/../boots/", f"folder:{tmp_path}/boots"):
        assert RunConfig.build({"dataset": written}).dataset == f"folder:{tmp_path}/boots"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert RunConfig.build({"dataset": "idx:~/set"}).dataset == f"idx:{tmp_path}/set"


def test_a_changed_config_is_validated_again() -> None:
    plain = RunConfig(flip=True)
    with pytest.raises(ConfigError, match="mirrored"):
        plain.changed(dataset="mnist")
    assert plain.changed(epochs=9).differences(plain) == {"epochs": (9, 5)}


def test_every_setting_has_a_description_a_group_and_allowed_values() -> None:
    for name, field in FIELDS.items():
        assert (
            field.description
            and run_config.setting_group(name)
            and run_config.describe_allowed(name)
        )
        assert run_config.setting_type(name) in (bool, int, float, str, tuple)


@pytest.mark.parametrize("name", FIELDS)
def test_every_default_can_be_formatted_and_parsed(name: str) -> None:
    value = FIELDS[name].default
    text = format_setting(value).strip("'")
    assert parse_setting(name, text) == value


def test_text_of_the_wrong_type_is_left_to_validation() -> None:
    assert parse_setting("epochs", "five") == "five"
    assert parse_setting("flip", "maybe") == "maybe"
    assert parse_setting("flip", "ON") is True and parse_setting("flip", "0") is False
    assert parse_setting("limit", "none") is None


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "epochs": st.integers(1, 1000),
            "lr": st.floats(1e-9, 10),
            "flip": st.booleans(),
            "classes": st.lists(st.integers(0, 9), min_size=2, max_size=10, unique=True),
            "limit": st.integers(1, 50_000) | st.none(),
            "recipe": st.text(min_size=1, max_size=60),
            "dataset": st.sampled_from(["folder:/a b/ü\\x", "folder:/𖹀", "folder:/\udcff"]),
        },
    ).filter(lambda values: "dataset" not in values or not values.get("limit"))
)
def test_a_config_written_as_toml_is_read_back_the_same(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]
) -> None:
    plain = RunConfig.build(values)
    path = tmp_path_factory.mktemp("toml") / "config.toml"
    text = recipes.to_toml(plain, {"torch": "2", "threads": 2})
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert recipes.read_recipe(path).config() == plain


def test_parts_are_listed_once_each_and_none_means_no_parts() -> None:
    built = RunConfig.build({"start": "x", "freeze": " 0,convolutions, 0 ,layer*.conv[12]"})
    assert built.freeze == "0, convolutions, layer*.conv[12]"
    assert RunConfig.build({"freeze": "none"}).freeze == ""
    assert RunConfig.build({"freeze": ""}).freeze == parse_setting("freeze", "None") == ""


@pytest.mark.parametrize(
    ("values", "doubt"),
    [
        ({"model": "torchvision:resnet18", "width": 2.0}, "width = 2 does nothing"),
        ({"model": "torchvision:resnet18", "dropout": 0.1}, "dropout = 0.1 does nothing"),
        ({"model": "linear", "width": 0.5}, "width = 0.5 does nothing: linear has no such setting"),
        ({"body_lr": 0.5}, "body_lr = 0.5 slows down all but the head: without a start"),
        ({"body_lr": 0.5, "start": "another"}, ""),
        ({"alternate_flip": True}, "alternate_flip does nothing: flip is off"),
        ({"alternate_flip": True, "flip": True}, ""),
        ({"augment_once": True, "mixup": 0.2}, "augment_once does nothing"),
        ({"augment_once": True, "erase": 0.2}, ""),
        (
            {"optimizer": "renormalised-muon", "weight_decay": 0.1},
            "weight_decay = 0.1 does nothing",
        ),
        ({"model": "two-conv", "width": 2.0, "dropout": 0.1}, ""),
    ],
)
def test_settings_that_do_nothing_or_hardly_what_was_meant_are_doubted(
    values: dict[str, Any], doubt: str
) -> None:
    doubts = [*find_doubts(RunConfig(**values))]
    assert len(doubts) == bool(doubt) and doubt in "".join(doubts)


def test_models_and_optimisers_of_our_own_are_checked_without_the_metadata_of_packages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def scan(kind: str) -> dict[str, Any]:
        raise AssertionError("all packages are looked at")

    monkeypatch.setattr(plugins, "_plugins", scan)
    assert RunConfig(model="two-conv", optimizer="muon").model == "two-conv"


@pytest.mark.parametrize("name", ["width", "dropout"])
def test_every_built_in_model_has_the_settings_that_are_not_doubted(name: str) -> None:
    for model in plugins.plugin_names("models"):
        if model == "wide-resnet-40":
            continue  # it is wide-resnet with more blocks
        source = Path(plugins._built_in("models")[model].replace(".", "/") + ".py")
        reads = {"width": "spec.wide(", "dropout": "spec.dropout"}[name]
        is_read = reads in (Path(plugins.__file__).parents[2] / source).read_text()
        assert is_read != (name in plugins.unused_settings(model)), model
