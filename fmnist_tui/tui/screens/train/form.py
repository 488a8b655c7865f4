"""A form with one setting per line: a cursor, the value, and what is wrong with it.

Left and right step through choices; everything else is typed in an input below the list and
checked at every key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events, getters, on
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
from fmnist_tui.tui.theme import muted_style, text_colour
from fmnist_tui.util.text import shorten_middle

# Only the longest name is wider, and followed by its value at once.
NAME_WIDTH = 15


class FieldList(ScrollView, can_focus=True):
    """The settings of a draft, a line each, under the headings of their groups."""

    KEYS_TITLE = "Settings"
    DEFAULT_CSS = "FieldList { height: 1fr; scrollbar-size-vertical: 1; overflow-x: hidden; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Field above", show=False, id="form.up"),
        Binding("down,j", "move(1)", "Field below", show=False, id="form.down"),
        Binding("pageup", "move(-12)", "Page up", show=False, id="form.page_up"),
        Binding("pagedown", "move(12)", "Page down", show=False, id="form.page_down"),
        Binding("home", "move(-999)", "First field", show=False, id="form.first"),
        Binding("end", "move(999)", "Last field", show=False, id="form.last"),
        Binding("left", "step(-1)", "Previous choice", show=False, id="form.before"),
        Binding("right", "step(1)", "Next choice", show=False, id="form.next"),
        Binding("enter", "edit", "Edit", id="form.edit"),
    ]

    class FieldChanged(Message):
        """The cursor is on another field, or the field's value has changed."""

    class EditRequested(Message):
        """The user wants to enter a value for the field at the cursor."""

    _rows: Sequence[DraftRow] = ()
    _cursor = 1

    def __init__(self, draft: ConfigDraft) -> None:
        super().__init__()
        self.draft = draft

    def on_mount(self) -> None:
        self.reload()

    @property
    def field(self) -> str:
        """The name of the field at the cursor."""
        return self._rows[self._cursor].name

    def reload(self) -> None:
        """Show the present values of the draft."""
        self.show_rows()
        self.post_message(self.FieldChanged())

    def show_rows(self) -> None:
        """Show the draft again: what it is compared with may have changed."""
        rows = self.draft.rows()
        if rows != self._rows:
            self._rows = rows
            self._update_size()
            self.refresh()

    def go_to(self, name: str) -> None:
        for index, row in enumerate(self._rows):
            if row.name == name and not row.is_heading:
                self._set_cursor(index)

    def action_move(self, by: int) -> None:
        fields = [index for index, row in enumerate(self._rows) if not row.is_heading]
        number = fields.index(self._cursor) + by
        self._set_cursor(fields[max(0, min(len(fields) - 1, number))])

    def action_step(self, by: int) -> None:
        if self.draft.cycle(self.field, by):
            self.reload()

    def action_edit(self) -> None:
        if run_config.setting_type(self.field) is bool:
            self.action_step(1)
        else:
            self.post_message(self.EditRequested())

    def on_click(self, event: events.Click) -> None:
        index = event.y + int(self.scroll_offset.y)
        if 0 <= index < len(self._rows) and not self._rows[index].is_heading:
            self._set_cursor(index)
            if event.chain > 1:
                self.action_edit()

    def on_resize(self) -> None:
        self._update_size()
        self._scroll_to_cursor()

    def _update_size(self) -> None:
        self.virtual_size = Size(max(10, self.size.width - 1), len(self._rows))

    def _set_cursor(self, index: int) -> None:
        self._cursor = index
        self._scroll_to_cursor()
        self.refresh()
        self.post_message(self.FieldChanged())

    def _scroll_to_cursor(self) -> None:
        # The heading of a group becomes visible with its first field.
        above = 1 if self._rows[self._cursor - 1].is_heading else 0
        self.scroll_to_region(
            Region(0, self._cursor - above, 1, 1 + above), animate=False, force=True, immediate=True
        )

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.rich_style
        index = y + int(self.scroll_offset.y)
        if index >= len(self._rows):
            return Strip.blank(width, base)
        row = self._rows[index]
        if row.is_heading:
            style = base + Style(bold=True, color=self._colour("primary"))
            return Strip([Segment(row.name, style)]).adjust_cell_length(width, base)
        has_cursor = index == self._cursor
        if has_cursor:
            base += Style(bgcolor=self._colour("panel"), bold=self.has_focus)
        sign = "▸" if has_cursor else "•" if row.base else " "
        error = base + Style(color=self._colour("error"))
        value = error if row.problem else base + Style(color=self._colour("accent"))
        segments = [Segment(f"{sign}{row.name:<{NAME_WIDTH}} ", base), Segment(row.value, value)]
        if row.problem:
            segments.append(Segment(f"  ✗ {row.problem}", error))
        elif row.base:
            room = width - sum(segment.cell_length for segment in segments)
            # The line below the list has it whole.
            before = shorten_middle(f" ← {row.base}", max(1, room))
            segments.append(Segment(before, base + muted_style(self.app.theme_variables)))
        return Strip(segments).adjust_cell_length(width, base)

    def _colour(self, name: str) -> str:
        return text_colour(self.app.theme_variables[name])


