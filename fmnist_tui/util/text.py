"""Makes strings from outside safe to show.

File names, class names and error messages may contain control characters. They all go
through `safe_text` before they reach a screen, a log line or a title.
"""

from __future__ import annotations

import re

STYLE_CODE = re.compile(r"\x1b\[([0-9;]*)m")

_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_SEPARATORS = "\u2028\u2029"
_INVISIBLE = (
    "\u00ad\u180e\u200b\u2060-\u2064\u206a-\u206f\ufeff\ufff9-\ufffb"
    "\U0001d173-\U0001d17a\U000e0000-\U000e007f"
)
_UNSAFE = re.compile(f"[\x00-\x1f\x7f-\x9f\ud800-\udfff{_BIDI}{_SEPARATORS}{_INVISIBLE}]")


def _replacement(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"


def safe_text(value: object, limit: int | None = None) -> str:
    """`value` as text without characters that control a terminal or reorder text.

    C0 controls and DEL become their symbols (␛ for escape); C1 controls, bidirectional and
    invisible controls, line separators and lone surrogates become �. A `limit` shortens the
    text in the middle.
    """
    text = _UNSAFE.sub(_replacement, str(value))
    if limit is None or len(text) <= limit:
        return text
    if limit <= 1:
        return "…"[:limit]
    tail = (limit - 1) // 2
    return f"{text[: limit - 1 - tail]}…{text[len(text) - tail :]}"


def strip_style(text: str) -> str:
    """`text` without the escape codes for colours and styles."""
    return STYLE_CODE.sub("", text)
