"""The settings in the form."""

from __future__ import annotations

import pytest

from fmnist_tui.config.run_config import FIELDS, RunConfig
from fmnist_tui.tui.state.config_draft import ConfigDraft, format_setting
from tests.tui.support import CONFIG


def test_rows_are_headings_and_every_setting() -> None:
    rows = ConfigDraft(CONFIG.model_dump()).rows()
    assert [row.name for row in rows if not row.is_heading] == list(FIELDS)
    assert rows[0].is_heading


def test_an_invalid_value_is_kept_with_its_problem() -> None:
    draft = ConfigDraft(CONFIG.model_dump())
    assert draft.set("lr", "0.0x") == "must be a number above 0, at most 100"
    assert draft.config() is None
    row = next(row for row in draft.rows() if row.name == "lr")
    assert row.problem and row.value == "0.0x" and row.base == "0.003"
    assert draft.set("lr", "0.01") == ""
    config = draft.config()
    assert config is not None and config.lr == 0.01


def test_settings_that_contradict_each_other_are_reported_at_one_of_them() -> None:
    draft = ConfigDraft(CONFIG.model_dump())
    draft.set("dataset", "mnist")
    draft.cycle("flip", 1)
    assert "mirrored" in draft.problems["flip"]


def test_choices_cycle_and_text_does_not() -> None:
    draft = ConfigDraft(CONFIG.model_dump())
    first = draft.values["schedule"]
    draft.cycle("schedule", 1)
    assert draft.values["schedule"] != first
    draft.cycle("schedule", -1)
    assert draft.values["schedule"] == first
    assert not draft.cycle("lr", 1)


@pytest.mark.parametrize("name", list(FIELDS))
def test_a_formatted_value_is_parsed_as_the_same_value(name: str) -> None:
    config = CONFIG.changed(classes=(0, 3, 5), limit=500)
    draft = ConfigDraft(config.model_dump())
    draft.set(name, draft.format_value(name))
    assert draft.config() == config


def test_control_characters_in_values_are_escaped() -> None:
    assert "\x1b" not in format_setting("folder:/\x1b[2J")


def test_environment_variables_change_the_initial_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMNIST_TUI_EPOCHS", "7")
    assert ConfigDraft().values["epochs"] == 7
    assert ConfigDraft(RunConfig().model_dump()).values["epochs"] == RunConfig().epochs
