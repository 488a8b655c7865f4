"""The help dialog: every key that works now, with the ids that keys.toml uses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.geometry import Size
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from fmnist_tui.tui.base.dialogs import TextDialog
from fmnist_tui.tui.bindings import describe_clashes, is_movement, is_own
from fmnist_tui.tui.key_names import name_keys
from fmnist_tui.tui.state.settings import KEYS
from fmnist_tui.util.paths import format_path, settings_dir

SCREEN, PANE, EVERYWHERE, FRAMEWORK = "This screen", "The focused pane", "Everywhere", "Also"
# Textual's own words for what all screens need.
_WORDS = {"Focus Next": "Next pane", "Focus Previous": "Previous pane"}
_ARROWS = "↑↓←→"
_MIN_COLUMN, _GAP = 46, 2


class Row(NamedTuple):
    """Keys, what they do, and the id of their binding."""

    keys: str
    what: str
    id: str = ""


Groups = Mapping[str, Sequence[Row]]


class HelpDialog(TextDialog):
    """What the screen is about, its keys, then those that work everywhere."""

    DEFAULT_CSS = "HelpDialog > VerticalScroll { width: 116; }"

    def __init__(self, title: str, about: str, groups: Groups, notes: Content) -> None:
        super().__init__(title, Content(about))
        self._groups, self._notes = groups, notes

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = Content(self._title)
            box.border_subtitle = self.closing_hint
            if self._text.plain:
                yield Static(self._text + "\n")
            yield KeyColumns(self._groups)
            yield Static(self._notes)


class KeyColumns(Widget):
    """Groups of keys in two columns, or in one where there is no room for two."""

    DEFAULT_CSS = "KeyColumns { width: 1fr; height: auto; }"

    def __init__(self, groups: Groups) -> None:
        super().__init__()
        self._groups = groups

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(format_columns(self._groups, width))

    def render(self) -> Content:
        return Content("\n").join(format_columns(self._groups, self.size.width))


def help_dialog(screen: Screen[object], keymap: Mapping[str, str]) -> HelpDialog:
    """Every key that works on a screen now."""
    where = f"{format_path(settings_dir())}/{KEYS}"
    notes = [
        Content.styled(f'Change keys in {where}: [keys] "train.stop" = "S"', "$foreground-muted")
    ]
    if clashes := describe_clashes(keymap):
        notes.append(Content.styled(f"▲ {KEYS}: {clashes}", "$warning"))
    title = getattr(screen, "TITLE", "") or "Keys"
    about = name_keys(getattr(screen, "HELP", "") or "")
    return HelpDialog(f"{title}: keys", about, collect_keys(screen), Content("\n").join(notes))


def collect_keys(screen: Screen[object]) -> Groups:
    """The keys that work now: of the screen, of the focused pane, of all screens, of Textual."""
    found: dict[str, dict[str, list[tuple[str, Binding]]]] = {SCREEN: {}}
    for active in screen.active_bindings.values():
        binding = active.binding
        if binding.description and not binding.action.startswith("command_palette"):
            what = _WORDS.get(binding.description, binding.description)
            what = "Other screens" if binding.action.startswith("show(") else what
            keys = found.setdefault(_group(active.node, binding, screen), {}).setdefault(what, [])
            keys.append((screen.app.get_key_display(binding), binding))
    groups = {name: list(_rows(keys)) for name, keys in found.items()}
    groups.setdefault(EVERYWHERE, []).append(Row("ctrl+p", "All actions, runs and recipes"))
    last = [name for name in (EVERYWHERE, FRAMEWORK) if name in groups]
    order = [*(name for name in groups if name not in last), *last]
    return {name: groups[name] for name in order if groups[name]}


def _group(node: DOMNode, binding: Binding, screen: Screen[object]) -> str:
    if node is screen.app or binding.description in _WORDS:
        return EVERYWHERE
    if not is_own(binding):
        return FRAMEWORK
    return SCREEN if node is screen else str(getattr(node, "KEYS_TITLE", "") or PANE)


def _rows(keys: Mapping[str, Sequence[tuple[str, Binding]]]) -> Iterator[Row]:
    """A row for all keys that do the same, and one for all that move."""
    moving: dict[str, None] = {}
    for what, bound in keys.items():
        names = dict.fromkeys(name for name, _ in bound)
        if any(is_movement(binding) for _, binding in bound):
            moving.update(names)
        else:
            ids = dict.fromkeys(binding.id or "" for _, binding in bound)
            yield Row(" ".join(names), what, next(iter(ids)) if len(ids) == 1 else "")
    if moving:
        # Not `ctrl+home` beside `home`.
        shown = [name for name in moving if "+" not in name or name.split("+")[1] not in moving]
        keys_in_order = sorted(shown, key=lambda name: name not in _ARROWS)
        yield Row(" ".join(keys_in_order), "Move")


def format_columns(groups: Groups, width: int) -> list[Content]:
    """The groups below each other, or in two columns of about the same height."""
    column = (width - _GAP) // 2
    if column < _MIN_COLUMN:
        return _format_groups(groups, width)
    blocks = list(groups.items())
    splits = [(dict(blocks[:at]), dict(blocks[at:])) for at in range(1, len(blocks) + 1)]
    sides = [[_format_groups(side, column) for side in split] for split in splits]
    left, right = min(sides, key=lambda split: max(map(len, split)))
    return [
        one.pad_right(column + _GAP - one.cell_length) + other
        for one, other in zip_longest(left, right, fillvalue=Content(""))
    ]


def _format_groups(groups: Groups, width: int) -> list[Content]:
    rows = [row for group in groups.values() for row in group]
    key_width = max((len(row.keys) for row in rows if len(row.keys) <= 12), default=0)
    what_width = max((len(row.what) for row in rows), default=0)
    lines: list[Content] = []
    for name, group in groups.items():
        lines.append(Content.styled(name, "bold $primary"))
        for keys, what, binding_id in group:
            line = Content.assemble((f"  {keys:<{key_width}}", "bold $accent"), f"  {what}")
            if binding_id and line.cell_length + 2 + len(binding_id) <= width:
                gap = " " * (what_width - len(what) + 2)
                line += Content.styled(f"{gap}{binding_id}", "$foreground-muted")
            lines.append(line.truncate(width, ellipsis=True))
        lines.append(Content(""))
    return lines
