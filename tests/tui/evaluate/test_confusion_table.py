"""The confusion matrix on Evaluate: its layout, the descriptions of cells, and the cursor."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult
from textual.events import MouseScrollDown

from fmnist_tui.config.dataset_catalog import GARMENTS, LETTERS
from fmnist_tui.tui.screens.evaluate.confusion_layout import ConfusionLayout, describe_cell
from fmnist_tui.tui.screens.evaluate.confusion_table import ConfusionTable


class TableApp(App[None]):
    """A confusion table alone."""

    def compose(self) -> ComposeResult:
        yield ConfusionTable()


def lines(table: ConfusionTable) -> list[str]:
    return [table.render_line(y).text for y in range(table.size.height)]


async def test_control_characters_and_markup_in_names_are_escaped() -> None:
    async with TableApp().run_test() as pilot:
        table = pilot.app.query_one(ConfusionTable)
        table.show([[9, 1, 1, 1]] * 4, ("[bold]\x1b[31m", "\u202eevil", "衬衫衬衫", "d"))
        drawn = "".join(lines(table))
        assert "\x1b" not in drawn and "\u202e" not in drawn
        assert "[bol" in drawn


def test_the_table_uses_the_available_space() -> None:
    narrow = ConfusionLayout.fit(78, 11, GARMENTS, 3)
    assert (narrow.columns, narrow.rows, narrow.row_height) == (10, 10, 1)
    wide = ConfusionLayout.fit(130, 31, GARMENTS, 3)
    assert wide.cell_width > narrow.cell_width and wide.row_height == 3
    assert (narrow.headings, ConfusionLayout.fit(78, 12, GARMENTS, 3).headings) == (1, 2)
    letters = ConfusionLayout.fit(74, 17, LETTERS, 1)
    assert letters.columns == 23, "short names and numbers have narrow columns"
    many = ConfusionLayout.fit(78, 20, ["a long name"] * 47, 3)
    assert many.columns < 47 and many.rows == 19
    assert many.head_width + many.columns * many.cell_width <= 78


@pytest.mark.parametrize("size", [(0, 0), (1, 1), (10, 2), (300, 100)])
@pytest.mark.parametrize("count", [0, 1, 2, 47])
def test_every_size_has_a_layout(size: tuple[int, int], count: int) -> None:
    layout = ConfusionLayout.fit(*size, ["x" * 30] * count, 3)
    assert (
        layout.cell_width > 0 and layout.rows <= max(count, 1) and layout.columns <= max(count, 1)
    )


def test_a_cell_is_described_in_words() -> None:
    counts, names = [[900, 100], [71, 929]], ("Coat", "Shirt")
    assert describe_cell(counts, names, (1, 0)) == (
        "true Shirt → predicted Coat: 71 of 1,000 (7.1 %)"
    )
    assert describe_cell(counts, names, (0, 0)) == "Coat, correct: 900 of 1,000 (90.0 %)"
    assert "71 of 971 predictions (7.3 %)" in describe_cell(counts, names, (1, 0), by_column=True)
    assert "none" in describe_cell([[0, 0], [1, 1]], names, (0, 1))


async def test_the_cursor_stays_visible_among_many_classes() -> None:
    count = 47
    counts = [
        [100 + true if true == predicted else 1 for predicted in range(count)]
        for true in range(count)
    ]
    async with TableApp().run_test(size=(80, 24)) as pilot:
        table = pilot.app.query_one(ConfusionTable)
        table.show(counts, [f"class {number}" for number in range(count)])
        table.focus()
        for keys in (["end"], ["pagedown"] * 5, ["home"], ["up"] * 3, ["right"] * 20, ["k"] * 9):
            await pilot.press(*keys)
            assert sum("[" in line and "]" in line for line in lines(table)) == 1
            assert sum(line.startswith("▸") for line in lines(table)) == 1
        await pilot.resize_terminal(60, 9)
        assert sum("[" in line for line in lines(table)) == 1
        await pilot.press("end", *["pagedown"] * 10)
        assert table.cursor == (46, 46)


async def test_the_wheel_stops_at_the_last_class() -> None:
    count = 30
    counts = [[1] * count] * count
    async with TableApp().run_test(size=(80, 20)) as pilot:
        table = pilot.app.query_one(ConfusionTable)
        table.show(counts, [f"class {number}" for number in range(count)])
        for _ in range(60):
            table.post_message(MouseScrollDown(table, 5, 5, 0, 1, 0, False, False, False))
        await pilot.pause()
        assert "class 29" in lines(table)[-1]
