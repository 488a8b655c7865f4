"""Class names in little space, shortened by one rule wherever they are shown.

If all names of a set fit, they stay whole. If one does not, all that have a known short form take
it, and those that are still too long end in `…`. Two classes of one set never become the same:
they are cut in the middle instead, or end in their number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from string import ascii_uppercase

from fmnist_tui.util.text import cell_width, safe_text, shorten_middle

_SHORT_FORMS = {
    "T-shirt/top": "T-shirt",
    "Ankle boot": "Boot",
    **{f"{letter}{letter.lower()}": letter for letter in ascii_uppercase},
}


def short_names(names: Sequence[str], width: int) -> tuple[str, ...]:
    """The names of all classes of a set, safe to show, each in at most `width` cells."""
    return _short_names(tuple(names), width)


def short_name(names: Sequence[str], number: int, width: int) -> str:
    """The name of one class of a set, safe to show, in at most `width` cells."""
    return short_names(names, width)[number]


def short_pairs(
    names: Sequence[str], pairs: Sequence[tuple[int, int]], width: int, arrow: str = " → "
) -> list[str]:
    """`Shirt → Coat`, each in at most `width` cells; a class has one name in all of them."""
    texts: list[str] = []
    for limit in range(max(1, width - len(arrow) - 1), 0, -1):
        labels = short_names(names, limit)
        texts = [f"{labels[true]}{arrow}{labels[predicted]}" for true, predicted in pairs]
        if max(map(cell_width, texts), default=0) <= width:
            return texts
    return [shorten_middle(text, width) for text in texts]


def short_pair(
    names: Sequence[str], true: int, predicted: int, width: int, arrow: str = " → "
) -> str:
    """`Shirt → Coat` in at most `width` cells; the longer name is shortened first."""
    return short_pairs(names, [(true, predicted)], width, arrow)[0]


def names_width(names: Sequence[str], limit: int) -> int:
    """The cells that the names of a set take if each has `limit` at most."""
    return max(map(cell_width, short_names(names, limit)), default=0)


@lru_cache(maxsize=256)
def _short_names(names: tuple[str, ...], width: int) -> tuple[str, ...]:
    all_fit = all(cell_width(safe_text(name)) <= width for name in names)
    forms = [_forms(name, number, width, all_fit) for number, name in enumerate(names)]
    labels = [next(each) for each in forms]
    while True:
        users: dict[str, set[str]] = {}
        for label, name in zip(labels, names, strict=True):
            users.setdefault(label, set()).add(name)
        before = list(labels)
        for number, name in enumerate(names):
            if len(users[labels[number]]) > 1 and labels[number] != safe_text(name):
                labels[number] = next(forms[number], labels[number])
        if labels == before:
            return tuple(labels)


def _forms(name: str, number: int, width: int, prefer_whole: bool) -> Iterator[str]:
    """The forms of a name that fit, the best one first."""
    whole, short = safe_text(name), safe_text(_SHORT_FORMS.get(name, name))
    for form in (whole, short) if prefer_whole else (short, whole):
        if cell_width(form) <= width:
            yield form
    yield _cut(short if cell_width(short) > width else whole, width)
    yield shorten_middle(whole, width)
    ending = str(number)
    if len(ending) <= width:
        yield f"{_cut(whole, width - len(ending))}{ending}"


def _cut(text: str, width: int) -> str:
    """The text's beginning and `…`."""
    while text and cell_width(text) >= width:
        text = text[:-1]
    return f"{text.rstrip(' -_/.,')}…"[:width]
