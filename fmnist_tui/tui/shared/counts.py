"""Counts that the user types into a dialog."""

from __future__ import annotations


def parse_count(text: str, lowest: int, highest: int) -> int | None:
    """The whole number in `text`; None unless it is one from `lowest` (1 or more) to `highest`."""
    digits = text.strip().lstrip("0")
    # Python refuses to convert thousands of digits.
    if not digits.isdecimal() or len(digits) > len(str(highest)):
        return None
    return int(digits) if lowest <= int(digits) <= highest else None
