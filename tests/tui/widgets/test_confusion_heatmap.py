"""Confusion matrices on the screen: what fits, what a cell says, and where the cursor goes."""

from __future__ import annotations

import pytest
from rich.style import Style
from textual.app import App, ComposeResult
from textual.events import MouseScrollDown

from fmnist_tui.config.dataset_catalog import GARMENTS
from fmnist_tui.tui.screens.evaluate.confusion_table import ConfusionTable
from fmnist_tui.tui.widgets import confusion_layout
from fmnist_tui.tui.widgets.confusion_heatmap import ConfusionHeat, palette, shares

TEN = [[900 if true == said else (true * said) % 7 for said in range(10)] for true in range(10)]
DARK = {"background": "#121212", "primary": "#5fafd7", "error": "#ff5f5f", "accent": "#ffaf5f"}


class Stage(App[None]):
    """One matrix of each kind, the small one in a given place."""

    def __init__(self, size: tuple[int, int] = (24, 11)) -> None:
        super().__init__()
        self._place = size

    def compose(self) -> ComposeResult:
        heat = ConfusionHeat(id="heat")
        heat.styles.width, heat.styles.height = self._place
        yield heat
        yield ConfusionTable()


def lines(widget: ConfusionHeat | ConfusionTable) -> list[str]:
    return [widget.render_line(y).text for y in range(widget.size.height)]


def triplet(style: Style, part: str) -> tuple[int, int, int]:
    red, green, blue = getattr(style, part).triplet
    return red, green, blue


def test_shares_are_of_the_row_or_of_the_column() -> None:
    assert shares([[3, 1], [0, 0]]) == ((0.75, 0.25), (0.0, 0.0))
    assert shares([[3, 1], [1, 1]], by_column=True) == ((0.75, 0.5), (0.25, 0.5))


def test_heat_rises_with_the_share_and_tells_right_from_wrong() -> None:
    heat = palette(DARK, True)

    def reds(right: bool) -> list[int]:
        styles = [heat.style(share / 100, right) for share in range(0, 101, 2)]
        return [triplet(style, "bgcolor")[0] for style in styles]

    assert reds(False) == sorted(reds(False)) and len(set(reds(False))) > 4
    assert heat.style(1.0, True) != heat.style(1.0, False)
    # A fifth of a class mistaken is as bad as it gets.
    assert heat.style(0.2, False) == heat.style(0.9, False)


@pytest.mark.parametrize("dark", [True, False])
def test_numbers_can_be_read_on_every_ground(dark: bool) -> None:
    light = {"background": "#ffffff", "primary": "#005f87", "error": "#af0000", "accent": "#af5f00"}
    heat = palette(DARK if dark else light, dark)

    def brightness(style: Style, part: str) -> float:
        return sum(triplet(style, part)) / 765

    for style in (*heat.right, *heat.wrong, heat.cursor):
        assert abs(brightness(style, "color") - brightness(style, "bgcolor")) > 0.35


def test_a_theme_of_the_terminals_own_colours_has_heat_too() -> None:
    ansi = dict.fromkeys(DARK, "ansi_red") | {"background": "ansi_default"}
    assert len(set(palette(ansi, True).wrong)) > 4


async def test_ten_classes_fit_a_small_place_with_per_cent() -> None:
    async with Stage().run_test() as pilot:
        heat = pilot.app.query_one(ConfusionHeat)
        heat.show(TEN, GARMENTS)
        drawn = lines(heat)
        assert [len(line) for line in drawn] == [24] * 11
        assert drawn[0].startswith("row ") and drawn[1].startswith("T-s")
        assert "●" in drawn[1]  # all of them right
        assert drawn[10].rstrip().endswith("97")


async def test_a_wider_place_shows_counts_and_longer_names() -> None:
    async with Stage((60, 12)).run_test() as pilot:
        heat = pilot.app.query_one(ConfusionHeat)
        heat.show(TEN, GARMENTS)
        drawn = lines(heat)
        assert "count" in drawn[0]
        assert any("T-shirt/t" in line and "900" in line for line in drawn)


