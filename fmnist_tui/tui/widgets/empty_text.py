"""The text in the middle of a widget that has nothing else to show."""

from __future__ import annotations

import textwrap

from textual.geometry import Size

from fmnist_tui.tui.key_names import name_keys
from fmnist_tui.util.text import safe_text


def empty_text_line(text: str, y: int, size: Size) -> str:
    """Line `y` of a text that is wrapped and centred in a widget of this size."""
    width, height = size
    wrapped = [
        textwrap.wrap(safe_text(name_keys(line)), max(1, width - 2)) for line in text.split("\n")
    ]
    lines = [part for parts in wrapped for part in parts or [""]]
    row = y - max(0, (height - len(lines)) // 2)
    return (lines[row] if 0 <= row < len(lines) else "").center(width)
