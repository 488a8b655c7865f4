"""Seeded hostile names."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence

# Part of every name: what is read as markup and holds it came from a name.
MARK = "ZQ"
_NAME_BYTES = 255

# Codes that the program itself never sends.
ESCAPES = (
    "\x1b[2J", "\x1b[5;35m", "\x1bc", "\x1b]0;title\x07", "\x1b]52;c;cm0gLXJm\x07",
    "\x1b]8;;http://x.example\x1b\\", "\x1b[?1049l", "\x1b[6n", "\x1bP+q\x1b\\", "\x1b_G\x1b\\",
    "\x1b[", "\x1b",
)  # fmt: skip
CONTROLS = (
    "\x9b2J", "\x9d52;c;eA==\x9c", "\x90q\x9c", "\x85", "\x07", "\x08\x08", "\x0b", "\x0c", "\r",
    "\nNL", "\n\nNL", "\t", "\x7f", "\x01", "\x0e",
)  # fmt: skip
DIRECTIONS = ("\u202e", "\u202d\u202c", "\u2066x\u2069", "\u200f", "\u061c", "\u2028", "\u2029")
INVISIBLE = ("\u200b", "\u200d", "\u200c", "\ufeff", "\u00ad", "\u2060", "\U000e0041", "\ufe0f")
WIDTHS = (
    "a" + "\u0301" * 80, "\u0e01" + "\u0e49" * 40, "\u0489" * 30, "クラス", "é", "e\u0301",
    "👩\u200d🔬", "❤\ufe0f", "🇩🇪", "👍🏽", "한글", "\u1100\u1161", "ｆｕｌｌ", "…", "̈",
)  # fmt: skip
MARKUP = (
    "[red]hi", "[/]", "[@click=app.exit]x[/]", "[link=http://x.example]x[/link]", "[old] runs",
    "a[/b]c", "[bold $error on red]", "[$primary]x", "\\[red]", "\\\\[red]x\\", "[", "]", "[[",
    "[#ff0000]", "[not", "[on red]x[/on red]", ":smile:", ":+1:", "[b][i]x[/i]", "[%s]", "[]",
)  # fmt: skip
PROGRAMS = (
    "<script>alert(1)</script>", "&amp;<b>", "{{7*7}}", "{0}", "%s%n", "=cmd|' /C calc'!A0",
    "+1+1", "@SUM(1)", "-1", "--csv", "-rf", "'", '"', "a'b\"c", "`id`", "$(id)", "~", "..", "*",
    ",", ";", "\\", "\\n", "?x#y", "%41", "a: b", "# x", "= x",
)  # fmt: skip
BYTES = (
    b"\xff", b"\xfe\xff", b"\xc3(", b"\xe2\x82", b"\x9b2J", b"\xed\xa0\x80", b"caf\xe9",
)  # fmt: skip
BLANKS = (" ", "   ", "\u3000", "\u00a0")


def hostile_names(count: int, seed: int = 0) -> list[str]:
    """So many different names, the same for the same seed; all kinds are among the first."""
    rng = random.Random(seed)
    kinds: list[Callable[[], str]] = [
        *(
            lambda parts=parts: rng.choice(parts)
            for parts in (
                ESCAPES,
                CONTROLS,
                DIRECTIONS,
                INVISIBLE,
                WIDTHS,
                MARKUP,
                MARKUP,
                PROGRAMS,
            )
        ),
        lambda: os.fsdecode(rng.choice(BYTES)),
        lambda: rng.choice(BLANKS),
        lambda: rng.choice(("\ud800", "\udfff", "\udcff\ud83d")),
        lambda: rng.choice((*ESCAPES, *MARKUP, *WIDTHS)) * 600,
    ]
    return [_name(index, rng, kinds) for index in range(count)]


def _name(index: int, rng: random.Random, kinds: Sequence[Callable[[], str]]) -> str:
    parts = [kinds[index % len(kinds)]()]
    parts += [rng.choice(kinds)() for _ in range(rng.choice((0, 1, 2)))]
    mark = f"{MARK}{index}"
    # What is hostile stands first, where options and hidden files begin, or last.
    is_long = sum(map(len, parts)) > _NAME_BYTES // 4
    parts.insert(0 if is_long else rng.choice((0, 1, len(parts))), mark)
    return "".join(parts)[:4000]


def file_name(name: str, suffix: str = "") -> str:
    """The name as one of a file: as much as a file system takes."""
    text = name.replace("/", "\u2215").replace("\0", "").lstrip(".") or "_"
    raw = text.encode("utf-8", "surrogateescape" if _is_encodable(text) else "replace")
    return os.fsdecode(raw[: _NAME_BYTES - len(suffix)]) + suffix


def is_unicode(name: str) -> bool:
    """Whether it has no surrogates."""
    return name == name.encode("utf-8", "replace").decode()


def _is_encodable(text: str) -> bool:
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True
