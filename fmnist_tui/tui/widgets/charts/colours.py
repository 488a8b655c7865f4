"""The colours of charts in a theme: lines, and in quiet colours their bands and the frame."""

from __future__ import annotations

from functools import lru_cache

from textual.color import Color

from fmnist_tui.render.line_chart import DIM, GUIDE
from fmnist_tui.tui import theme as themes

FRAME = "frame"
# How far the colour of a line is mixed with the background for its band.
_BAND_MIX = 0.6


@lru_cache(maxsize=8)
def chart_colours(dark: bool, background: str) -> dict[str, str]:
    """The colours that a drawn chart names."""
    lines = themes.LINES_DARK if dark else themes.LINES_LIGHT
    if not background.startswith("#"):  # the terminal's own
        background = "#121212" if dark else "#ffffff"
    behind = Color.parse(background)
    bands = {
        DIM + name: Color.parse(colour).blend(behind, _BAND_MIX).hex[:7]
        for name, colour in lines.items()
    }
    frame = Color.parse("#8a8a8a" if dark else "#6c6c6c")
    quiet = {
        FRAME: themes.move_away(frame, [behind], dark).hex,
        GUIDE: "#444444" if dark else "#bcbcbc",
    }
    return {**lines, **bands, **quiet}
