"""ASCII characters that stand in for others, where nothing else can be shown."""

from __future__ import annotations

import unicodedata

_SIMILAR = {
    **dict.fromkeys("─━╌┄┈╴╶╸╺═⎺⎽–—−", "-"),
    **dict.fromkeys("│┃╎┆┊║▏▎▍▌▐▕┤├", "|"),
    **dict.fromkeys("┌┐└┘╭╮╰╯┬┴┼┏┓┗┛╋╔╗╚╝✓", "+"),
    **dict.fromkeys("█▇▀▊▋▉▓◆", "#"),
    **dict.fromkeys("▶▸→≥", ">"),
    **dict.fromkeys("◀←↵⏎⌫≤", "<"),
    **dict.fromkeys("▲△↑␛␡", "^"),
    **dict.fromkeys("▼▽▾↓√", "v"),
    **dict.fromkeys("░·", "."),
    # The heights of a small curve
    **dict(zip("▁▂▃▄▅▆", "_.-=+*", strict=True)),
    "…": "~",
    "±": "+-",  # A ~ before a figure says that it was measured during the training.
    **dict.fromkeys("×✗", "x"),
    **dict.fromkeys("“”", '"'),
    **dict.fromkeys("‘’", "'"),
    **dict(zip("▒‖●•⚙○°◉÷\N{NO-BREAK SPACE}", "==***oo@/ ", strict=True)),
}


def similar_ascii(character: str) -> str:
    """The ASCII character (for `±` two) that looks most like this one; `?` if none does."""
    if character in _SIMILAR:
        return _SIMILAR[character]
    if "\u2800" <= character <= "\u28ff":  # braille, by how many dots are set
        return " .:*#"[min(4, ((ord(character) - 0x2800).bit_count() + 1) // 2)]
    letter = unicodedata.normalize("NFKD", character)[0]
    return letter if letter.isascii() and letter.isprintable() else "?"
