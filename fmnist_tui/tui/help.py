"""What the dashboard says of itself: which keys there are, and how the run fares."""

from __future__ import annotations

from collections.abc import Iterable

from textual.binding import Binding
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import Screen

from fmnist_tui.tui.base.dialogs import TextDialog
from fmnist_tui.tui.state.settings import settings_dir
from fmnist_tui.util.paths import from_home


def help_sheet(screen: Screen[object]) -> TextDialog:
    """Every key that works now, under what it belongs to."""
    groups: dict[str, list[tuple[str, str, str]]] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        if not binding.description or binding.action.startswith("command_palette"):
            continue
        key = binding.key_display or screen.app.get_key_display(binding)
        groups.setdefault(_owner(active.node, screen), []).append(
            (key, binding.description, binding.id or "")
        )
    everything = ("ctrl+p", "Every action, run and recipe by name", "")
    groups.setdefault("Everywhere", []).append(everything)
    lines: list[Content] = []
    title = getattr(screen, "TITLE", "") or "Keys"
    if about := getattr(screen, "HELP", ""):
        lines += [Content(about), Content("")]
    for owner, keys in sorted(groups.items(), key=lambda group: group[0] == "Everywhere"):
        lines.append(Content.styled(owner, "bold $primary"))
        for key, description, names in _together(keys):
            told = (f"  {names}", "$foreground-muted")
            lines.append(Content.assemble((f"  {key:<18}", "bold $accent"), description, told))
        lines.append(Content(""))
    lines.append(Content(f"keys.toml in {from_home(settings_dir())} changes them: [keys]"))
    lines.append(Content('"train.stop" = "S"'))
    return TextDialog(f"{title}: keys", Content("\n").join(lines))


def binding_ids(nodes: Iterable[object]) -> set[str]:
    """The names of all actions whose keys a user may change."""
    found: set[str] = set()
    for node in [*nodes, *_widgets(DOMNode)]:
        for binding in getattr(node, "BINDINGS", ()):
            if isinstance(binding, Binding) and binding.id:
                found.add(binding.id)
    return found


def _widgets(base: type[DOMNode]) -> Iterable[type[DOMNode]]:
    for child in base.__subclasses__():
        yield child
        yield from _widgets(child)


def _owner(node: DOMNode, screen: Screen[object]) -> str:
    if node is screen.app:
        return "Everywhere"
    if node is screen:
        return "This screen"
    return str(getattr(node, "KEYS_TITLE", "") or "The pane in use")


def _together(keys: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """The keys that do the same on one line, with the names by which they can be changed."""
    told: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for key, description, name in keys:
        found, names = told.setdefault(description, ({}, {}))
        found[key] = None
        if name:
            names[name] = None
    return [
        (" ".join(found), description, " ".join([*names][:1]) + (" …" if len(names) > 1 else ""))
        for description, (found, names) in told.items()
    ]
