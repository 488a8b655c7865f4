"""The whole screen in ASCII, for terminals and locales that have nothing else."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_SAME_WIDTH = {
    **dict.fromkeys("─━╌┄┈╴╶╸╺═▁▂⎺⎽", "-"),
    **dict.fromkeys("│┃╎┆┊║▏▎▍▌▐▕┤├", "|"),
    **dict.fromkeys("┌┐└┘╭╮╰╯┬┴┼┏┓┗┛╋╔╗╚╝", "+"),
    **dict.fromkeys("█▇▆▅▄▃▀▊▋▉▓", "#"),
    "▒": "=",
    "░": ".",
    "·": ".",
    "…": "~",
    "●": "*",
    "○": "o",
    "◉": "@",
    "▶": ">",
    "▸": ">",
    "◀": "<",
    "▲": "^",
    "△": "^",
    "▼": "v",
    "▽": "v",
    "←": "<",
    "→": ">",
    "↑": "^",
    "↓": "v",
    "↵": "<",
    "×": "x",
    "÷": "/",
    "±": "~",
    "–": "-",
    "—": "-",
    "−": "-",
    "≤": "<",
    "≥": ">",
    "✓": "+",
    "✗": "x",
    "◆": "#",
    "“": '"',
    "”": '"',
    "‘": "'",
    "’": "'",
    "\N{NO-BREAK SPACE}": " ",
}


class AsciiFilter(LineFilter):
    """Every character that leaves for the terminal as one of ASCII, or as two where it is wide."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment
            if segment.control or segment.text.isascii()
            else Segment(ascii_cells(segment.text), segment.style)
            for segment in segments
        ]


@lru_cache(maxsize=4096)
def ascii_cells(text: str) -> str:
    """The text in ASCII, taking as many cells as before."""
    return "".join(_cell(sign) for sign in text)


def wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the terminal or the locale can show nothing but ASCII."""
    if environment.get("TERM", "") in ("dumb", "vt100", "vt220"):
        return True
    locale = next(
        (environment[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if environment.get(name)),
        "",
    )
    return locale.lower().replace("-", "").rpartition(".")[2] not in ("utf8",) and bool(locale)


def _cell(sign: str) -> str:
    if sign.isascii():
        return sign
    if sign in _SAME_WIDTH:
        return _SAME_WIDTH[sign]
    if "\u2800" <= sign <= "\u28ff":  # braille, by how many dots are set
        return " .:*#"[min(4, ((ord(sign) - 0x2800).bit_count() + 1) // 2)]
    if unicodedata.combining(sign):
        return ""
    letter = unicodedata.normalize("NFKD", sign)[0]
    if letter.isascii() and letter.isprintable():
        return letter
    return "??" if unicodedata.east_asian_width(sign) in "WF" else "?"
