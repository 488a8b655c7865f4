"""What a widget draws on its way to the terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from rich.cells import cell_len
from rich.segment import ControlType, Segment
from textual.color import Color
from textual.widgets import Input

from fmnist_tui.tui.terminal.safe_filter import SafeFilter, to_safe_cells
from fmnist_tui.util.text import safe_text
from tests.tui.conftest import OpenDashboard
from tests.unit.support import TEXTS


@given(TEXTS)
def test_any_text_becomes_safe_in_the_same_number_of_cells(text: str) -> None:
    shown = to_safe_cells(text)
    assert safe_text(shown) == shown
    assert cell_len(shown) == cell_len(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b]52;c;eA==\x07b", "a]52;c;eA==b"),
        ("\x9b2J│", "2J│"),
        ("👩\u200d🔬x", "👩x"),
        ("❤\ufe0fx", "❤ x"),
        ("\u200dabc", "\u200cab"),
        ("\U0001f1e9\U0001f1ea", "DE"),
        ("e" + "\u0301" * 90, "e" + "\u0301" * 6),
    ],
)
def test_what_cannot_be_shown_is_left_out(text: str, shown: str) -> None:
    assert to_safe_cells(text) == shown


def test_safe_lines_and_control_codes_of_the_program_stay_as_they_are() -> None:
    line = [Segment("│ loss ▄▀"), Segment("\x1b[2J", None, [(ControlType.CLEAR,)])]
    assert SafeFilter().apply(line, Color(0, 0, 0)) == line


async def test_a_name_that_is_pasted_into_a_field_controls_no_terminal(
    open_dashboard: OpenDashboard,
) -> None:
    async with open_dashboard("runs") as (dashboard, pilot):
        await pilot.press("slash")
        dashboard.screen.query_one("#filter", Input).value = "boots\x1b]0;t\x07\u202e"
        await pilot.pause()
        strips = dashboard.screen._compositor.render_strips()
    lines = ["".join(segment.text for segment in strip) for strip in strips]
    assert any(line.strip().startswith("boots]0;t") for line in lines)
    assert "".join(lines) == safe_text("".join(lines))
