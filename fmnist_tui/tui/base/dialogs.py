"""Questions and choices that stand above a screen until they are answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from textual import events, on
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from fmnist_tui.tui.base.resizing import ResizableScreen

Given = TypeVar("Given")


@dataclass(frozen=True, slots=True)
class Choice:
    """An answer: its key, its name, and what it does."""

    key: str
    name: str
    about: str = ""


class ClosedOnce(ResizableScreen[Given]):
    """A screen over others that can be closed but once.

    Two keys may come before the first has closed it; the second must not close what is
    under it."""

    def dismiss(self, result: Given | None = None) -> AwaitComplete:
        if self.app.screen is not self:
            return AwaitComplete()
        return super().dismiss(result)


class ChoiceDialog(ModalScreen[str | None], ClosedOnce[str | None]):
    """One question with a few answers, each by its key, the arrows or the mouse.

    Gives the chosen answer's key, or None where it was left with escape."""

    DEFAULT_CSS = """
    ChoiceDialog { align: center middle; }
    ChoiceDialog > Vertical { width: 64; max-width: 94%; height: auto; max-height: 90%;
        border: round $accent; background: $surface; padding: 0 1; }
    ChoiceDialog Static { margin-bottom: 1; }
    ChoiceDialog OptionList, ChoiceDialog OptionList:focus {
        height: auto; max-height: 12; border: none;
        background: $surface; }
    ChoiceDialog OptionList > .option-list--option-highlighted,
    ChoiceDialog OptionList:focus > .option-list--option-highlighted { background: $panel;
        color: $foreground; text-style: bold; }
    """
    BINDINGS = [Binding("escape", "leave", "Cancel", id="dialog.cancel")]

    def __init__(self, title: str, question: str, choices: Sequence[Choice]) -> None:
        super().__init__()
        self._title, self._question, self._choices = title, question, choices

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Content(self._title)
            yield Static(Content(self._question))
            yield OptionList(
                *(
                    Option(
                        Content.assemble(
                            (f"{choice.key}  ", "bold $accent"),
                            (choice.name, "bold"),
                            (f"  {choice.about}" if choice.about else "", "$foreground-muted"),
                        ),
                        id=choice.key,
                    )
                    for choice in self._choices
                )
            )

    def on_mount(self) -> None:
        self.query_one(OptionList).focus()

    def on_key(self, event: events.Key) -> None:
        if any(choice.key == event.character for choice in self._choices):
            # It has done its work: what is below must not take it for a key of its own.
            event.stop()
            self.dismiss(event.character)

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id)

    def action_leave(self) -> None:
        self.dismiss(None)


class QuitDialog(ChoiceDialog):
    """What is to become of what goes on, asked of somebody who leaves."""


class PromptDialog(ModalScreen[str | None], ClosedOnce[str | None]):
    """One line of text; None where it was left with escape."""

    DEFAULT_CSS = """
    PromptDialog { align: center middle; }
    PromptDialog > Vertical { width: 64; max-width: 94%; height: auto;
        border: round $accent; background: $surface; padding: 0 1; }
    """
    BINDINGS = [Binding("escape", "leave", "Cancel", id="dialog.cancel")]

    def __init__(self, title: str, value: str = "", hint: str = "") -> None:
        super().__init__()
        self._title, self._value, self._hint = title, value, hint

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Content(self._title)
            yield Input(self._value, placeholder=self._hint)

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    @on(Input.Submitted)
    def _given(self, event: Input.Submitted) -> None:
        self.dismiss(event.value)

    def action_leave(self) -> None:
        self.dismiss(None)


class PickerDialog(ModalScreen[str | None], ClosedOnce[str | None]):
    """A list to choose one of, narrowed by typing. Items are (id, text)."""

    DEFAULT_CSS = """
    PickerDialog { align: center middle; }
    PickerDialog > Vertical { width: 80; max-width: 94%; height: auto; max-height: 80%;
        border: round $accent; background: $surface; }
    PickerDialog OptionList, PickerDialog OptionList:focus {
        height: auto; max-height: 16; border: none;
        background: $surface; }
    PickerDialog OptionList > .option-list--option-highlighted,
    PickerDialog OptionList:focus > .option-list--option-highlighted { background: $panel;
        color: $foreground; text-style: bold; }
    """
    BINDINGS = [
        Binding("escape", "leave", "Cancel", id="dialog.cancel"),
        Binding("down", "move(1)", show=False, priority=True),
        Binding("up", "move(-1)", show=False, priority=True),
        Binding("pagedown", "move(10)", show=False, priority=True),
        Binding("pageup", "move(-10)", show=False, priority=True),
    ]

    def __init__(self, title: str, items: Sequence[tuple[str, str | Content]]) -> None:
        super().__init__()
        self._title, self._items = title, items

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Content(self._title)
            yield Input(placeholder="type to narrow, enter chooses")
            yield OptionList()

    def on_mount(self) -> None:
        self._fill("")
        self.query_one(Input).focus()

    @on(Input.Changed)
    def _narrowed(self, event: Input.Changed) -> None:
        self._fill(event.value)

    def _fill(self, text: str) -> None:
        words = text.lower().split()
        listed = self.query_one(OptionList)
        listed.clear_options()
        listed.add_options(
            Option(Content(item) if isinstance(item, str) else item, id=name)
            for name, item in self._items
            if all(word in str(item).lower() or word in name.lower() for word in words)
        )
        listed.highlighted = 0 if listed.option_count else None

    def action_move(self, by: int) -> None:
        listed = self.query_one(OptionList)
        if listed.option_count:
            place = (listed.highlighted or 0) + by
            listed.highlighted = max(0, min(listed.option_count - 1, place))

    @on(Input.Submitted)
    def _entered(self) -> None:
        listed = self.query_one(OptionList)
        if listed.highlighted is not None:
            self.dismiss(listed.get_option_at_index(listed.highlighted).id)

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id)

    def action_leave(self) -> None:
        self.dismiss(None)


class TextDialog(ModalScreen[None], ClosedOnce[None]):
    """A page of text to read; any of escape, q, ? and enter closes it."""

    DEFAULT_CSS = """
    TextDialog { align: center middle; }
    TextDialog > VerticalScroll { width: 76; max-width: 96%; height: auto; max-height: 90%;
        border: round $accent; background: $surface; padding: 0 1; }
    TextDialog Static { width: 1fr; height: auto; }
    """
    BINDINGS = [Binding("escape,q,question_mark,enter", "leave", "Close", id="dialog.close")]

    def __init__(self, title: str, text: Content) -> None:
        super().__init__()
        self._title, self._text = title, text

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = Content(self._title)
            box.border_subtitle = "escape closes"
            yield Static(self._text)

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).focus()

    def action_leave(self) -> None:
        self.dismiss(None)
