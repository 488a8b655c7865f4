"""What `--help` tells of the settings."""

from __future__ import annotations

import re

import pytest

from fmnist_tui.cli import main
from fmnist_tui.cli.support import options
from fmnist_tui.config import plugins, recipes, run_config


@pytest.fixture(autouse=True)
def _fresh_defaults() -> None:
    options._default_config.cache_clear()


def read_help(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, str]:
    """What a command's help tells of each flag, and of `epilog`."""
    assert main.run([*words, "--help"]) == 0
    text = capsys.readouterr().out
    parts = re.split(r"\n  (?=--?\w)|\n\n", text)
    told = {part.split()[0]: " ".join(part.split()) for part in parts if part.split()}
    return {**told, "epilog": " ".join(text.rpartition("\n\n")[2].split())}


@pytest.mark.parametrize("command", ["train", "lrfind", "ensemble"])
def test_help_shows_the_settings_that_a_command_uses_if_none_are_given(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = read_help(capsys, command)
    config = recipes.load_recipe(recipes.DEFAULT_RECIPE).config()
    assert told["--lr"].endswith(f"[{config.lr}]") and config.lr != run_config.RunConfig().lr
    assert told["--batch-size"].endswith(f"[{config.batch_size}]")
    assert told["--schedule"].endswith(f"[{config.schedule}]")
    assert recipes.DEFAULT_RECIPE in told["epilog"]


def test_help_shows_settings_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FMNIST_TUI_LR", "0.25")
    assert read_help(capsys, "train")["--lr"].endswith("[0.25]")


@pytest.mark.parametrize("words", [("recipes", "run"), ("sweep", "start"), ("sweep", "promote")])
def test_help_shows_no_settings_where_those_of_the_default_recipe_are_not_used(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert read_help(capsys, *words)["--lr"] == "--lr LR peak learning rate"


@pytest.mark.parametrize("name", ["model", "optimizer", "schedule", "tta", "dataset", "precision"])
def test_help_lists_the_values_of_a_setting(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = read_help(capsys, "train")[options.flag(name)]
    assert ", ".join(run_config.setting_choices(name)) in told


def test_names_of_models_of_other_packages_in_help_control_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "%s \x1b]0;t\x07\n[red]"
    monkeypatch.setattr(plugins, "_plugins", lambda kind: {name: None})
    assert main.run(["train", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "%s ␛]0;t␇␊[red]" in shown.replace("\n", " ").replace("  ", " ")
    assert "\x1b" not in shown and "\x07" not in shown
