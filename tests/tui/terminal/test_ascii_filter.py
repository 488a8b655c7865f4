"""The screen in ASCII."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color

import fmnist_tui
from fmnist_tui.render.sparkline import draw_sparkline
from fmnist_tui.tui.terminal.ascii_filter import AsciiFilter, needs_ascii, to_ascii
from fmnist_tui.util.ascii_text import similar_ascii
from fmnist_tui.util.text import safe_text


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x2FFF), max_size=30))
def test_any_text_becomes_ascii_of_the_same_width(text: str) -> None:
    shown = safe_text(text)
    assert to_ascii(shown).isascii() and cell_len(to_ascii(shown)) == cell_len(shown)


@pytest.mark.parametrize(
    "text", ["╭─ loss ─╮", "▀▄█ 98 %", "Shirt → Coat", "±0.27 · ✓ … 28×14", "Ａ", "㎏", "e\u0301"]
)
def test_text_of_the_screens_keeps_its_width(text: str) -> None:
    assert cell_len(to_ascii(text)) == cell_len(text)


def test_every_sign_that_the_program_shows_has_an_ascii_form() -> None:
    # Not: names of classes in their own script, letters that a benchmark types, and the characters
    # that `safe_text` takes out.
    others = {"dataset_catalog.py", "probes.py", "text.py"}
    texts = [
        node.value
        for path in Path(fmnist_tui.__file__).parent.rglob("*.py")
        if path.name not in others
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    signs = {sign for text in texts for sign in text if sign.isprintable() and not sign.isascii()}
    assert len(signs) > 80 and {sign for sign in signs if similar_ascii(sign) == "?"} == set()


def test_wide_characters_keep_their_two_cells() -> None:
    assert to_ascii("おa") == "??a"


def test_the_enter_key_does_not_look_like_the_help_key() -> None:
    assert to_ascii("⏎ Open  ? keys") == "< Open  ? keys"


def test_half_an_interval_does_not_look_like_a_figure_of_the_training() -> None:
    assert to_ascii("~82.00 ±0.75 %") == "~82.00+-0.75 %"


def test_the_filter_replaces_the_text_of_segments() -> None:
    segments = AsciiFilter().apply([Segment("─é"), Segment("plain")], Color(0, 0, 0))
    assert [segment.text for segment in segments] == ["-e", "plain"]


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"LANG": "C"}, True),
        ({"LANG": "en_GB.ISO-8859-1"}, True),
        ({"LANG": "en_GB.UTF-8"}, False),
        ({"LANG": "C", "LC_ALL": "C.utf8"}, False),
        ({}, False),
        ({"LANG": "C.UTF-8", "TERM": "vt100"}, True),
    ],
)
def test_ascii_is_used_if_the_locale_or_the_terminal_requires_it(
    environment: dict[str, str], expected: bool
) -> None:
    assert needs_ascii(environment) is expected


def test_the_heights_of_a_small_curve_stay_apart() -> None:
    curve = draw_sparkline([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], 6, 0.1, 0.8)
    assert to_ascii(f"▸ ▾ {curve}") == "> v _.-=+*"
