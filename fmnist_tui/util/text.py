"""Makes strings from outside safe to show.

File names, class names and error messages may contain control characters. They all go
through `safe_text` before they reach a screen, a log line or a title.
"""

from __future__ import annotations

import re
import unicodedata

STYLE_CODE = re.compile(r"\x1b\[([0-9;]*)m")

_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_SEPARATORS = "\u2028\u2029"
_INVISIBLE = (
    "\u00ad\u180e\u200b\u2060-\u2064\u206a-\u206f\ufeff\ufff9-\ufffb"
    "\U0001d173-\U0001d17a\U000e0000-\U000e007f"
)
_CONTROLS = re.compile(f"[\x00-\x1f\x7f-\x9f\ud800-\udfff{_BIDI}{_SEPARATORS}{_INVISIBLE}]")
# Terminals disagree on the width of what these join, follow or make up: what they get instead.
_DISPUTED = {
    "\u200d": "\u200c",
    **dict.fromkeys(("\ufe0f", *map(chr, range(0x1F3FB, 0x1F400))), ""),
    **{chr(0x1F1E6 + number): chr(ord("A") + number) for number in range(26)},
}
_IS_DISPUTED = re.compile(f"[{''.join(_DISPUTED)}]")
# More marks than this on one character are drawn across the lines above and below.
_MAX_MARKS = 6
_MAYBE_MARKS = re.compile(rf"[^\w\x00-\u02ff\u2000-\u20cf\u2100-\u2bff]{{{_MAX_MARKS + 1},}}")


def _name_control(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"


def _limit_marks(match: re.Match[str]) -> str:
    """A run of characters that are no letters, with a few marks on each."""
    kept: list[str] = []
    marks = 0
    for character in match.group():
        is_mark = unicodedata.category(character) in ("Mn", "Me")
        marks = marks + 1 if is_mark else 0
        if marks <= _MAX_MARKS:
            kept.append(character)
    return "".join(kept)


def without_controls(value: object) -> str:
    """`value` as text without characters that control a terminal, reorder text or are not seen.

    C0 controls and DEL become their symbols (␛ for escape); C1 controls, bidirectional and
    invisible controls, line separators and lone surrogates become �.
    """
    return _CONTROLS.sub(_name_control, str(value))


def safe_text(value: object, limit: int | None = None) -> str:
    """`value` as text without controls that is as wide as it counts, in every terminal.

    Emoji stand alone, flags become letters, and a character has at most a few marks. A `limit`
    shortens the text in the middle.
    """
    text = without_controls(value)
    if not text.isascii():
        text = _IS_DISPUTED.sub(lambda match: _DISPUTED[match.group()], text)
        text = _MAYBE_MARKS.sub(_limit_marks, text)
    if limit is None or len(text) <= limit:
        return text
    if limit <= 1:
        return "…"[:limit]
    tail = (limit - 1) // 2
    return f"{text[: limit - 1 - tail]}…{text[len(text) - tail :]}"


def cell_width(text: str) -> int:
    """The cells that a text takes: two for an ideograph, none for a combining accent."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )


def shorten_middle(text: str, width: int) -> str:
    """A text that is safe to show, shortened in the middle to at most `width` cells."""
    text = safe_text(text)
    limit = len(text)
    while cell_width(text) > width:
        limit -= 1
        text = safe_text(text, limit)
    return text


def safe_lines(text: str) -> str:
    """Lines of text, each as `safe_text`."""
    return "\n".join(map(safe_text, text.split("\n")))


def strip_style(text: str) -> str:
    """`text` without the escape codes for colours and styles."""
    return STYLE_CODE.sub("", text)
