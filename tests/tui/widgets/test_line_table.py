"""The table of lines: what is redrawn, and where the cursor stays when rows change."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest
from rich.text import Text
from textual import events
from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.strip import Strip

from fmnist_tui.tui.widgets.line_table import LineTable
from tests.tui.support import wait_until

HEADER = Text("name")


def line(key: str) -> Text:
    return Text.assemble(key, (" in red", "red"))


class CountingTable(LineTable):
    """Remembers which lines were drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[int] = []

    def render_line(self, y: int) -> Strip:
        self.drawn.append(y)
        return super().render_line(y)


class TableApp(App[None]):
    CSS = "LineTable { border: round red; }"

    def __init__(self) -> None:
        super().__init__()
        self.posted: list[tuple[str, str]] = []

    def compose(self) -> ComposeResult:
        yield CountingTable()

    def on_line_table_row_highlighted(self, event: LineTable.RowHighlighted) -> None:
        self.posted.append(("highlighted", event.key))

    def on_line_table_row_selected(self, event: LineTable.RowSelected) -> None:
        self.posted.append(("selected", event.key))

    def on_line_table_resized(self) -> None:
        self.posted.append(("resized", ""))


def show(table: LineTable, keys: Iterable[object]) -> None:
    table.set_rows(HEADER, [(str(key), line(str(key))) for key in keys], "no rows")


def text(table: LineTable) -> list[str]:
    return [table.render_line(y).text.rstrip() for y in range(table.size.height)]


@asynccontextmanager
async def table_of(count: int) -> AsyncIterator[tuple[CountingTable, Pilot[None], TableApp]]:
    app = TableApp()
    async with app.run_test(size=(40, 13)) as pilot:
        table = app.query_one(CountingTable)
        show(table, range(count))
        table.focus()
        await pilot.pause()
        app.posted.clear()
        yield table, pilot, app


async def test_only_lines_that_change_are_drawn() -> None:
    async with table_of(500) as (table, pilot, _):
        assert text(table)[:2] == ["name", "0 in red"]
        table.drawn.clear()
        show(table, range(500))
        table.set_row("400", Text("not visible"))
        await pilot.pause()
        assert table.drawn == []
        table.set_row("4", Text("another"))
        await wait_until(pilot, lambda: bool(table.drawn))
        assert table.drawn == [5] and text(table)[5] == "another"
        table.drawn.clear()
        await pilot.press("down")
        await wait_until(pilot, lambda: len(table.drawn) >= 2)
        assert sorted(table.drawn) == [1, 2]


async def test_the_cursor_stays_on_its_row_and_the_row_on_its_line() -> None:
    async with table_of(100) as (table, pilot, app):
        await pilot.press("pagedown", "pagedown", "j", "up")
        assert table.current == "20" and table.size.height == 11
        y = text(table).index("20 in red")
        show(table, ["new", "newer", *range(100)])
        await pilot.pause()
        assert table.current == "20" and text(table)[y] == "20 in red"
        app.posted.clear()
        show(table, [key for key in range(100) if key != 20])
        await pilot.pause()
        assert app.posted == [("highlighted", table.current)]
        show(table, range(3))
        assert table.current == "2"
        await pilot.pause()
        assert text(table)[:4] == ["name", "0 in red", "1 in red", "2 in red"]


async def test_keys_move_by_rows_and_pages_and_to_the_ends() -> None:
    async with table_of(100) as (table, pilot, app):
        for keys, row in (
            (["up"], 0),
            (["down", "j", "k"], 1),
            (["pagedown"], 11),
            (["pageup", "pageup"], 0),
            (["end", "down"], 99),
            (["pageup"], 89),
            (["ctrl+home"], 0),
        ):
            await pilot.press(*keys)
            assert table.cursor == row, keys
            assert f"{row} in red" in text(table)[1:]
        await pilot.press("enter")
        assert app.posted[-1] == ("selected", "0")
        table.go_to("50")
        table.go_to("no such row")
        assert table.current == "50"


async def test_the_mouse_moves_the_cursor_then_selects_and_marks_the_row_below_it() -> None:
    async with table_of(5) as (table, pilot, app):
        plain = table.render_line(4)
        await pilot.hover(table, offset=(30, 5))
        hovered = table.render_line(4)
        assert hovered.text == plain.text and hovered != plain
        await pilot.press("down")
        assert table.render_line(4) == plain
        app.posted.clear()
        for y in (5, 5, 1, 9):  # two clicks on a row, the header, below the last row
            await pilot.click(table, offset=(3, y))
        assert app.posted == [("highlighted", "3"), ("selected", "3")]
        assert table.current == "3"


