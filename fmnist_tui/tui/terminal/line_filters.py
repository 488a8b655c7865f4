"""What every line of the screen goes through on its way to the terminal."""

from __future__ import annotations

from textual.filter import LineFilter

from fmnist_tui.tui.terminal.ascii_filter import AsciiFilter
from fmnist_tui.tui.terminal.safe_filter import SafeFilter
from fmnist_tui.tui.terminal.short_colours import ShortColours


def create_line_filters(*, ascii_only: bool) -> list[LineFilter]:
    """Safe text, as ASCII where the terminal has nothing else, in short colour codes."""
    to_ascii = [AsciiFilter()] if ascii_only else []
    return [SafeFilter(), *to_ascii, ShortColours()]
