"""The screen in ASCII, for terminals and locales that support nothing else."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_SAME_WIDTH = {
    **dict.fromkeys("─━╌┄┈╴╶╸╺═▁▂⎺⎽–—−", "-"),
    **dict.fromkeys("│┃╎┆┊║▏▎▍▌▐▕┤├", "|"),
    **dict.fromkeys("┌┐└┘╭╮╰╯┬┴┼┏┓┗┛╋╔╗╚╝✓", "+"),
    **dict.fromkeys("█▇▆▅▄▃▀▊▋▉▓◆", "#"),
    **dict.fromkeys("▶▸→≥", ">"),
    **dict.fromkeys("◀←↵⏎≤", "<"),
    **dict.fromkeys("▲△↑", "^"),
    **dict.fromkeys("▼▽↓", "v"),
    **dict.fromkeys("░·", "."),
    **dict.fromkeys("…±", "~"),
    **dict.fromkeys("×✗", "x"),
    **dict.fromkeys("“”", '"'),
    **dict.fromkeys("‘’", "'"),
    **dict(zip("▒●○◉÷\N{NO-BREAK SPACE}", "=*o@/ ", strict=True)),
}


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
    return "".join(_replace(character) for character in text)


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
    if character in _SAME_WIDTH:
        return _SAME_WIDTH[character]
    if "\u2800" <= character <= "\u28ff":  # braille, by how many dots are set
        return " .:*#"[min(4, ((ord(character) - 0x2800).bit_count() + 1) // 2)]
    width = cell_len(character)
    letter = unicodedata.normalize("NFKD", character)[0]
    if letter.isascii() and letter.isprintable():
        return letter.ljust(width)[:width]
    return "?" * width
