"""The stages of an image on its way from the file to the network's input, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import set_cell_size
from rich.segment import Segment
from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.geometry import Size
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from fmnist_tui.render.renderers import draw_image
from fmnist_tui.tui.widgets.image_view import to_strips
from fmnist_tui.tui.widgets.incremental import update_text
from fmnist_tui.util.class_names import short_names
from fmnist_tui.util.text import safe_text

if TYPE_CHECKING:
    from fmnist_tui.data.images.prepare import PreparationStep

# The largest and the smallest width of an image in cells, both even; the gap between two.
_LARGEST, _SMALLEST, _GAP = 56, 10, 2
# The lines of the smallest image with its name.
SMALLEST_HEIGHT = _SMALLEST // 2 + 1


@dataclass(frozen=True, slots=True)
class StageGrid:
    """Images `columns` cells wide and half as many rows high, each with its name below."""

    columns: int
    per_row: int
    count: int

    @property
    def box_height(self) -> int:
        return self.columns // 2 + 1

    @property
    def height(self) -> int:
        return -(-self.count // self.per_row) * self.box_height

    @classmethod
    def fit(cls, count: int, width: int, height: int) -> StageGrid:
        """The grid with the largest images that fits, or else with the smallest."""
        for columns in range(_LARGEST, _SMALLEST - 1, -2):
            per_row = (width + _GAP) // (columns + _GAP)
            if per_row:
                grid = cls(columns, min(per_row, max(1, count)), count)
                if grid.height <= height:
                    return grid
        columns = max(2, min(_SMALLEST, width // 2 * 2))
        return cls(columns, max(1, (width + _GAP) // (columns + _GAP)), count)


class StageStrip(Widget):
    """The images of the stages, in a grid."""

    DEFAULT_CSS = "StageStrip { height: auto; }"
    renderer: reactive[str] = reactive("halfblock")
    stages: reactive[tuple[PreparationStep, ...]] = reactive(())
    # They take more rows only if they would be too small.
    max_height = reactive(0, layout=True)

    def __init__(self) -> None:
        super().__init__()
        self._cache: dict[int, list[Strip]] = {}
        self._cache_key: object = None

    def watch_stages(
        self, before: tuple[PreparationStep, ...], after: tuple[PreparationStep, ...]
    ) -> None:
        if len(before) != len(after):
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return self._grid(width).height if self.stages else 0

    def _grid(self, width: int) -> StageGrid:
        return StageGrid.fit(len(self.stages), width, self.max_height)

    def render_line(self, y: int) -> Strip:
        width, style = self.size.width, self.visual_style
        base = style.rich_style
        grid = self._grid(width)
        key = (self.stages, grid, self.renderer, style)
        if key != self._cache_key:
            self._cache, self._cache_key = {}, key
        row, line = divmod(y, grid.box_height)
        first = row * grid.per_row
        parts: list[Strip] = []
        for index, stage in enumerate(self.stages[first : first + grid.per_row], first):
            if line == grid.box_height - 1:
                (name,) = short_names((f"{index + 1} {stage.name}",), grid.columns)
                parts.append(Strip([Segment(set_cell_size(name, grid.columns), base)]))
            else:
                parts.append(self._render_image(index, grid)[line])
            parts.append(Strip.blank(_GAP, base))
        return Strip.join(parts).adjust_cell_length(width, base)

    def _render_image(self, index: int, grid: StageGrid) -> list[Strip]:
        if index not in self._cache:
            base = self.visual_style.rich_style
            rows = to_strips(
                draw_image(self.stages[index].image, self.renderer, grid.columns), base
            )
            blanks = [Strip.blank(grid.columns, base)] * grid.box_height
            lines = [strip.adjust_cell_length(grid.columns, base) for strip in rows]
            self._cache[index] = (lines + blanks)[: grid.box_height - 1]
        return self._cache[index]


class Stages(Container):
    """The stages of a result with their captions."""

    DEFAULT_CSS = """
    Stages { height: auto;
        & StageStrip { width: 1fr; }
        & Static { width: 1fr; height: auto; }
    }
    """

    def compose(self) -> ComposeResult:
        yield StageStrip()
        yield Static(id="captions", markup=False)

    def show(self, stages: tuple[PreparationStep, ...], renderer: str) -> None:
        captions = [
            Content.assemble(
                (f"{number} {safe_text(stage.name)}", "$primary"), f"  {safe_text(stage.caption)}"
            )
            for number, stage in enumerate(stages, 1)
        ]
        update_text(self.query_one("#captions", Static), Content("\n").join(captions))
        strip = self.query_one(StageStrip)
        strip.renderer, strip.stages = renderer, stages

    def fit(self, height: int) -> None:
        """Give the images the height that the captions leave."""
        strip = self.query_one(StageStrip)
        strip.max_height = max(height - len(strip.stages), SMALLEST_HEIGHT)
