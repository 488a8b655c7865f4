"""The drawing behind the pad, and the tools below it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from fmnist_tui.tui.screens.predict.drawing import BRUSHES, Drawing
from fmnist_tui.tui.screens.predict.pad_tools import DRAW, ERASE, lay_out_tools, pad_tools, tool_at


def draw_box(drawing: Drawing) -> None:
    corners = [(8.5, 8.5), (19.5, 8.5), (19.5, 19.5), (8.5, 19.5), (8.5, 8.5)]
    for start, end in pairwise(corners):
        drawing.stroke(start, end, brush=1)


def test_a_fill_ends_at_the_strokes_around_it() -> None:
    drawing = Drawing()
    draw_box(drawing)
    assert drawing.pixels[14, 14] == 0
    assert drawing.fill((14, 14))
    assert (drawing.pixels[10:18, 10:18] == 255).all()
    assert drawing.pixels[:6].max() == drawing.pixels[:, 23:].max() == 0
    assert not drawing.fill((14, 14))
    # Points outside of the canvas count as its edge.
    assert drawing.fill((-3, 40))
    assert drawing.pixels[27, 0] == 255


def test_a_thicker_brush_draws_more_and_erases_what_it_drew() -> None:
    sums = []
    for brush in range(len(BRUSHES)):
        drawing = Drawing()
        drawing.stroke((6, 6), (20, 20), brush)
        sums.append(int(drawing.pixels.sum()))
        drawing.stroke((6, 6), (20, 20), brush, erase=True)
        assert drawing.is_blank
    assert sums == sorted(set(sums))


def test_undo_returns_to_each_remembered_state_that_differs() -> None:
    drawing = Drawing()
    assert drawing.undo() is None
    drawing.remember("blank")
    drawing.stroke((5, 5), (9, 5), 1)
    stroke = drawing.pixels
    drawing.remember("older")
    drawing.remember("stroke")
    drawing.clear()
    assert drawing.undo() == "stroke"
    assert np.array_equal(drawing.pixels, stroke)
    assert drawing.undo() == "blank"
    assert drawing.is_blank
    assert drawing.undo() is None


def test_the_tools_share_a_line_where_they_fit_and_say_which_one_is_chosen() -> None:
    tools = pad_tools(ERASE, 0)
    assert [tool.text for tool in tools if tool.is_current] == ["[erase]"]
    assert len(lay_out_tools(tools, 56)) == 1
    narrow = lay_out_tools(tools, 28)
    assert len(narrow) == 3
    brush = narrow[1]
    left, thicker = brush[2]
    assert thicker.action == "brush(1)"
    assert tool_at(brush, left + 1) == thicker
    assert tool_at(brush, 27) is None
    assert all(left + len(tool.text) <= 28 for line in narrow for left, tool in line)
    assert pad_tools(DRAW, 3)[4].text == f"brush 4/{len(BRUSHES)}"
