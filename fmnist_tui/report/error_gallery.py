"""The errors as pictures: each with its true class, what it was taken for, and how surely."""

from __future__ import annotations

from collections.abc import Sequence

from fmnist_tui.analysis.predictions import Misclassified
from fmnist_tui.report.formatting import percent
from fmnist_tui.report.html import Html, join, tag
from fmnist_tui.report.pictures import ErrorGroup, ErrorPictures

_SHEET = "sheet"


def gallery(pictures: ErrorPictures, classes: Sequence[str]) -> Html:
    """The groups, one after the other, with their pictures cut out of one sheet."""
    width, height = pictures.across * pictures.side, pictures.down * pictures.side
    image = tag("image", href=pictures.uri, width=width, height=height, id=_SHEET)
    sheet = tag("svg", tag("defs", image), width=0, height=0, aria_hidden="true", class_="hidden")
    return join(sheet, *(_group(group, pictures, classes) for group in pictures.groups))


def _group(group: ErrorGroup, pictures: ErrorPictures, classes: Sequence[str]) -> Html:
    if group.true is None or group.predicted is None:
        title = "Most confident errors"
    else:
        title = f"{classes[group.true]} → {classes[group.predicted]}"
    count = tag("small", f" {len(group.misses)} of {group.count:,}")
    items = (_item(miss, pictures, classes) for miss in group.misses)
    return join(tag("h3", title, count), tag("ul", *items, class_="gallery"))


def _item(miss: Misclassified, pictures: ErrorPictures, classes: Sequence[str]) -> Html:
    x, y = pictures.corner(miss)
    true, said = classes[miss.true], classes[miss.predicted]
    picture = tag(
        "svg",
        tag("use", href=f"#{_SHEET}"),
        viewBox=f"{x} {y} {pictures.side} {pictures.side}",
        role="img",
        aria_label=f"picture {miss.index}: {true}, taken for {said}",
    )
    words = join(
        tag("span", true, class_="true"),
        tag("span", f"→ {said}"),
        tag("span", f"{percent(miss.probability, 1)} · #{miss.index}", class_="note"),
    )
    return tag("li", tag("figure", picture, tag("figcaption", words)))
