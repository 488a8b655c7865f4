"""Private parts of Textual that the dashboard depends on: these tests fail when one is removed."""

from __future__ import annotations

import inspect

import textual._wait
from textual._xterm_parser import XTermParser
from textual.command import CommandPalette
from textual.drivers.linux_driver import LinuxDriver


def test_the_palette_has_a_private_action_that_moves_its_cursor() -> None:
    """`command_palette.ActionPalette` overrides it for terminals without space for the list."""
    parameters = inspect.signature(CommandPalette._action_command_list).parameters
    assert list(parameters) == ["self", "action"]


def test_the_wait_step_of_pilot_can_be_changed() -> None:
    """`tests/tui/conftest.py` sets the length of a step."""
    assert isinstance(textual._wait.SLEEP_GRANULARITY, float)


def test_the_parser_of_keys_has_a_time_at_which_it_stops_waiting() -> None:
    """`input_decoder.InputDecoder` knows where a sequence ends and sets it."""
    parser = XTermParser()
    assert list(parser.feed("\x1b")) == []
    assert parser._timeout_time is not None


def test_the_driver_starts_the_threads_that_our_own_take_the_place_of() -> None:
    """`terminal_driver.py` replaces the class of one and the function of the other."""
    source = inspect.getsource(LinuxDriver.start_application_mode)
    assert "self._writer_thread = WriterThread(self._file)" in source
    assert "Thread(target=self._run_input_thread" in source
