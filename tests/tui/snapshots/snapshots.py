"""What a screen shows, as text that can be kept and compared: characters, then colours.

After the characters comes one letter for the style of each cell, where it differs from
the one before it, and a legend of the letters. A change is read like any other in a diff.
"""

from __future__ import annotations

import string
from collections.abc import Iterator

from rich.segment import Segment
from rich.style import Style
from textual.app import App

LETTERS = string.ascii_letters + string.digits + "".join(map(chr, range(0x3B1, 0x3FF)))


def picture(app: App[int]) -> str:
    """All that is on the screen of `app` now."""
    legend: dict[str, str] = {}
    characters, styles = [], []
    for line in app.screen._compositor.render_strips(app.size):
        characters.append("".join(segment.text for segment in line).rstrip())
        styles.append("".join(_letters(line, legend)).rstrip())
    meanings = [f"{letter} {meaning}" for meaning, letter in legend.items()]
    return "\n".join([*characters, "", *styles, "", *meanings, ""])


def _letters(line: object, legend: dict[str, str]) -> Iterator[str]:
    before = ""
    assert hasattr(line, "__iter__")
    for segment in line:
        assert isinstance(segment, Segment)
        meaning = _meaning(segment.style)
        letter = legend.setdefault(meaning, LETTERS[min(len(legend), len(LETTERS) - 1)])
        width = segment.cell_length
        if width:
            yield ("." if letter == before else letter) + "." * (width - 1)
        before = letter


def _meaning(style: Style | None) -> str:
    if style is None:
        return "plain"
    words = [
        word
        for word in ("bold", "dim", "italic", "underline", "reverse", "strike")
        if getattr(style, word)
    ]
    front = style.color.get_truecolor().hex if style.color else "default"
    back = style.bgcolor.get_truecolor().hex if style.bgcolor else "default"
    return " ".join([front, "on", back, *words])
