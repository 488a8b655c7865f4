"""The screen in ASCII, for terminals and locales that support nothing else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from fmnist_tui.util.ascii_text import similar_ascii


class AsciiFilter(LineFilter):
    """Replaces every character by an ASCII one, or two if it is wide."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment
            if segment.control or segment.text.isascii()
            else Segment(to_ascii(segment.text), segment.style)
            for segment in segments
        ]


@lru_cache(maxsize=4096)
def to_ascii(text: str) -> str:
    """The text in ASCII, in the same number of cells."""
    # The space before a ± has the cell that +- needs.
    return "".join(_replace(character) for character in text.replace(" ±", "+-"))


def needs_ascii(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the terminal or the locale supports only ASCII."""
    if environment.get("TERM", "") in ("dumb", "vt100", "vt220"):
        return True
    names = ("LC_ALL", "LC_CTYPE", "LANG")
    locale = next((environment[name] for name in names if environment.get(name)), "utf8")
    return locale.lower().replace("-", "").rpartition(".")[2] != "utf8"


def _replace(character: str) -> str:
    if character.isascii():
        return character
    width, similar = cell_len(character), similar_ascii(character)
    return "?" * width if similar == "?" else similar.ljust(width)[:width]
