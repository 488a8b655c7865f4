"""Pages of thumbnails: as many as fit, each loaded by its number when it is drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy.typing as npt
from textual import events, on
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.content import Content
from textual.geometry import Offset, Region
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.style import Style

from fmnist_tui.render.contact_sheet import FULL, SMALL, TINY
from fmnist_tui.render.renderers import draw_image
from fmnist_tui.tui.widgets.empty_text import empty_text_line
from fmnist_tui.tui.widgets.image_view import background, known_renderer, to_strips
from fmnist_tui.tui.widgets.incremental import QuietTitles

# Zoom levels, largest first: columns and rows of a 28×28 image, lines of text below it.
ZOOMS = {"full": (FULL, 14, 2), "small": (SMALL, 7, 2), "tiny": (TINY, 4, 1)}
# Cached tiles: a few pages of the smallest.
_MAX_CACHED = 1024


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


@dataclass(frozen=True)
class Tile:
    """An image, its caption, and a second line if there is space for it."""

    image: npt.NDArray[Any]
    caption: Content
    note: Content = Content("")  # noqa: RUF009 - Content is immutable


# Returns the tile of a number, for images of so many columns.
FetchTile = Callable[[int, int], Tile]


@dataclass(frozen=True, slots=True)
class RenderedTile:
    image: list[Strip]
    captions: tuple[Content, Content]


@dataclass
class TileMessage(Message):
    """Something has happened to the tile of this number."""

    gallery: Gallery
    number: int

    @property
    def control(self) -> Gallery:
        return self.gallery


class Gallery(QuietTitles, can_focus=True):
    """Numbered tiles, a page at a time, with a cursor on one of them."""

    DEFAULT_CSS = "Gallery { height: 1fr; min-height: 3; }"
    KEYS_TITLE = "Images"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "move(-1, 0)", "Left", show=False, id="gallery.left"),
        Binding("right,l", "move(1, 0)", "Right", show=False, id="gallery.right"),
        Binding("up,k", "move(0, -1)", "Up", show=False, id="gallery.up"),
        Binding("down,j", "move(0, 1)", "Down", show=False, id="gallery.down"),
        Binding("pageup", "turn(-1)", "Previous page", show=False, id="gallery.back"),
        Binding("pagedown", "turn(1)", "Next page", show=False, id="gallery.on"),
        Binding("home", "first", "First image", show=False, id="gallery.first"),
        Binding("end", "last", "Last image", show=False, id="gallery.last"),
        Binding("enter", "open", "Open", id="gallery.open"),
    ]

    cursor: reactive[int] = reactive(0, repaint=False, init=False)
    zoom: reactive[str] = reactive("full")
    renderer: reactive[str] = reactive("halfblock")

    class CursorMoved(TileMessage):
        """The cursor is on another tile, or the page has changed."""

    class ImageOpened(TileMessage):
        """A tile was chosen with enter or a double click."""

    count = 0
    _fetch: FetchTile | None = None
    _empty = ""
    _cached_for: object = None

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._cache: LRUCache[int, RenderedTile] = LRUCache(_MAX_CACHED)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self.count > 0 if action == "open" else True

    def show(self, count: int, fetch: FetchTile, empty: str, at: int = 0) -> None:
        """Show `count` tiles with the cursor on number `at`; `empty` is the text without tiles."""
        if bool(count) != bool(self.count):
            self.refresh_bindings()
        self.count, self._fetch, self._empty = count, fetch, empty
        self.set_reactive(Gallery.cursor, self.validate_cursor(at))
        self.redraw()
        self._page_changed()

    def redraw(self) -> None:
        """Load the tiles again."""
        self._cache.clear()
        self.refresh()

    def go_to(self, number: int) -> None:
        """Move the cursor to a tile and show its page."""
        self.cursor = number

    @property
    def tile_layout(self) -> GalleryLayout:
        return plan_gallery(self.zoom, self.size.width, self.size.height)

    @property
    def page_size(self) -> int:
        return self.tile_layout.page_size

    @property
    def page(self) -> int:
        """The number of the page, from 0."""
        return self.cursor // self.page_size

    @property
    def page_numbers(self) -> range:
        """The numbers of the tiles on this page."""
        size = self.page_size
        start = self.cursor // size * size
        return range(start, min(self.count, start + size))

    @property
    def position(self) -> str:
        """`7–12 of 50,000`, or `7 of 50,000` for pages of one tile."""
        if not (numbers := self.page_numbers):
            return "none"
        last = f"–{numbers.stop:,}" if len(numbers) > 1 else ""
        return f"{numbers.start + 1:,}{last} of {self.count:,}"

    def validate_cursor(self, cursor: int) -> int:
        return max(0, min(self.count - 1, cursor))

    def validate_zoom(self, zoom: str) -> str:
        return zoom if zoom in ZOOMS else next(iter(ZOOMS))

    def validate_renderer(self, renderer: str) -> str:
        return known_renderer(renderer)

    def watch_cursor(self, before: int, after: int) -> None:
        size = self.page_size
        if before // size != after // size:
            self.refresh()
        else:
            self.refresh(self._caption_region(before), self._caption_region(after))
        self.post_message(self.CursorMoved(self, after))

    def watch_zoom(self) -> None:
        self.redraw()
        self._page_changed()

    @on(events.Resize)
    def _page_changed(self) -> None:
        if self.count:
            self.post_message(self.CursorMoved(self, self.cursor))

    def watch_renderer(self) -> None:
        self.redraw()

    def action_move(self, across: int, down: int) -> None:
        target = self.cursor + across + down * self.tile_layout.across
        if 0 <= target < self.count:
            self.cursor = target
        elif down > 0 and self.count:
            # Below the last line means the last tile, also if that line is shorter.
            line = self.cursor // self.tile_layout.across
            if line < (self.count - 1) // self.tile_layout.across:
                self.cursor = self.count - 1

    def action_turn(self, pages: int) -> None:
        self.cursor += pages * self.page_size

    def action_first(self) -> None:
        self.cursor = 0

    def action_last(self) -> None:
        self.cursor = self.count - 1

    def action_open(self) -> None:
        if self.count:
            self.post_message(self.ImageOpened(self, self.cursor))

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        number = self._number_at(offset) if offset is not None else None
        if number is not None:
            self.cursor = number
            if event.chain == 2:
                self.action_open()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.action_turn(1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.action_turn(-1)

    def _number_at(self, offset: Offset) -> int | None:
        layout = self.tile_layout
        across, down = layout.pitch
        column, row = (offset.x - layout.left) // across, offset.y // down
        if not (0 <= column < layout.across and 0 <= row < layout.down):
            return None
        number = self.page_numbers.start + row * layout.across + column
        return number if number in self.page_numbers else None

    def _caption_region(self, number: int) -> Region:
        """The region of the caption of a tile on this page."""
        layout = self.tile_layout
        across, down = layout.pitch
        row, column = divmod(number - self.page_numbers.start, layout.across)
        return Region(layout.left + column * across, row * down + layout.rows, layout.columns, 1)

    def render_line(self, y: int) -> Strip:
        style = self.visual_style
        base = style.rich_style
        if not self.count:
            text = Content(empty_text_line(self._empty, y, self.size))
            strip = Strip(text.render_segments(style))
            return strip.adjust_cell_length(self.size.width, background(base))
        layout = self.tile_layout
        across, down = layout.pitch
        row, line = divmod(y, down)
        # Spaces between captions have their style, so that the line is one segment.
        blank = base if line >= layout.rows else background(base)
        parts = [Strip.blank(layout.left, blank)]
        start = self.page_numbers.start + row * layout.across
        if row < layout.down and line < layout.rows + layout.captions:
            for number in range(start, min(self.page_numbers.stop, start + layout.across)):
                part = self._tile_line(number, line, layout, style)
                parts.append(part.adjust_cell_length(layout.columns, blank))
                parts.append(Strip.blank(across - layout.columns, blank))
        return Strip.join(parts).adjust_cell_length(self.size.width, blank).simplify()

    def _tile_line(self, number: int, line: int, layout: GalleryLayout, style: Style) -> Strip:
        tile = self._render_tile(number, layout.columns, style)
        if line < layout.rows:
            return tile.image[line] if line < len(tile.image) else Strip([])
        caption = tile.captions[line - layout.rows]
        caption = caption.truncate(layout.columns, ellipsis=True)
        if number == self.cursor and line == layout.rows:
            style += Style(reverse=True) if self.has_focus else Style(bold=True)
            if caption.cell_length + 2 <= layout.columns:
                caption = Content("[") + caption + Content("]")
        return Strip(caption.render_segments(style))

    def _render_tile(self, number: int, columns: int, style: Style) -> RenderedTile:
        if self._cached_for != (columns, style):
            self._cache.clear()
            self._cached_for = (columns, style)
        rendered = self._cache.get(number)
        if rendered is None:
            if self._fetch is None:
                raise LookupError(f"tile {number} of an empty gallery")
            tile = self._fetch(number, columns)
            rows = draw_image(tile.image, self.renderer, columns)
            rendered = RenderedTile(to_strips(rows, style.rich_style), (tile.caption, tile.note))
            self._cache[number] = rendered
        return rendered
