"""Several images side by side, each with a caption below it."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from fmnist_tui.render.ansi import Colours, to_ansi
from fmnist_tui.render.cells import Row, Run, row
from fmnist_tui.render.renderers import render
from fmnist_tui.util.text import safe_text

Image = npt.NDArray[Any]

FULL, SMALL, TINY = 28, 14, 7
"""Columns at which an image of 28×28 is shown pixel by pixel, at a half and at a quarter."""

_GAP = 2


def grid(
    images: Sequence[Image],
    captions: Sequence[str],
    columns: int,
    width: int,
    kind: str = "halfblock",
) -> tuple[Row, ...]:
    """The images, `columns` cells each, in as many lines as a screen of `width` cells needs."""
    columns = max(1, min(columns, width))
    abreast = _abreast(columns, width)
    rows: list[Row] = []
    for start in range(0, len(images), abreast):
        if rows:
            rows.append(())
        drawn = [render(image, kind, columns) for image in images[start : start + abreast]]
        for line in range(max(map(len, drawn))):
            rows.append(_joined([one[line] if line < len(one) else () for one in drawn], columns))
        names = [(Run(fitted(text, columns)),) for text in captions[start : start + abreast]]
        rows.append(_joined(names, columns))
    return tuple(rows)


def sheet(
    images: Sequence[Image],
    captions: Sequence[str],
    width: int,
    kind: str | None = None,
    colours: Colours = "truecolor",
) -> list[str]:
    """The images as lines to print: as large as fits in two lines of images, or else small."""
    fits = 2 * _abreast(FULL, width) >= len(images)
    kind = kind or ("ascii" if colours == "none" else "halfblock")
    return to_ansi(grid(images, captions, FULL if fits else SMALL, width, kind), colours)


def fitted(text: str, columns: int) -> str:
    """A caption of at most so many cells, whatever it contains."""
    text = safe_text(text)
    limit = len(text)
    while cells(text) > columns:
        limit -= 1
        text = safe_text(text, limit)
    return text


def cells(text: str) -> int:
    """How many cells a text takes: ideographs take two, accents of their own none."""
    return sum(
        0 if unicodedata.combining(sign) else 1 + (unicodedata.east_asian_width(sign) in "WF")
        for sign in text
    )


def _abreast(columns: int, width: int) -> int:
    return max(1, (width + _GAP) // (columns + _GAP))


def _joined(parts: Sequence[Row], columns: int) -> Row:
    """Rows side by side, each filled up to its columns; nothing stands at the end of the line."""
    runs: list[Run] = []
    for part in parts:
        runs.extend(part)
        runs.append(Run(" " * (columns - sum(cells(run.text) for run in part) + _GAP)))
    runs.pop()
    return row(runs)
