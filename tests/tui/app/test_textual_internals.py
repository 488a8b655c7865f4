"""Private parts of Textual that the dashboard depends on: these tests fail when they go."""

from __future__ import annotations

import inspect

import textual._wait
from textual.command import CommandPalette


def test_the_palette_moves_in_its_list_by_a_private_action() -> None:
    """`command_palette.ActionPalette` overrides it for terminals without space for the list."""
    parameters = inspect.signature(CommandPalette._action_command_list).parameters
    assert list(parameters) == ["self", "action"]


def test_pilot_waits_in_steps_that_tests_shorten() -> None:
    """`tests/tui/conftest.py` sets the length of a step."""
    assert isinstance(textual._wait.SLEEP_GRANULARITY, float)
