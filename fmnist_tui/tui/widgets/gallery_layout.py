"""How many tiles of which size fit into a pane, and their positions."""

from __future__ import annotations

from dataclasses import dataclass

from fmnist_tui.render.contact_sheet import FULL, SMALL, TINY

# Zoom levels, largest first: columns and rows of a 28×28 image, lines of text below it.
ZOOMS = {"full": (FULL, 14, 2), "small": (SMALL, 7, 2), "tiny": (TINY, 4, 1)}


@dataclass(frozen=True, slots=True)
class GalleryLayout:
    """Tile size, number of tiles, gaps between them, margin on the left."""

    columns: int
    rows: int
    captions: int
    across: int
    down: int
    gap: int
    leading: int
    left: int

    @property
    def pitch(self) -> tuple[int, int]:
        """The distance from one tile to the next, in columns and rows."""
        return self.columns + self.gap, self.rows + self.captions + self.leading

    @property
    def page_size(self) -> int:
        return self.across * self.down


def plan_gallery(zoom: str, width: int, height: int) -> GalleryLayout:
    """The layout for a zoom level in this space, or for a smaller level if no tile would fit."""
    names = list(ZOOMS)
    columns, rows, captions = ZOOMS[names[-1]]
    for name in names[names.index(zoom) :]:
        columns, rows, captions = ZOOMS[name]
        if columns <= width and rows + 1 <= height:
            break
    captions = max(1, min(captions, height - rows))
    across = max(1, (width + 1) // (columns + 1))
    down = max(1, height // (rows + captions))
    spare = max(0, width - across * columns)
    gap = min(4, spare // (across - 1)) if across > 1 else 0
    below = max(0, height - down * (rows + captions))
    leading = min(2, below // (down - 1)) if down > 1 else 0
    left = (spare - gap * (across - 1)) // 2
    return GalleryLayout(columns, rows, captions, across, down, gap, leading, left)
