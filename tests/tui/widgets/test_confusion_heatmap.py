"""The small confusion matrix: layout and colours."""

from __future__ import annotations

import pytest
from rich.style import Style
from textual.app import App, ComposeResult

from fmnist_tui.config.dataset_catalog import GARMENTS
from fmnist_tui.tui.widgets.confusion_heatmap import ConfusionHeat, cell_shares, heat_colours

TEN = [
    [900 if true == predicted else (true * predicted) % 7 for predicted in range(10)]
    for true in range(10)
]
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


def test_heat_rises_with_the_share_and_differs_between_correct_and_wrong() -> None:
    heat = heat_colours(DARK, True)

    def reds(right: bool) -> list[int]:
        styles = [heat.style(share / 100, right) for share in range(0, 101, 2)]
        return [triplet(style, "bgcolor")[0] for style in styles]

    assert reds(False) == sorted(reds(False)) and len(set(reds(False))) > 4
    assert heat.style(1.0, True) != heat.style(1.0, False)
    # The scale ends at a fifth of a class.
    assert heat.style(0.2, False) == heat.style(0.9, False)


@pytest.mark.parametrize("dark", [True, False])
def test_numbers_contrast_with_every_background(dark: bool) -> None:
    light = {"background": "#ffffff", "primary": "#005f87", "error": "#af0000", "accent": "#af5f00"}
    heat = heat_colours(DARK if dark else light, dark)

    def brightness(style: Style, part: str) -> float:
        return sum(triplet(style, part)) / 765

    for style in (*heat.right, *heat.wrong, heat.cursor):
        assert abs(brightness(style, "color") - brightness(style, "bgcolor")) > 0.35


def test_a_theme_of_ansi_colours_has_heat_too() -> None:
    ansi = dict.fromkeys(DARK, "ansi_red") | {"background": "ansi_default"}
    assert len(set(heat_colours(ansi, True).wrong)) > 4


@pytest.mark.parametrize("width", [41, 47, 60])
async def test_every_number_is_per_cent_of_the_true_class_in_a_column_of_its_own(
    width: int,
) -> None:
    async with HeatmapApp((width, 11)).run_test() as pilot:
        heat = pilot.app.query_one(ConfusionHeat)
        confusion = [[0] * 10 for _ in range(10)]
        for true in range(10):
            confusion[true][true] = 1000
        confusion[6][2:5] = [240, 80, 120]
        confusion[6][6] = 560
        heat.show(confusion, GARMENTS)
        drawn = lines(heat)
        assert [len(line) for line in drawn] == [width] * 11
        assert drawn[0].split() == [str(number) for number in range(10)]
        assert drawn[7].split("│")[0].strip() == "6 Shirt"
        assert drawn[7].split("│")[1].split() == ["·", "·", "24", "8", "12", "·", "56", *"···"]
        assert drawn[1].split("│")[1].split() == ["100", *"·········"]


async def test_few_classes_have_their_names_above_the_columns() -> None:
    async with HeatmapApp((47, 11)).run_test() as pilot:
        heat = pilot.app.query_one(ConfusionHeat)
        heat.show([[3, 1], [0, 4]], GARMENTS[:2])
        drawn = "\n".join(lines(heat))
        assert "T-shirt/top     Trouser" in drawn and "75" in drawn and "100" in drawn
        heat.show(TEN, [str(number) for number in range(10)])
        assert lines(heat)[1].strip().startswith("0│")


async def test_ten_classes_in_a_small_space_have_percentages() -> None:
    async with HeatmapApp().run_test() as pilot:
        heat = pilot.app.query_one(ConfusionHeat)
        heat.show(TEN, GARMENTS)
        drawn = lines(heat)
        assert [len(line) for line in drawn] == [24] * 11
        assert "●" in drawn[1]  # all correct
        assert drawn[10].rstrip().endswith("97")


async def test_many_classes_have_heat_without_numbers_and_too_many_are_only_counted() -> None:
    async with HeatmapApp((24, 6)).run_test() as pilot:
        heat = pilot.app.query_one(ConfusionHeat)
        heat.show(TEN, GARMENTS)
        assert sum("▀" * 10 in line for line in lines(heat)) == 5
        heat.show([[1] * 40] * 40, [str(number) for number in range(40)])
        assert "40 classes" in "".join(lines(heat))


async def test_an_empty_or_invalid_matrix_is_shown_as_no_validation() -> None:
    async with HeatmapApp().run_test() as pilot:
        heat = pilot.app.query_one(ConfusionHeat)
        assert "no validation yet" in "".join(lines(heat))
        heat.show([[1, 2], [3]], ("a", "b"))
        assert "no validation yet" in "".join(lines(heat))
        heat.show([], ())
        assert "no validation yet" in "".join(lines(heat))


async def test_control_characters_in_class_names_are_escaped() -> None:
    async with HeatmapApp((60, 12)).run_test() as pilot:
        heat = pilot.app.query_one(ConfusionHeat)
        heat.show([[9, 1, 1, 1]] * 4, ("[bold]\x1b[31m", "\u202eevil", "衬衫衬衫", "d"))
        drawn = "".join(lines(heat))
        assert "\x1b" not in drawn and "\u202e" not in drawn
        assert "[bold]" in drawn
