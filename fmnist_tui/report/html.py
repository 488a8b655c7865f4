"""HTML made of elements, in which no text can become markup.

Whatever is put into an element is escaped, unless an element made it; names of elements and
attributes come from this program alone.
"""

from __future__ import annotations

import html
from collections.abc import Iterable

from fmnist_tui.util.text import safe_text

_VOID = frozenset({"link", "meta", "br"})


class Html(str):
    """Markup made by `tag` or `text`: goes into a page as it is."""

    __slots__ = ()


Child = Html | str | int | None | Iterable[Html]
Attribute = str | int | float | None


def text(value: object) -> Html:
    """Any text, foreign or ours, as it is to be read."""
    return Html(html.escape(safe_text(value), quote=True))


def lines(value: str) -> Html:
    """Text of several lines, for `pre`."""
    return Html("\n".join(text(line) for line in value.splitlines()))


def tag(name: str, /, *children: Child, **attributes: Attribute) -> Html:
    """An element. `class_` is class, `aria_label` is aria-label; one that is None is left out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(_plain(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{join(*children)}</{name}>")


def join(*children: Child) -> Html:
    """Elements and texts one after the other."""
    return Html("".join(_inner(child) for child in children))


def _inner(child: Child) -> str:
    if child is None:
        return ""
    if isinstance(child, Html):
        return child
    if isinstance(child, (str, int)):
        return text(child)
    return "".join(child)


def _plain(value: Attribute) -> str:
    """A number as short as a drawing needs it."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)
