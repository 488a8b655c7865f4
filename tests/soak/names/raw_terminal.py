"""The dashboard on hostile names in a real terminal: the bytes that it gets."""

from __future__ import annotations

import re
from collections.abc import Callable

from tests.e2e.terminal import Terminal, dashboard_env
from tests.soak.names.checks import find_in_text
from tests.soak.names.world import World

# What the dashboard sends besides text: control sequences, requests and settings of its own.
_OURS = re.compile(
    r"\x1b\[[0-9;:?<>=$]*[A-Za-ln-z]|\x1b\[(?!5;)[0-9;:]*m|\x1b\[\?\d+\$p|\x1b\]22;\w+\x07|\r|\n"
)
_NOT_OURS = (
    "\x1b[2J",
    "\x1b]0;title",
    "\x1b]52;c;cm0gLXJm",
    "\x1b]8;;",
    "\x1b[5;35m",
    "\x1bP+q",
    "\x1bc",
)


def visit(world: World, lose: Callable[[str, str], None]) -> None:
    """Look at runs, a dataset, the palette and a pasted name; then quit."""
    environment = {
        **dashboard_env(world.data_dir.parent),
        "FMNIST_TUI_RUNS": str(world.runs_dir),
        "FMNIST_TUI_DATA": str(world.data_dir),
        "FMNIST_TUI_CONFIGS": str(world.recipes),
        "FMNIST_TUI_STORAGE": world.storage,
    }
    with Terminal(env=environment) as terminal:
        terminal.until("1 Data")
        terminal.press("6")
        # The title of the table: in the bar above stands "6 Runs  7 Sweep".
        terminal.until(r"─ Runs  [1-9]")
        terminal.press("space", "down", "space", "down", "x")
        terminal.until("Delete|delete")
        terminal.press("escape", pause=0.3)
        terminal.press("/")
        for name in world.names:
            terminal.paste(name.encode("utf-8", "replace").decode().replace("\x1b[201~", ""))
        terminal.press("escape", pause=0.3)
        terminal.press("ctrl+p")
        terminal.until("Search for")
        terminal.type("ZQ")
        terminal.until("Run: |Recipe: ")
        terminal.press("escape", pause=0.3)
        terminal.press("ctrl+c")
        terminal.wait_for_exit()
        sent = bytes(terminal.raw).decode("utf-8", "replace")
        restored = terminal.is_restored()
    if not restored:
        lose("a real terminal", "is not restored")
    for code in _NOT_OURS:
        if code in sent:
            lose("a real terminal", f"was sent {code!r}")
    if problem := find_in_text(_OURS.sub("", sent)):
        lose("a real terminal", problem)
