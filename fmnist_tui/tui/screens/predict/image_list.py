"""The list of image files with thumbnails and their predicted classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.cells import set_cell_size
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events, on
from textual.binding import Binding
from textual.cache import LRUCache
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from fmnist_tui.render.cells import Pixels
from fmnist_tui.render.renderers import draw_image
from fmnist_tui.tui.screens.predict.results import UNSURE_SIGN, Result
from fmnist_tui.tui.theme import text_colour
from fmnist_tui.tui.widgets.columns import (
    Column,
    fit_columns,
    fit_text,
    format_head,
    format_row,
    total_width,
)
from fmnist_tui.tui.widgets.image_view import background, known_renderer, to_strips
from fmnist_tui.tui.widgets.incremental import QuietTitles
from fmnist_tui.tui.widgets.line_table import LineTable
from fmnist_tui.util.class_names import short_name
from fmnist_tui.util.formatting import format_count, format_percent
from fmnist_tui.util.sequences import next_item
from fmnist_tui.util.text import safe_text

# Sizes of thumbnails as the settings file keeps them, in cells across; half as many lines.
SIZES = {"small": 10, "large": 14, "none": 0}
# On fewer lines small thumbnails are still smaller.
_FEW_LINES, _TINY = 22, 8
_GAP = 1
_COLUMNS = (
    Column("file", "image", 8, 0),
    Column("sign", "", 1, 1),
    Column("label", "class", 11, 1),
    Column("share", "share", 7, 2, right=True),
)
_MAX_CACHED = 256
# The order of the images, as the settings file keeps it; the second one puts doubts first.
NAME, LEAST_SURE = "name", "least sure"
ORDERS = (NAME, LEAST_SURE)


class ImageList(LineTable, QuietTitles):
    """`show_all` replaces all rows, `show_results` updates some.

    A row is a thumbnail with text beside it or, without thumbnails, a line."""

    KEYS_TITLE = "Images"
    BINDINGS = [
        Binding("z", "size", "Thumbnails", id="predict.thumbnails"),
        Binding("o", "order", "Order", id="predict.order"),
    ]
    renderer: reactive[str] = reactive("halfblock", repaint=False, init=False)

    class LookChanged(Message):
        """Thumbnails have another size, or images another order: `show_all` is due."""

    def __init__(self, size: str, order: str, **options: Any) -> None:
        super().__init__(**options)
        self.thumbnails = size if size in SIZES else "small"
        self.order = self._shown_order = order if order in ORDERS else ORDERS[0]
        self._images: dict[str, Pixels] = {}
        self._drawn: LRUCache[str, list[Strip]] = LRUCache(_MAX_CACHED)
        self._drawn_for: object = None

    @property
    def file(self) -> Path | None:
        """The file under the cursor."""
        return Path(self.current) if self.current is not None else None

    @property
    def visible_files(self) -> list[Path]:
        """The files on the screen, the one under the cursor first."""
        current = [] if self.current is None else [self.current]
        return [Path(key) for key in (*current, *self.visible_keys)]

    @property
    def is_at_end(self) -> bool:
        return self.cursor >= len(self.rows) - 1

    @property
    def is_sorted_when_done(self) -> bool:
        """Whether the order is that of the results."""
        return self.order == LEAST_SURE

    def show_counts(self, results: Mapping[Path, Result | None]) -> None:
        """Say how many images are done, how many of them stand out, and their order."""
        known = [result for result in results.values() if result is not None]
        count = f"{len(results):,}"
        done = "" if len(known) == len(results) else f"{len(known):,} of "
        unsure = sum(result.is_unsure for result in known)
        unreadable = sum(bool(result.error) for result in known)
        parts = [f"{UNSURE_SIGN} {unsure:,} unsure"] if unsure else []
        parts += [f"✗ {format_count(unreadable, 'error')}"] if unreadable else []
        parts += [f"order: {self.order}"] if self.order != ORDERS[0] else []
        self.label(Content(f"Images  {done}{count}"), Content("  ".join(parts)))

    def show_all(self, results: Mapping[Path, Result | None]) -> None:
        if self.line_width > 0:
            self._images = {}
            self._drawn.clear()
            self.row_height = max(1, self._across // 2)
            items = list(results.items())
            if self.order == LEAST_SURE:
                items.sort(key=_sureness)
            rows = [(str(file), self._row(file, result)) for file, result in items]
            head = Text("") if self._across else format_head(self._columns)
            self.set_rows(head, rows, "waiting for images")
            if self.order != self._shown_order:
                # The images that come first now are what the order is for.
                self._shown_order = self.order
                self.action_first()

    def show_results(self, results: Iterable[Result]) -> None:
        if self.line_width > 0:
            for result in results:
                key = str(result.file)
                self._drawn.discard(key)
                self.set_row(key, self._row(result.file, result))

    @on(events.Resize)
    def _fit_height(self) -> None:
        if self.row_height != max(1, self._across // 2):
            self.post_message(self.Resized())

    def action_size(self) -> None:
        self.thumbnails = next_item(list(SIZES), self.thumbnails)
        self.post_message(self.LookChanged())

    def action_order(self) -> None:
        self.order = next_item(ORDERS, self.order)
        self.post_message(self.LookChanged())

    def validate_renderer(self, renderer: str) -> str:
        return known_renderer(renderer)

    def watch_renderer(self) -> None:
        self._drawn.clear()
        self.refresh()

    # -- rows -----------------------------------------------------------------------------

    @property
    def _across(self) -> int:
        """The width of a thumbnail in cells."""
        across = SIZES[self.thumbnails]
        return min(across, _TINY) if self.size.height < _FEW_LINES else across

    @property
    def _columns(self) -> list[Column]:
        return fit_columns(_COLUMNS, self.line_width)

    def _row(self, file: Path, result: Result | None) -> Text:
        """A file's most probable class with its probability, or its error."""
        if result is not None and result.thumbnail is not None:
            self._images[str(file)] = result.thumbnail
        if self._across:
            return self._block(file, result)
        columns = self._columns
        cells = {"file": Text(safe_text(file.name)), "label": Text("…")}
        if result is None:
            return format_row(columns, cells)
        if result.error:
            # One wide column for the error.
            width = total_width(columns)
            columns = fit_columns([_COLUMNS[0], Column("error", "", max(8, width // 2), 1)], width)
            return format_row(columns, cells | {"error": self._error(result)})
        name, share = result.ranked[0] if result.ranked else ("", None)
        sign = Text(UNSURE_SIGN if result.is_unsure else "", self._colour("warning"))
        names = [each for each, _ in result.ranked]
        (label_width,) = [column.width for column in columns if column.key == "label"] or [1]
        label = Text(short_name(names, 0, label_width) if names else name)
        percent = Text(format_percent(share, 1))
        return format_row(columns, cells | {"sign": sign, "label": label, "share": percent})

    def _block(self, file: Path, result: Result | None) -> Text:
        """The lines beside a thumbnail."""
        # A blank at each end.
        height, width = self.row_height, max(1, self.line_width - self._across - 2 * _GAP)
        lines = [Text(fit_text(safe_text(file.name), width))]
        if result is None:
            lines.append(Text("…"))
        elif result.error:
            error = self._error(result)
            lines += error.wrap(self.app.console, width, overflow="ellipsis")[: height - 1]
        else:
            lines += self._class_lines(result, width)
        above = max(0, (height - max(3, len(lines))) // 2)
        return Text("\n").join([*[Text("")] * above, *lines])

    def _class_lines(self, result: Result, width: int) -> list[Text]:
        """The most probable class, and the next one if the model is unsure."""
        unsure = result.is_unsure
        prefixes = (f"{UNSURE_SIGN} ", "or ") if unsure else ("",)
        style = self._colour("warning") if unsure else "bold"
        names = [name for name, _ in result.ranked]
        lines = []
        for index, (prefix, (_, share)) in enumerate(zip(prefixes, result.ranked, strict=False)):
            percent = format_percent(share, 1)
            room = max(1, width - len(percent) - 1)
            name = short_name(names, index, max(1, room - len(prefix)))
            text = f"{set_cell_size(prefix + name, room)} {percent}"
            lines.append(Text(text, "" if index else style))
        return lines

    def _error(self, result: Result) -> Text:
        """The error, without the path that it may start with."""
        error = safe_text(result.error).removeprefix(f"{safe_text(result.file)}: ")
        return Text(f"✗ {error}", self._colour("error"))

    def _colour(self, name: str) -> str:
        return text_colour(self.app.theme_variables[name])

    # -- drawing --------------------------------------------------------------------------

    def row_strip(self, key: str, line: int, style: Style, over: Style | None = None) -> Strip:
        if self.row_height == 1:
            return super().row_strip(key, line, style, over)
        lines = self.rows[key].split("\n", allow_blank=True)
        text = lines[line] if line < len(lines) else Text("")
        text.end = ""
        # Only the words are highlighted: a whole block would outshine the thumbnails.
        style, over = (style, over) if text else (self.rich_style, None)
        words = Segment.apply_style(text.render(self.app.console), style, over)
        gap = Strip.blank(_GAP, style)
        strip = Strip.join([self._thumbnail(key)[line], gap, Strip(words)])
        return strip.adjust_cell_length(self.size.width, style)

    def _thumbnail(self, key: str) -> list[Strip]:
        """A thumbnail in the middle of its lines; blank until there is one."""
        across, height, base = self._across, self.row_height, self.rich_style
        if self._drawn_for != (across, base):
            self._drawn.clear()
            self._drawn_for = across, base
        strips = self._drawn.get(key)
        if strips is None:
            blank = background(base)
            rows = (
                draw_image(self._images[key], self.renderer, across) if key in self._images else ()
            )
            above = (height - len(rows)) // 2
            left = (across - sum(len(run.text) for run in rows[0])) // 2 if rows else 0
            strips = [Strip.blank(across, blank)] * height
            for number, strip in enumerate(to_strips(rows, base), above):
                whole = Strip.join([Strip.blank(left, blank), strip])
                strips[number] = whole.adjust_cell_length(across, blank)
            self._drawn[key] = strips
        return strips


def _sureness(item: tuple[Path, Result | None]) -> tuple[int, float]:
    """Sorts by the highest probability; unreadable images and those not predicted yet are last."""
    result = item[1]
    if result is None:
        return 2, 0.0
    return (0, result.ranked[0][1]) if result.ranked else (1, 0.0)
