"""Thumbnails by the page: as many as fit, each fetched by its number when it is drawn."""

from __future__ import annotations

import textwrap
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy.typing as npt
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Offset, Region
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.style import Style
from textual.widget import Widget

from fmnist_tui.render.renderers import draw_image
from fmnist_tui.tui.widgets.gallery_layout import ZOOMS, GalleryLayout, plan
from fmnist_tui.tui.widgets.picture import ground, known_renderer, strips

# Drawn tiles kept: a few pages of the smallest.
_KEPT = 1024
# Captions of so many cells hold words.
_WORDS = 10


@dataclass(frozen=True)
class Tile:
    """An image, its caption, and a second line where there is room for one."""

    image: npt.NDArray[Any]
    caption: Content
    note: Content = Content("")  # noqa: RUF009 - contents are never changed


@dataclass(frozen=True, slots=True)
class _Drawn:
    image: list[Strip]
    captions: tuple[Content, Content]


class Gallery(Widget, can_focus=True):
    """Numbered tiles, a page at a time, with a cursor on one of them."""

    DEFAULT_CSS = "Gallery { height: 1fr; min-height: 3; }"
    KEYS_TITLE = "Pictures"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "move(-1, 0)", "Left", show=False, id="gallery.left"),
        Binding("right,l", "move(1, 0)", "Right", show=False, id="gallery.right"),
        Binding("up,k", "move(0, -1)", "Up", show=False, id="gallery.up"),
        Binding("down,j", "move(0, 1)", "Down", show=False, id="gallery.down"),
        Binding("pageup", "turn(-1)", "Page back", show=False, id="gallery.back"),
        Binding("pagedown", "turn(1)", "Page on", show=False, id="gallery.on"),
        Binding("home", "first", "First picture", show=False, id="gallery.first"),
        Binding("end", "last", "Last picture", show=False, id="gallery.last"),
        Binding("enter", "open", "Open", id="gallery.open"),
    ]

    cursor: reactive[int] = reactive(0, repaint=False, init=False)
    zoom: reactive[str] = reactive("full")
    renderer: reactive[str] = reactive("halfblock")

    class Moved(Message):
        """The cursor has come to another tile, or other tiles are on its page."""

        def __init__(self, gallery: Gallery, number: int) -> None:
            super().__init__()
            self.gallery, self.number = gallery, number

        @property
        def control(self) -> Gallery:
            return self.gallery

    class Opened(Message):
        """A tile was chosen with enter or a double click."""

        def __init__(self, gallery: Gallery, number: int) -> None:
            super().__init__()
            self.gallery, self.number = gallery, number

        @property
        def control(self) -> Gallery:
            return self.gallery

    def __init__(
        self,
        *,
        id: str | None = None,  # noqa: A002 - Textual's name for it
        classes: str | None = None,
    ) -> None:
        self._labels = (Content(""), Content(""))
        self._labelling = False
        super().__init__(id=id, classes=classes)
        self.count = 0
        self._fetch: Callable[[int], Tile] | None = None
        self._empty = ""
        self._kept: OrderedDict[int, _Drawn] = OrderedDict()
        self._kept_for: object = None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self.count > 0 if action == "open" else True

    # -- what is shown ------------------------------------------------------------------

    def show(self, count: int, fetch: Callable[[int], Tile], empty: str, at: int = 0) -> None:
        """Show `count` tiles, the cursor on number `at`; where there are none, say `empty`."""
        if bool(count) != bool(self.count):
            self.refresh_bindings()
        self.count, self._fetch, self._empty = count, fetch, empty
        self.set_reactive(Gallery.cursor, self.validate_cursor(at))
        self.redraw()
        self._page_changed()

    def redraw(self) -> None:
        """Fetch the tiles anew: they look different now."""
        self._kept.clear()
        self.refresh()

    def label(self, title: Content, subtitle: Content) -> None:
        """Write on the border. Setting its titles alone would paint every picture anew."""
        if self._labels != (title, subtitle):
            self._labels = (title, subtitle)
            self._labelling = True
            self.border_title, self.border_subtitle = title, subtitle
            self._labelling = False

    def refresh(
        self,
        *regions: Region,
        repaint: bool = True,
        layout: bool = False,
        recompose: bool = False,
    ) -> Self:
        if self._labelling:
            width, height = self.outer_size
            above = Region(0, 0, width, 1).translate(-self.content_offset)
            regions = (above, above.translate((0, height - 1)))
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def go_to(self, number: int) -> None:
        """Put the cursor on a tile and show its page."""
        self.cursor = number

    @property
    def plan(self) -> GalleryLayout:
        return plan(self.zoom, self.size.width, self.size.height)

    @property
    def page_size(self) -> int:
        return self.plan.page_size

    @property
    def page(self) -> int:
        """Which page is shown, from 0."""
        return self.cursor // self.page_size

    @property
    def shown(self) -> range:
        """The numbers of the tiles on this page."""
        size = self.page_size
        start = self.cursor // size * size
        return range(start, min(self.count, start + size))

    @property
    def place(self) -> str:
        """`7–12 of 50,000`, or `7 of 50,000` where a page holds one."""
        shown = self.shown
        if not shown:
            return "none"
        last = f"–{shown.stop:,}" if len(shown) > 1 else ""
        return f"{shown.start + 1:,}{last} of {self.count:,}"

    # -- moving --------------------------------------------------------------------------

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
        self.post_message(self.Moved(self, after))

    def watch_zoom(self) -> None:
        self.redraw()
        self._page_changed()

    def on_resize(self) -> None:
        self._page_changed()

    def _page_changed(self) -> None:
        if self.count:
            self.post_message(self.Moved(self, self.cursor))

    def watch_renderer(self) -> None:
        self.redraw()

    def action_move(self, across: int, down: int) -> None:
        wanted = self.cursor + across + down * self.plan.across
        if 0 <= wanted < self.count:
            self.cursor = wanted
        elif down > 0 and self.count:
            # Below a shorter last line lies its end, not nothing.
            line = self.cursor // self.plan.across
            if line < (self.count - 1) // self.plan.across:
                self.cursor = self.count - 1

    def action_turn(self, pages: int) -> None:
        self.cursor += pages * self.page_size

    def action_first(self) -> None:
        self.cursor = 0

    def action_last(self) -> None:
        self.cursor = self.count - 1

    def action_open(self) -> None:
        if self.count:
            self.post_message(self.Opened(self, self.cursor))

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
        form = self.plan
        across, down = form.pitch
        column, row = (offset.x - form.left) // across, offset.y // down
        if not (0 <= column < form.across and 0 <= row < form.down):
            return None
        number = self.shown.start + row * form.across + column
        return number if number in self.shown else None

    def _caption_region(self, number: int) -> Region:
        """Where the caption of a tile of this page stands."""
        form = self.plan
        across, down = form.pitch
        row, column = divmod(number - self.shown.start, form.across)
        return Region(form.left + column * across, row * down + form.rows, form.columns, 1)

    # -- drawing -------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        if not self.count:
            return self._empty_line(y)
        style, width, form = self.visual_style, self.size.width, self.plan
        base = style.rich_style
        across, down = form.pitch
        row, line = divmod(y, down)
        # Blanks between captions look like them, so that the line is written in one go.
        blank = base if line >= form.rows else ground(base)
        parts = [Strip.blank(form.left, blank)]
        start = self.shown.start + row * form.across
        if row < form.down and line < form.rows + form.captions:
            for number in range(start, min(self.shown.stop, start + form.across)):
                part = self._tile_line(number, line, form, style)
                parts.append(part.adjust_cell_length(form.columns, blank))
                parts.append(Strip.blank(across - form.columns, blank))
        return Strip.join(parts).adjust_cell_length(width, blank).simplify()

    def _tile_line(self, number: int, line: int, form: GalleryLayout, style: Style) -> Strip:
        drawn = self._tile(number, form.columns, style)
        if line < form.rows:
            return drawn.image[line] if line < len(drawn.image) else Strip([])
        caption = drawn.captions[line - form.rows]
        # Where there is no room for words, a sign in place of a letter says less.
        ellipsis = form.columns >= _WORDS
        if number == self.cursor and line == form.rows:
            style += Style(reverse=True) if self.has_focus else Style(bold=True)
            fitted = caption.truncate(form.columns - 2, ellipsis=ellipsis)
            caption = Content("[") + fitted + Content("]")
        else:
            caption = caption.truncate(form.columns, ellipsis=ellipsis)
        return Strip(caption.render_segments(style))

    def _tile(self, number: int, columns: int, style: Style) -> _Drawn:
        wanted = (columns, style)
        if self._kept_for != wanted:
            self._kept.clear()
            self._kept_for = wanted
        drawn = self._kept.get(number)
        if drawn is None and self._fetch is not None:
            tile = self._fetch(number)
            rows = draw_image(tile.image, self.renderer, columns)
            drawn = _Drawn(strips(rows, style.rich_style), (tile.caption, tile.note))
            self._kept[number] = drawn
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        if drawn is None:
            raise LookupError(f"tile {number} of a gallery that shows nothing")
        return drawn

    def _empty_line(self, y: int) -> Strip:
        style = self.visual_style
        width, height = self.size
        lines = [
            part
            for line in self._empty.splitlines()
            for part in (textwrap.wrap(line, max(1, width)) or [""])
        ]
        top = max(0, (height - len(lines)) // 2)
        text = lines[y - top].center(width) if top <= y < top + len(lines) else ""
        base = style.rich_style
        return Strip(Content(text).render_segments(style)).adjust_cell_length(width, ground(base))
