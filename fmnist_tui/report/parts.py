"""Parts that several sections of the page are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fmnist_tui.report.html import Child, Html, tag


def section(name: str, title: str, *children: Child, half: bool = False) -> Html:
    """A part of the page under a heading that the contents lead to; `half` of it is enough
    where there is much room."""
    heading = tag("h2", title, id=name)
    width = "half" if half else None
    return tag("section", heading, *children, class_=width, aria_labelledby=name)


def table(
    caption: str,
    heads: Sequence[str],
    rows: Iterable[Sequence[Child]],
    foot: Sequence[Child] | None = None,
) -> Html:
    """A table of figures: the first column names its row, the others stand to the right."""
    head = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in heads)))
    body = tag("tbody", *(_row(row) for row in rows))
    end = tag("tfoot", _row(foot)) if foot is not None else None
    return scrolled(caption, tag("table", tag("caption", caption), head, body, end))


def scrolled(name: str, inside: Html, *, class_: str = "wide") -> Html:
    """Something that may be wider than the page: it scrolls by itself, by keyboard too."""
    return tag("div", inside, class_=class_, role="region", aria_label=name, tabindex=0)


def pairs(rows: Iterable[tuple[str, Child]]) -> Html:
    """Names and what is to say of each."""
    entries = (tag("div", tag("dt", name), tag("dd", value)) for name, value in rows)
    return tag("dl", *entries)


def _row(cells: Sequence[Child]) -> Html:
    first, *rest = cells
    return tag("tr", tag("th", first, scope="row"), *(tag("td", cell) for cell in rest))
