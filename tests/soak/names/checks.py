"""What a terminal may not be sent, and names that are read as markup."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from typing import Any
from unittest.mock import patch

import rich.console
import rich.markup
import textual.content
from rich.segment import Segment
from wcwidth import wcwidth

from tests.soak.names.hostile import MARK

# The codes of a program that prints lines: colours without blinking, which is in hostile names
# alone; the cursor; the lines of a progress display.
_OURS = re.compile(r"\x1b\[(?!5;)[0-9;]*m|\x1b\[\?25[lh]|\x1b\[2K|\x1b\[1?A|\r")
_FOREIGN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200d-\u200f\u2028-\u202e\u2060-\u2064"
    "\u2066-\u206f\ufe0f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
# A line break within a hostile name stands before this.
_BROKEN = re.compile(r"\n *NL")
_MARKS = re.compile("[\u0300-\u036f\u0483-\u0489\u0e47-\u0e4e]{9}")


def find_foreign(printed: bytes) -> str:
    """What a terminal was sent that is not the program's own, with what is around it."""
    try:
        text = _OURS.sub("", printed.decode())
    except UnicodeDecodeError as error:
        return f"sent {error}"
    return find_in_text(text)


def find_in_text(text: str) -> str:
    found = _FOREIGN.search(text) or _BROKEN.search(text) or _MARKS.search(text)
    return f"sent {text[max(0, found.start() - 60) : found.end() + 20]!a}" if found else ""


def find_in_line(line: Sequence[Segment], width: int) -> str:
    """What is wrong with a line of a screen: its text, its width, or what a click does."""
    text = "".join(segment.text for segment in line if not segment.control)
    cells = sum(max(0, wcwidth(character)) for character in text)
    if cells != width:
        return f"{cells} cells in {width}: {ascii(text)[:300]}"
    for segment in line:
        style = segment.style
        if style is not None and (style.link or "@click" in style.meta):
            return f"a link in {ascii(segment.text)[:200]}"
    return find_in_text(text)


@contextlib.contextmanager
def recorded_markup() -> Iterator[list[str]]:
    """The texts with hostile names that are read as markup and come out as another text."""
    texts: list[str] = []
    parse: Any = vars(textual.content.Content)["from_markup"].__func__
    render = rich.markup.render  # noqa: TID251

    def from_markup(cls: Any, markup: Any, /, **variables: object) -> Any:
        content = parse(cls, markup, **variables)
        if (
            isinstance(markup, str)
            and MARK in markup
            and (content.spans or content.plain != _unescaped(markup))
        ):
            texts.append(f"read as markup: {ascii(markup)[:200]}")
        return content

    def render_rich(markup: str, *args: Any, **options: Any) -> Any:
        if MARK in markup:
            texts.append(f"read as markup: {ascii(markup)[:200]}")
        return render(markup, *args, **options)

    with (
        patch.object(textual.content.Content, "from_markup", classmethod(from_markup)),
        patch.object(rich.markup, "render", render_rich),
        patch.object(rich.console, "render_markup", render_rich),
    ):
        yield texts


def _unescaped(markup: str) -> str:
    return markup.replace("\\[", "[")
