"""The small confusion matrix: what fits, and its colours."""

from __future__ import annotations

import pytest
from rich.style import Style
from textual.app import App, ComposeResult

from fmnist_tui.config.dataset_catalog import GARMENTS
from fmnist_tui.tui.widgets.confusion_heatmap import ConfusionHeat, cell_shares, heat_colours

TEN = [[900 if true == said else (true * said) % 7 for said in range(10)] for true in range(10)]
DARK = {"background": "#121212", "primary": "#5fafd7", "error": "#ff5f5f", "accent": "#ffaf5f"}


class HeatmapApp(App[None]):
    """One heatmap of a given size."""

    def __init__(self, size: tuple[int, int] = (24, 11)) -> None:
        super().__init__()
        self._heat_size = size

    def compose(self) -> ComposeResult:
        heat = ConfusionHeat(id="heat")
        heat.styles.width, heat.styles.height = self._heat_size
        yield heat


def lines(widget: ConfusionHeat) -> list[str]:
    return [widget.render_line(y).text for y in range(widget.size.height)]


def triplet(style: Style, part: str) -> tuple[int, int, int]:
    red, green, blue = getattr(style, part).triplet
    return red, green, blue


def test_shares_are_of_the_row_or_of_the_column() -> None:
    assert cell_shares([[3, 1], [0, 0]]) == ((0.75, 0.25), (0.0, 0.0))
    assert cell_shares([[3, 1], [1, 1]], by_column=True) == ((0.75, 0.5), (0.25, 0.5))


def test_heat_rises_with_the_share_and_tells_right_from_wrong() -> None:
    heat = heat_colours(DARK, True)

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
    heat = heat_colours(DARK if dark else light, dark)

    def brightness(style: Style, part: str) -> float:
        return sum(triplet(style, part)) / 765

    for style in (*heat.right, *heat.wrong, heat.cursor):
        assert abs(brightness(style, "color") - brightness(style, "bgcolor")) > 0.35


def test_a_theme_of_the_terminals_own_colours_has_heat_too() -> None:
    ansi = dict.fromkeys(DARK, "ansi_red") | {"background": "ansi_default"}
    assert len(set(heat_colours(ansi, True).wrong)) > 4


async def test_ten_classes_fit_a_small_place_with_per_cent() -> None:
    async with HeatmapApp().run_test() as pilot:
        heat = pilot.app.query_one(ConfusionHeat)
        heat.show(TEN, GARMENTS)
        drawn = lines(heat)
        assert [len(line) for line in drawn] == [24] * 11
        assert drawn[0].startswith("row ") and drawn[1].startswith("T-s")
        assert "●" in drawn[1]  # all of them right
        assert drawn[10].rstrip().endswith("97")


async def test_a_wider_place_shows_counts_and_longer_names() -> None:
    async with HeatmapApp((60, 12)).run_test() as pilot:
        heat = pilot.app.query_one(ConfusionHeat)
        heat.show(TEN, GARMENTS)
        drawn = lines(heat)
        assert "count" in drawn[0]
        assert any("T-shirt/t" in line and "900" in line for line in drawn)


async def test_many_classes_are_heat_alone_and_too_many_say_so() -> None:
    async with HeatmapApp((24, 6)).run_test() as pilot:
        heat = pilot.app.query_one(ConfusionHeat)
        heat.show(TEN, GARMENTS)
        assert sum("▀" * 10 in line for line in lines(heat)) == 5
        heat.show([[1] * 40] * 40, [str(number) for number in range(40)])
        assert "40 classes" in "".join(lines(heat))


async def test_nothing_and_nonsense_are_told_to_be_nothing() -> None:
    async with HeatmapApp().run_test() as pilot:
        heat = pilot.app.query_one(ConfusionHeat)
        assert "no validation yet" in "".join(lines(heat))
        heat.show([[1, 2], [3]], ("a", "b"))
        assert "no validation yet" in "".join(lines(heat))
        heat.show([], ())
        assert "no validation yet" in "".join(lines(heat))


async def test_hostile_names_come_out_as_harmless_text() -> None:
    async with HeatmapApp((60, 12)).run_test() as pilot:
        heat = pilot.app.query_one(ConfusionHeat)
        heat.show([[9, 1, 1, 1]] * 4, ("[bold]\x1b[31m", "\u202eevil", "衬衫衬衫", "d"))
        drawn = "".join(lines(heat))
        assert "\x1b" not in drawn and "\u202e" not in drawn
        assert "[bol" in drawn
