"""The help dialog: every key of the current screen, with the names that keys.toml uses."""

from __future__ import annotations

from textual.content import Content
from textual.dom import DOMNode
from textual.screen import Screen

from fmnist_tui.tui.base.dialogs import TextDialog
from fmnist_tui.tui.state.settings import settings_dir
from fmnist_tui.util.paths import format_path


def help_dialog(screen: Screen[object]) -> TextDialog:
    """Every key that works now, grouped by screen and pane."""
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
        for key, description, names in _merge_keys(keys):
            key_part = (f"  {key:<18}", "bold $accent")
            names_part = (f"  {names}", "$foreground-muted")
            lines.append(Content.assemble(key_part, description, names_part))
        lines.append(Content(""))
    lines.append(
        Content(f"Change keys in {format_path(settings_dir())}/keys.toml, for example: [keys]")
    )
    lines.append(Content('"train.stop" = "S"'))
    return TextDialog(f"{title}: keys", Content("\n").join(lines))


def _owner(node: DOMNode, screen: Screen[object]) -> str:
    if node is screen.app:
        return "Everywhere"
    if node is screen:
        return "This screen"
    return str(getattr(node, "KEYS_TITLE", "") or "The focused pane")


def _merge_keys(keys: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Keys with the same description on one line, with the ids of their bindings."""
    merged: dict[str, tuple[dict[str, None], dict[str, None]]] = {}
    for key, description, name in keys:
        same_keys, names = merged.setdefault(description, ({}, {}))
        same_keys[key] = None
        if name:
            names[name] = None
    return [
        (" ".join(same), description, " ".join([*names][:1]) + (" …" if len(names) > 1 else ""))
        for description, (same, names) in merged.items()
    ]
