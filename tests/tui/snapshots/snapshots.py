"""The content of a screen as text that can be stored and compared: characters, then colours.

After the characters come the styles, a letter wherever the style changes, and a legend of the
letters. A change of colour is readable in a diff.
"""

from __future__ import annotations

import string
from collections.abc import Iterator

from rich.segment import Segment
from rich.style import Style
from textual.app import App

LETTERS = string.ascii_letters + string.digits + "".join(map(chr, range(0x3B1, 0x3FF)))


def screen_text(app: App[int]) -> str:
    """The characters and styles of the current screen."""
    legend: dict[str, str] = {}
    characters, styles = [], []
    for line in app.screen._compositor.render_strips(app.size):
        characters.append("".join(segment.text for segment in line).rstrip())
        styles.append("".join(_style_letters(line, legend)).rstrip())
    descriptions = [f"{letter} {description}" for description, letter in legend.items()]
    return "\n".join([*characters, "", *styles, "", *descriptions, ""])


def _style_letters(line: object, legend: dict[str, str]) -> Iterator[str]:
    previous = ""
    assert hasattr(line, "__iter__")
    for segment in line:
        assert isinstance(segment, Segment)
        description = _describe_style(segment.style)
        letter = legend.setdefault(description, LETTERS[min(len(legend), len(LETTERS) - 1)])
        width = segment.cell_length
        if width:
            yield ("." if letter == previous else letter) + "." * (width - 1)
        previous = letter


def _describe_style(style: Style | None) -> str:
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