class Form(Vertical):
    """The fields, a description of the one at the cursor, and an input for its value."""

    DEFAULT_CSS = """
    Form #about { height: 5; color: $text-muted; border-top: solid $panel; }
    Form Input { display: none; }
    Form.-typing Input { display: block; }
    """

    fields = getters.query_one(FieldList)
    _input = getters.query_one(Input)
    # What the values are compared with that the draft compares with.
    compared_with = ""
    # The field that the input edits, and the value that escape restores.
    _edited = _old_value = ""

    class DraftShown(Message):
        """The form shows another field or value.

        FieldChanged does not reach the screen where the form itself has changed the value: a
        message goes no further than to the widget that has sent it."""

    @dataclass
    class ChoicesRequested(Message):
        """The user wants to pick the value of a field from a list."""

        field: str
        choices: tuple[str, ...]

    def __init__(self, draft: ConfigDraft, **options: Any) -> None:
        super().__init__(**options)
        self.draft = draft

    def compose(self) -> ComposeResult:
        yield FieldList(self.draft)
        yield Static(id="about")
        yield Input()

    def reload(self) -> None:
        """Show the values of a draft that was changed elsewhere."""
        self._close_input()

    @on(FieldList.FieldChanged)
    def _describe_field(self) -> None:
        name = self.fields.field
        if self._edited and name != self._edited:
            # The last key may be known to the input only.
            self.draft.set(self._edited, self._input.value)
            self._close_input()
        problem = self.draft.problems.get(name, "")
        about = run_config.FIELDS[name].description or ""
        allowed = run_config.describe_allowed(name) if name != "recipe" else "enter lists them all"
        note = (allowed, "$foreground-muted")
        base = next((row.base for row in self.draft.differences() if row.name == name), "")
        if problem:
            note = (f"✗ {problem}", "$error")
        elif base:
            note = (f"{self.compared_with}: {base}", "$foreground-muted")
        self.query_one("#about", Static).update(Content.assemble(about, "\n", note), layout=False)
        self.post_message(self.DraftShown())

    @on(FieldList.EditRequested)
    def _edit_field(self) -> None:
        name = self.fields.field
        choices = run_config.setting_choices(name)
        if name in ("recipe", "start") or (choices and name not in ("dataset", "model")):
            self.post_message(self.ChoicesRequested(name, choices))
            return
        if name != self._edited:
            self._edited = name
            self._old_value = self._input.value = self.draft.format_value(name)
            self.add_class("-typing")
        self._input.focus()

    @on(Input.Changed)
    def _set_value(self, event: Input.Changed) -> None:
        event.stop()
        # An older text may arrive when another field is edited already.
        if self._edited and event.value == self._input.value:
            self.draft.set(self._edited, event.value)
            self.fields.reload()

    @on(Input.Submitted)
    def _submit(self, event: Input.Submitted) -> None:
        event.stop()
        self._close_input()

    def on_key(self, event: events.Key) -> None:
        if event.key == "escape" and self._edited:
            event.stop()
            self.draft.set(self._edited, self._old_value)
            self._close_input()

    def _close_input(self) -> None:
        self._edited = ""
        self.remove_class("-typing")
        self.fields.reload()
        if self.screen.focused is self._input:
            self.fields.focus()
