"""Images as terminal cells: pure functions from arrays to rows of text and colours.

`render` draws one image, `grid` several; `to_ansi` makes lines to print of either, and
`sheet` does all of it at once. A screen takes the rows and styles their runs itself.
"""

from fmnist_tui.render.ansi import Colours, to_ansi
from fmnist_tui.render.cells import Colour, Row, Run
from fmnist_tui.render.contact_sheet import FULL, SMALL, TINY, grid, sheet
from fmnist_tui.render.renderers import names, render

__all__ = [
    "FULL",
    "SMALL",
    "TINY",
    "Colour",
    "Colours",
    "Row",
    "Run",
    "grid",
    "names",
    "render",
    "sheet",
    "to_ansi",
]
