"""Counts that the user types into a dialog."""

from __future__ import annotations


def parse_count(text: str, lowest: int, highest: int) -> int | None:
    """The whole number in `text`, at least 1; None if it is none or out of range."""
    digits = text.strip().lstrip("0")
    # Python refuses to convert thousands of digits.
    if not digits.isdecimal() or len(digits) > len(str(highest)):
        return None
    return int(digits) if lowest <= int(digits) <= highest else None
