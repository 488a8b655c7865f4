"""A form of many fields as one list: a cursor, values, and the reason beside what is wrong.

Choices are stepped through with left and right; everything is typed in the line below,
checked at every key.
"""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Input, Static

from fmnist_tui.config import run_config
from fmnist_tui.tui.state.config_draft import ConfigDraft, DraftRow

NAME_CELLS = 19


class Fields(ScrollView, can_focus=True):
    """The lines of a draft."""

    KEYS_TITLE = "Settings"
    DEFAULT_CSS = "Fields { height: 1fr; scrollbar-size-vertical: 1; overflow-x: hidden; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Field above", show=False, id="form.up"),
        Binding("down,j", "move(1)", "Field below", show=False, id="form.down"),
        Binding("pageup", "move(-12)", "Page up", show=False, id="form.page_up"),
        Binding("pagedown", "move(12)", "Page down", show=False, id="form.page_down"),
        Binding("home", "move(-999)", "First field", show=False, id="form.first"),
        Binding("end", "move(999)", "Last field", show=False, id="form.last"),
        Binding("left", "step(-1)", "Choice before", show=False, id="form.before"),
        Binding("right", "step(1)", "Next choice", show=False, id="form.next"),
        Binding("enter", "edit", "Edit", id="form.edit"),
    ]

    class Moved(Message):
        """The cursor is on another field, or its value has changed."""

    class Edit(Message):
        """The field under the cursor is to be typed."""

    def __init__(self, draft: ConfigDraft) -> None:
        super().__init__()
        self.draft = draft
        self._rows: list[DraftRow] = []
        self._cursor = 1

    def on_mount(self) -> None:
        self.renew()

    @property
    def field(self) -> str:
        """The name of the field under the cursor."""
        return self._rows[self._cursor].name

    def renew(self) -> None:
        """Show the draft as it is now."""
        self._rows = self.draft.rows()
        self.virtual_size = Size(max(10, self.size.width - 1), len(self._rows))
        self.refresh()
        self.post_message(self.Moved())

    def go_to(self, name: str) -> None:
        """Put the cursor on a field."""
        for place, row in enumerate(self._rows):
            if row.name == name and not row.heading:
                self._place(place)

    def action_move(self, by: int) -> None:
        place = self._cursor
        for _ in range(abs(by)):
            following = place + (1 if by > 0 else -1)
            while 0 <= following < len(self._rows) and self._rows[following].heading:
                following += 1 if by > 0 else -1
            if not 0 <= following < len(self._rows):
                break
            place = following
        self._place(place)

    def action_step(self, by: int) -> None:
        if self.draft.cycle(self.field, by):
            self.renew()

    def action_edit(self) -> None:
        if run_config.setting_type(self.field) is bool:
            self.action_step(1)
        else:
            self.post_message(self.Edit())

    def on_click(self, event: events.Click) -> None:
        place = event.y + int(self.scroll_offset.y)
        if 0 <= place < len(self._rows) and not self._rows[place].heading:
            self._place(place)
            if event.chain > 1:
                self.action_edit()

    def on_resize(self) -> None:
        self.virtual_size = Size(max(10, self.size.width - 1), len(self._rows))

    def _place(self, place: int) -> None:
        self._cursor = place
        # The heading of a group comes into view with its first field.
        above = 1 if self._rows[place - 1].heading else 0
        self.scroll_to_region(
            Region(0, place - above, 1, 1 + above), animate=False, force=True, immediate=True
        )
        self.refresh()
        self.post_message(self.Moved())

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        place = y + int(self.scroll_offset.y)
        base = self.rich_style
        if place >= len(self._rows):
            return Strip.blank(width, base)
        row = self._rows[place]
        if row.heading:
            style = base + Style(bold=True, color=self._colour("primary"))
            return Strip([Segment(row.name, style)]).adjust_cell_length(width, base)
        here = place == self._cursor
        if here:
            base += Style(bgcolor=self._colour("panel"), bold=self.has_focus)
        sign = "▸" if here else "•" if row.changed else " "
        segments = [
            Segment(f"{sign}{row.name:<{NAME_CELLS}}", base),
            Segment(
                row.value, base + Style(color=self._colour("error" if row.problem else "accent"))
            ),
        ]
        if row.problem:
            reason = f"  ✗ {row.problem}"
            segments.append(Segment(reason, base + Style(color=self._colour("error"))))
        return Strip(segments).adjust_cell_length(width, base)

    def _colour(self, name: str) -> str:
        # Textual's variables hold colours as hex, rich takes them as they are.
        return str(self.app.theme_variables[name])[:7]


class Form(Vertical):
    """The fields, and below them what the chosen one means and, on enter, where it is typed."""

    DEFAULT_CSS = """
    Form #about { height: 4; color: $text-muted; border-top: solid $panel; }
    Form Input { display: none; }
    Form.-typing Input { display: block; }
    """

    class Pick(Message):
        """The field's choices are asked for as a list."""

        def __init__(self, name: str, choices: tuple[str, ...]) -> None:
            super().__init__()
            self.name, self.choices = name, choices

    def __init__(
        self,
        draft: ConfigDraft,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.draft = draft
        self._before = ""

    def compose(self) -> ComposeResult:
        yield Fields(self.draft)
        yield Static(id="about")
        yield Input()

    @property
    def fields(self) -> Fields:
        return self.query_one(Fields)

    def renew(self) -> None:
        """Show the draft as it is now."""
        self.fields.renew()

    @on(Fields.Moved)
    def _explain(self) -> None:
        name = self.fields.field
        problem = self.draft.problems.get(name, "")
        about = run_config.FIELDS[name].description or ""
        second = (
            (f"✗ {problem}", "$error")
            if problem
            else (run_config.describe_allowed(name), "$foreground-muted")
        )
        self.query_one("#about", Static).update(Content.assemble(about, "\n", second), layout=False)

    @on(Fields.Edit)
    def _edit(self) -> None:
        name = self.fields.field
        choices = run_config.setting_choices(name)
        if name == "start" or (choices and name not in ("dataset", "model")):
            self.post_message(self.Pick(name, choices))
            return
        typed = self.query_one(Input)
        self._before = self.draft.format_value(name)
        self.add_class("-typing")
        typed.value = self._before
        typed.focus()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        if self.has_class("-typing"):
            self.draft.set(self.fields.field, event.value)
            self.renew()

    @on(Input.Submitted)
    def _done(self, event: Input.Submitted) -> None:
        event.stop()
        self._close()

    def on_key(self, event: events.Key) -> None:
        if event.key == "escape" and self.has_class("-typing"):
            event.stop()
            self.draft.set(self.fields.field, self._before)
            self._close()

    def _close(self) -> None:
        self.remove_class("-typing")
        self.renew()
        self.fields.focus()
