"""Draws several images side by side, each with a caption below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from fmnist_tui.render.ansi import Colours, to_ansi
from fmnist_tui.render.cells import Row, Run, merge_runs
from fmnist_tui.render.renderers import draw_image
from fmnist_tui.util.text import cell_width, shorten_middle

Image = npt.NDArray[Any]

FULL, SMALL, TINY = 28, 14, 7
"""Columns of a 28×28 image at full, half and quarter resolution."""

_GAP = 2


def draw_grid(
    images: Sequence[Image],
    captions: Sequence[str],
    columns: int,
    width: int,
    kind: str = "halfblock",
) -> tuple[Row, ...]:
    """The images, `columns` cells each, in as many lines as a width of `width` cells needs."""
    columns = max(1, min(columns, width))
    per_line = _count_per_line(columns, width)
    rows: list[Row] = []
    for start in range(0, len(images), per_line):
        if rows:
            rows.append(())
        drawings = [draw_image(image, kind, columns) for image in images[start : start + per_line]]
        for line in range(max(map(len, drawings))):
            rows.append(
                _join(
                    [drawing[line] if line < len(drawing) else () for drawing in drawings], columns
                )
            )
        names = [
            (Run(shorten_middle(text, columns)),) for text in captions[start : start + per_line]
        ]
        rows.append(_join(names, columns))
    return tuple(rows)


def draw_contact_sheet(
    images: Sequence[Image],
    captions: Sequence[str],
    width: int,
    kind: str | None = None,
    colours: Colours = "truecolor",
) -> list[str]:
    """The images as lines to print, in full resolution if two lines of images suffice."""
    columns = sheet_columns(len(images), width)
    kind = kind or ("ascii" if colours == "none" else "halfblock")
    return to_ansi(draw_grid(images, captions, columns, width, kind), colours)


def sheet_columns(count: int, width: int) -> int:
    """The columns of each of `count` images on a contact sheet."""
    return FULL if 2 * _count_per_line(FULL, width) >= count else SMALL


def _count_per_line(columns: int, width: int) -> int:
    return max(1, (width + _GAP) // (columns + _GAP))


def _join(parts: Sequence[Row], columns: int) -> Row:
    """Rows side by side, each padded to `columns` except the last."""
    runs: list[Run] = []
    for part in parts:
        runs.extend(part)
        runs.append(Run(" " * (columns - sum(cell_width(run.text) for run in part) + _GAP)))
    runs.pop()
    return merge_runs(runs)