async def test_many_classes_are_heat_alone_and_too_many_say_so() -> None:
    async with Stage((24, 6)).run_test() as pilot:
        heat = pilot.app.query_one(ConfusionHeat)
        heat.show(TEN, GARMENTS)
        assert sum("▀" * 10 in line for line in lines(heat)) == 5
        heat.show([[1] * 40] * 40, [str(number) for number in range(40)])
        assert "40 classes" in "".join(lines(heat))


async def test_nothing_and_nonsense_are_told_to_be_nothing() -> None:
    async with Stage().run_test() as pilot:
        heat = pilot.app.query_one(ConfusionHeat)
        assert "no validation yet" in "".join(lines(heat))
        heat.show([[1, 2], [3]], ("a", "b"))
        assert "no validation yet" in "".join(lines(heat))
        heat.show([], ())
        assert "no validation yet" in "".join(lines(heat))


async def test_hostile_names_come_out_as_harmless_text() -> None:
    async with Stage((60, 12)).run_test() as pilot:
        names = ("[bold]\x1b[31m", "\u202eevil", "衬衫衬衫", "d")
        counts = [[9, 1, 1, 1]] * 4
        for widget in (pilot.app.query_one(ConfusionHeat), pilot.app.query_one(ConfusionTable)):
            widget.show(counts, names)
            drawn = "".join(lines(widget))
            assert "\x1b" not in drawn and "\u202e" not in drawn
            assert "[bol" in drawn


def test_the_matrix_uses_the_room_there_is() -> None:
    narrow = confusion_layout.layout(78, 11, 10, 11, 3)
    assert (narrow.columns, narrow.rows, narrow.tall) == (10, 10, 1)
    wide = confusion_layout.layout(130, 31, 10, 11, 3)
    assert wide.cell > narrow.cell and wide.tall == 3
    many = confusion_layout.layout(78, 20, 47, 11, 3)
    assert many.columns < 47 and many.rows == 19
    assert many.head + many.columns * many.cell <= 78


@pytest.mark.parametrize("size", [(0, 0), (1, 1), (10, 2), (300, 100)])
@pytest.mark.parametrize("count", [0, 1, 2, 47])
def test_any_room_makes_a_layout(size: tuple[int, int], count: int) -> None:
    found = confusion_layout.layout(*size, count, 30, 3)
    assert found.cell > 0 and found.rows <= max(count, 1) and found.columns <= max(count, 1)


def test_a_cell_is_told_in_words() -> None:
    counts, names = [[900, 100], [71, 929]], ("Coat", "Shirt")
    assert confusion_layout.in_words(counts, names, (1, 0)) == (
        "true Shirt → predicted Coat: 71 of 1,000 (7.1 %)"
    )
    assert confusion_layout.in_words(counts, names, (0, 0)) == "Coat, right: 900 of 1,000 (90.0 %)"
    assert "71 of 971" in confusion_layout.in_words(counts, names, (1, 0), by_column=True)
    assert "none" in confusion_layout.in_words([[0, 0], [1, 1]], names, (0, 1))


async def test_the_cursor_is_in_view_wherever_it_goes_among_many_classes() -> None:
    count = 47
    counts = [[100 + true if true == said else 1 for said in range(count)] for true in range(count)]
    async with Stage((10, 3)).run_test(size=(80, 24)) as pilot:
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


async def test_the_wheel_scrolls_no_further_than_there_is_something() -> None:
    count = 30
    counts = [[1] * count] * count
    async with Stage((10, 3)).run_test(size=(80, 20)) as pilot:
        table = pilot.app.query_one(ConfusionTable)
        table.show(counts, [f"class {number}" for number in range(count)])
        for _ in range(60):
            table.post_message(MouseScrollDown(table, 5, 5, 0, 1, 0, False, False, False))
        await pilot.pause()
        assert "class 29" in lines(table)[-1]
