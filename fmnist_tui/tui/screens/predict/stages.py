"""Pictures side by side with what each is: the way from a file to what a model sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.segment import Segment
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.geometry import Size
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from fmnist_tui.render.renderers import draw_image
from fmnist_tui.tui.screens.predict.results import PreparationStage
from fmnist_tui.tui.widgets.columns import fitted
from fmnist_tui.tui.widgets.picture import known_renderer, strips
from fmnist_tui.util.text import safe_text

# Cells that a picture takes at most and at least, both even; the gap between two.
LARGEST, SMALLEST, GAP = 56, 10, 2


@dataclass(frozen=True, slots=True)
class StageFlow:
    """Boxes of `columns` cells by half as many rows, a line for its name below each."""

    columns: int
    abreast: int
    count: int

    @property
    def box(self) -> int:
        return self.columns // 2 + 1

    @property
    def rows(self) -> int:
        return -(-self.count // self.abreast) * self.box

    @classmethod
    def fitting(cls, count: int, width: int, height: int) -> StageFlow:
        """The largest boxes of which all fit; where none do, the smallest."""
        for columns in range(LARGEST, SMALLEST - 1, -2):
            abreast = (width + GAP) // (columns + GAP)
            if abreast:
                flow = cls(columns, min(abreast, max(1, count)), count)
                if flow.rows <= height:
                    return flow
        columns = max(2, min(SMALLEST, width // 2 * 2))
        return cls(columns, max(1, (width + GAP) // (columns + GAP)), count)


class StageStrip(Widget):
    """The pictures themselves; what is said of them stands below."""

    DEFAULT_CSS = "StageStrip { height: auto; }"
    renderer: reactive[str] = reactive("halfblock")

    def __init__(self) -> None:
        super().__init__()
        self._stages: tuple[PreparationStage, ...] = ()
        self._room = 0
        self._drawn: dict[int, list[Strip]] = {}
        self._drawn_for: object = None

    def validate_renderer(self, renderer: str) -> str:
        return known_renderer(renderer)

    def show(self, stages: Sequence[PreparationStage], room: int) -> None:
        """Draw these in `room` rows, or in more where they would be too small."""
        if self._stages != tuple(stages) or self._room != room:
            self._stages, self._room = tuple(stages), room
            self._drawn_for = None
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return self._flow(width).rows if self._stages else 0

    def _flow(self, width: int) -> StageFlow:
        return StageFlow.fitting(len(self._stages), width, self._room)

    def render_line(self, y: int) -> Strip:
        width, style = self.size.width, self.visual_style
        base = style.rich_style
        flow = self._flow(width)
        wanted = (flow, self.renderer, style)
        if wanted != self._drawn_for:
            self._drawn, self._drawn_for = {}, wanted
        row, line = divmod(y, flow.box)
        parts: list[Strip] = []
        for place in range(row * flow.abreast, min((row + 1) * flow.abreast, len(self._stages))):
            if line == flow.box - 1:
                name = fitted(f"{place + 1} {safe_text(self._stages[place].name)}", flow.columns)
                parts.append(Strip([Segment(name, base)], flow.columns))
            else:
                parts.append(self._picture(place, flow)[line])
            parts.append(Strip.blank(GAP, base))
        return Strip.join(parts).adjust_cell_length(width, base)

    def _picture(self, place: int, flow: StageFlow) -> list[Strip]:
        if place not in self._drawn:
            base = self.visual_style.rich_style
            rows = draw_image(self._stages[place].image, self.renderer, flow.columns)
            blank = Strip.blank(flow.columns, base)
            drawn = [strip.adjust_cell_length(flow.columns, base) for strip in strips(rows, base)]
            self._drawn[place] = (drawn + [blank] * flow.box)[: flow.box - 1]
        return self._drawn[place]


class StagesPane(VerticalScroll, can_focus=True):
    """The steps of an answer, numbered; `show` without any says what to do instead."""

    DEFAULT_CSS = """
    StagesPane { scrollbar-size-vertical: 1; padding: 0 1;
        & StageStrip { width: 1fr; }
        & Static { width: 1fr; height: auto; }
        & .empty { display: none; height: 1fr; }
        &.-empty StageStrip, &.-empty #captions { display: none; }
        &.-empty .empty { display: block; }
    }
    """
    KEYS_TITLE = "Steps"
    BINDINGS = [
        Binding("j", "scroll_down", "Down", show=False, id="steps.down"),
        Binding("k", "scroll_up", "Up", show=False, id="steps.up"),
    ]

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id, classes=classes)
        self._stages: tuple[PreparationStage, ...] = ()
        self._shown: object = None

    def compose(self) -> ComposeResult:
        yield StageStrip()
        yield Static(id="captions", markup=False)
        yield Static(classes="empty", markup=False)

    def show(self, stages: Sequence[PreparationStage], empty: str, renderer: str) -> None:
        """Show these stages, or, where there are none, a line that says what to do."""
        wanted = (tuple(stages), empty, renderer)
        if wanted == self._shown:
            return
        self._stages, self._shown = tuple(stages), wanted
        self.set_class(not stages, "-empty")
        self.query_one(".empty", Static).update(Content(empty))
        lines = [
            Content.assemble(
                (f"{number} {safe_text(stage.name)}", "$primary"), f"  {safe_text(stage.caption)}"
            )
            for number, stage in enumerate(stages, 1)
        ]
        self.query_one("#captions", Static).update(Content("\n").join(lines))
        self.query_one(StageStrip).renderer = renderer
        self._fill()

    def on_resize(self) -> None:
        self._fill()

    def _fill(self) -> None:
        """Give the pictures what room the captions leave."""
        room = self.size.height - len(self._stages)
        self.query_one(StageStrip).show(self._stages, max(room, SMALLEST // 2 + 1))
