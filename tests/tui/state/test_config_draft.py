"""The settings of a run to come."""

from __future__ import annotations

import pytest

from fmnist_tui.config.run_config import FIELDS, RunConfig
from fmnist_tui.tui.state.config_draft import ConfigDraft, format_setting
from tests.tui.support import CONFIG


def test_every_setting_has_a_line_under_its_groups_heading() -> None:
    rows = ConfigDraft(CONFIG.model_dump()).rows()
    assert [row.name for row in rows if not row.is_heading] == list(FIELDS)
    assert rows[0].is_heading


def test_what_is_typed_is_checked_and_the_reason_stands_beside_it() -> None:
    draft = ConfigDraft(CONFIG.model_dump())
    assert draft.set("lr", "0.0x") == "must be a number above 0, at most 100"
    assert draft.config() is None
    row = next(row for row in draft.rows() if row.name == "lr")
    assert row.problem and row.value == "0.0x" and row.is_changed
    assert draft.set("lr", "0.01") == ""
    config = draft.config()
    assert config is not None and config.lr == 0.01


def test_impossible_combinations_are_told_at_the_field_they_are_about() -> None:
    draft = ConfigDraft(CONFIG.model_dump())
    draft.set("dataset", "mnist")
    draft.cycle("flip", 1)
    assert "mirrored" in draft.problems["flip"]


def test_choices_go_round_and_text_has_none() -> None:
    draft = ConfigDraft(CONFIG.model_dump())
    first = draft.values["schedule"]
    draft.cycle("schedule", 1)
    assert draft.values["schedule"] != first
    draft.cycle("schedule", -1)
    assert draft.values["schedule"] == first
    assert not draft.cycle("lr", 1)


@pytest.mark.parametrize("name", list(FIELDS))
def test_a_value_typed_as_it_is_shown_is_the_same_value(name: str) -> None:
    config = CONFIG.changed(classes=(0, 3, 5), limit=500)
    draft = ConfigDraft(config.model_dump())
    draft.set(name, draft.format_value(name))
    assert draft.config() == config


def test_shown_values_hold_nothing_that_steers_a_terminal() -> None:
    assert "\x1b" not in format_setting("folder:/\x1b[2J")


def test_the_environment_changes_what_a_form_begins_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FMNIST_TUI_EPOCHS", "7")
    assert ConfigDraft().values["epochs"] == 7
    assert ConfigDraft(RunConfig().model_dump()).values["epochs"] == RunConfig().epochs
