"""Dialogs above a screen: a choice, a line of text, a list to pick from, a text to read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

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
from fmnist_tui.tui.key_names import name_keys
from fmnist_tui.util.sequences import find_matches

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Choice:
    """An answer of a ChoiceDialog: its key, its name, and what it does."""

    key: str
    name: str
    about: str = ""


class ClosedOnce(ResizableScreen[Result]):
    """A screen above others that can be closed only once.

    Two keys may arrive before the first has closed it; the second must not close the screen
    below."""

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        if self.app.screen is not self:
            return AwaitComplete()
        return super().dismiss(result)


class Dialog(ModalScreen[Result], ClosedOnce[Result]):
    """A box with a title in the middle of the screen. The result is None if it is cancelled.

    FOCUS is the type of the child that gets the keyboard."""

    DEFAULT_CSS = """
    Dialog { align: center middle; }
    Dialog > Vertical, Dialog > VerticalScroll { width: 64; max-width: 94%; height: auto;
        max-height: 90%; border: round $accent; background: $surface; padding: 0 1; }
    Dialog OptionList, Dialog OptionList:focus { height: auto; max-height: 12; border: none;
        background: $surface; }
    Dialog OptionList > .option-list--option-highlighted,
    Dialog OptionList:focus > .option-list--option-highlighted { background: $panel;
        color: $foreground; text-style: bold; }
    """
    BINDINGS = [Binding("escape", "cancel", "Cancel", id="dialog.cancel")]
    FOCUS: ClassVar[type[Input | OptionList | VerticalScroll]] = OptionList

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title

    def on_mount(self) -> None:
        # A dialog may be closed before its children are mounted: then there is none to focus.
        self.query(self.FOCUS).focus()

    def action_cancel(self) -> None:
        self.dismiss(None)


class ChoiceDialog(Dialog[str]):
    """A question with a few answers, chosen by key, arrows or mouse; the result is the key."""

    DEFAULT_CSS = "ChoiceDialog Static { margin-bottom: 1; }"

    def __init__(self, title: str, question: str, choices: Sequence[Choice]) -> None:
        super().__init__(title)
        self._question, self._choices = question, choices

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Content(self._title)
            yield Static(Content(self._question))
            yield OptionList(*self._options())

    def _options(self) -> Iterator[Option]:
        for choice in self._choices:
            about = (f"  {choice.about}" if choice.about else "", "$foreground-muted")
            key, name = (f"{choice.key}  ", "bold $accent"), (choice.name, "bold")
            yield Option(Content.assemble(key, name, about), id=choice.key)

    def is_answer(self, event: events.Key) -> bool:
        """Whether the key chooses something at once."""
        return event.key == "enter" or self._is_choice(event)

    def _is_choice(self, event: events.Key) -> bool:
        return any(choice.key == event.character for choice in self._choices)

    def on_key(self, event: events.Key) -> None:
        if self._is_choice(event):
            # The screen below must not see the key.
            event.stop()
            self.dismiss(event.character)

    @on(OptionList.OptionSelected)
    def _on_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id)


class QuitDialog(ChoiceDialog):
    """What is to happen to a run or to jobs when the dashboard quits."""


class PromptDialog(Dialog[str]):
    """One line of text.

    `validate` returns what is wrong with a line, or an empty string; the dialog stays open and
    shows it until the line is right."""

    DEFAULT_CSS = """
    PromptDialog Static { display: none; color: $error; padding: 0 1; }
    PromptDialog.-invalid Static { display: block; }
    """
    FOCUS = Input

    def __init__(
        self,
        title: str,
        value: str = "",
        hint: str = "",
        validate: Callable[[str], str] = lambda line: "",
    ) -> None:
        super().__init__(title)
        self._value, self._hint, self._validate_line = value, hint, validate

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Content(self._title)
            yield Input(self._value, placeholder=self._hint)
            yield Static()

    @on(Input.Submitted)
    def _on_submitted(self, event: Input.Submitted) -> None:
        problem = self._validate_line(event.value)
        if problem:
            self.query_one(Static).update(Content(problem))
            self.add_class("-invalid")
        else:
            self.dismiss(event.value)

    @on(Input.Changed)
    def _on_changed(self) -> None:
        self.remove_class("-invalid")


class PickerDialog(Dialog[str]):
    """A list to choose one of, filtered by typing. Items are (id, text); the result is an id.

    `header` is a line above the list; `about` says more on the item that is highlighted, which at
    first is `current`; `nothing` says that none matches what is typed."""

    DEFAULT_CSS = """
    PickerDialog > Vertical { width: 80; max-height: 80%; padding: 0; }
    PickerDialog OptionList, PickerDialog OptionList:focus { max-height: 16; }
    PickerDialog #header { padding: 0 1; text-style: bold; color: $foreground-muted; }
    PickerDialog #about { padding: 0 1; margin-top: 1; }
    PickerDialog #nothing { padding: 0 1; color: $foreground-muted; display: none; }
    PickerDialog.-none #nothing { display: block; }
    PickerDialog.-none #about { display: none; }
    """
    BINDINGS = [
        Binding("down", "move(1)", show=False, priority=True),
        Binding("up", "move(-1)", show=False, priority=True),
        Binding("pagedown", "move(10)", show=False, priority=True),
        Binding("pageup", "move(-10)", show=False, priority=True),
    ]
    FOCUS = Input

    def __init__(
        self,
        title: str,
        items: Sequence[tuple[str, str | Content]],
        header: str = "",
        about: Callable[[str], Content] | None = None,
        current: str | None = None,
        nothing: str = "nothing matches",
    ) -> None:
        super().__init__(title)
        self._items, self._header, self._about, self._nothing = items, header, about, nothing
        names = [name for name, _ in items]
        self._first = names.index(current) if current in names else 0

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Content(self._title)
            yield Input(placeholder="type to filter, enter chooses")
            if self._header:
                yield Static(Content(self._header), id="header")
            options = OptionList(*self._options(""))
            options.highlighted = self._first if options.option_count else None
            yield options
            yield Static(Content(self._nothing), id="nothing")
            if self._about is not None:
                first = options.highlighted_option
                yield Static(self._about(first.id) if first and first.id else "", id="about")

    @on(Input.Changed)
    def _on_changed(self, event: Input.Changed) -> None:
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options(self._options(event.value))
        options.highlighted = 0 if options.option_count else None
        self.set_class(not options.option_count, "-none")

    def replace_text(self, items: Sequence[tuple[str, str | Content]]) -> None:
        """Show other texts for the same items."""
        self._items = items
        options, texts = self.query_one(OptionList), dict(items)
        for index in range(options.option_count):
            name = options.get_option_at_index(index).id
            if name in texts:
                options.replace_option_prompt_at_index(index, texts[name])

    def _options(self, text: str) -> Iterator[Option]:
        for name, item in find_matches(self._items, text, lambda each: f"{each[0]} {each[1]}"):
            yield Option(Content(item) if isinstance(item, str) else item, id=name)

    @on(OptionList.OptionHighlighted)
    def _show_about(self, event: OptionList.OptionHighlighted) -> None:
        if self._about is not None and event.option_id is not None:
            self.query_one("#about", Static).update(self._about(event.option_id))

    def action_move(self, by: int) -> None:
        options = self.query_one(OptionList)
        if options.option_count:
            index = (options.highlighted or 0) + by
            options.highlighted = max(0, min(options.option_count - 1, index))

    @on(Input.Submitted)
    def _on_submitted(self) -> None:
        option = self.query_one(OptionList).highlighted_option
        if option is not None:
            self.dismiss(option.id)

    @on(OptionList.OptionSelected)
    def _on_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_id)


class TextDialog(Dialog[None]):
    """A text to read; escape, q, ? and enter close it."""

    DEFAULT_CSS = """
    TextDialog > VerticalScroll { width: 76; max-width: 96%; }
    TextDialog Static { width: 1fr; height: auto; }
    """
    BINDINGS = [Binding("escape,q,question_mark,enter", "cancel", "Close", id="dialog.close")]
    FOCUS = VerticalScroll

    def __init__(self, title: str, text: Content) -> None:
        super().__init__(title)
        self._text = text

    @property
    def closing_hint(self) -> str:
        return name_keys("{dialog.close} closes")

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = Content(self._title)
            box.border_subtitle = self.closing_hint
            yield Static(self._text)