async def test_the_wheel_scrolls_and_the_next_key_shows_the_cursor_again() -> None:
    async with table_of(100) as (table, pilot, _):
        table.post_message(events.MouseScrollDown(table, 3, 5, 0, 0, 0, False, False, False, 3, 5))
        await wait_until(pilot, lambda: table.scroll_offset.y > 1)
        assert table.cursor == 0 and "0 in red" not in text(table)
        await pilot.press("down")
        assert text(table)[:2] == ["name", "1 in red"]


async def test_without_rows_a_text_is_shown_and_keys_do_nothing() -> None:
    async with table_of(0) as (table, pilot, app):
        assert "no rows" in "".join(text(table)) and "name" not in text(table)
        await pilot.press("down", "end", "pagedown", "home", "enter", "up")
        await pilot.click(table, offset=(3, 3))
        assert table.current is None and app.posted == []
        table.set_row("no such row", Text("a line"))
        assert table.current is None
        show(table, ["first"])
        await pilot.pause()
        assert text(table)[:3] == ["name", "first in red", ""]
        assert app.posted == [("highlighted", "first")]


async def test_a_line_may_be_longer_than_the_header() -> None:
    async with table_of(0) as (table, pilot, _):
        show(table, ["a long name"])
        await pilot.pause()
        assert text(table)[1] == "a long name in red"


@pytest.mark.parametrize("width", [0, 1, 2, 3])
async def test_an_empty_table_is_drawn_at_any_width(width: int) -> None:
    app = TableApp()
    async with app.run_test(size=(width + 2, 7)) as pilot:
        table = app.query_one(CountingTable)
        table.empty = "nothing yet"
        await pilot.pause()
        assert [table.render_line(y).cell_length for y in range(5)] == [width] * 5


async def test_a_table_that_is_shown_again_asks_for_its_rows() -> None:
    async with table_of(3) as (table, pilot, app):
        table.display = False
        await wait_until(pilot, lambda: table.line_width == 0)
        assert app.posted == []
        table.display = True
        await wait_until(pilot, lambda: app.posted == [("resized", "")])


async def test_a_cursor_that_is_visible_stays_visible_when_its_row_moves() -> None:
    async with table_of(100) as (table, pilot, _):
        await pilot.press("down", "down", "down")
        show(table, reversed(range(100)))
        await pilot.pause()
        assert table.current == "3" and "3 in red" in text(table)
        show(table, range(100))
        await pilot.pause()
        assert table.current == "3" and "3 in red" in text(table)


async def test_new_rows_above_the_first_are_shown_while_the_cursor_is_visible_too() -> None:
    async with table_of(100) as (table, pilot, _):
        show(table, ["new", *range(100)])
        await pilot.pause()
        assert text(table)[1:3] == ["new in red", "0 in red"] and table.current == "0"
        show(table, [*"abcdefghij", "new", *range(100)])
        await pilot.pause()
        assert text(table)[-1] == "0 in red" and table.current == "0"


async def test_a_lower_table_still_shows_the_cursor_if_it_was_visible() -> None:
    async with table_of(100) as (table, pilot, _):
        await pilot.press(*["down"] * 8)
        table.styles.height = 6
        await wait_until(pilot, lambda: "8 in red" in text(table) and table.size.height == 4)
        table.scroll_to(y=50, animate=False)
        table.styles.height = 9
        await wait_until(pilot, lambda: table.size.height == 7)
        await pilot.pause()
        assert text(table)[1] == "50 in red"


async def test_rows_of_several_lines_scroll_click_and_redraw_as_a_whole() -> None:
    async with table_of(20) as (table, pilot, _):
        table.row_height = 3
        table.set_rows(Text(""), [(str(key), line(str(key))) for key in range(20)])
        await pilot.pause()
        # 11 lines without a header: the fourth row is cut.
        assert table.visible_keys == ["0", "1", "2", "3"]
        table.drawn.clear()
        await pilot.press("down")
        await wait_until(pilot, lambda: sorted(set(table.drawn)) == [0, 1, 2, 3, 4, 5])
        await pilot.press("down", "down")
        await pilot.pause()
        assert table.current == "3" and table.scroll_offset.y == 1
        await pilot.click(CountingTable, offset=(5, 3))
        assert table.current == "1"
        await pilot.press("pagedown")
        assert table.current == "4"
        await pilot.press("end")
        await pilot.pause()
        assert table.scroll_offset.y == 60 - 11 and table.visible_keys[0] == "16"
