"""What a terminal is asked for beyond drawing: its clipboard, its title, a notification.

tmux takes titles for itself and passes the rest on if it is wrapped and `allow-passthrough` is on.
It also takes a clipboard that is not wrapped, if `set-clipboard` is on: either setting will do.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping

from fmnist_tui.util.text import safe_text

ESC, BELL = "\x1b", "\a"
SAVE_TITLE, RESTORE_TITLE = f"{ESC}[22;2t", f"{ESC}[23;2t"
# Terminals that would show the text of a sequence that they do not know.
_PLAIN_TERMINALS = ("dumb", "linux", "vt100", "vt220", "")
# Terminals that know OSC 777 but not OSC 9.
_KNOW_777 = ("rxvt", "foot")
_TITLE_LIMIT, _NOTIFICATION_LIMIT = 80, 240


def copy_through_tmux(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """Ask the terminal around tmux to put this text into the clipboard (OSC 52), if there is one.

    Textual asks tmux itself, or the terminal where there is no tmux."""
    if not _is_tmux(environment):
        return ""
    encoded = base64.b64encode(text.encode("utf-8", "replace")).decode("ascii")
    return _through_tmux(f"{ESC}]52;c;{encoded}{BELL}")


def title_sequence(title: str) -> str:
    """Set the title of the terminal's window or tab."""
    return f"{ESC}]2;{safe_text(title, _TITLE_LIMIT)}{BELL}"


def has_title(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the terminal has a title to set."""
    return environment.get("TERM", "") not in _PLAIN_TERMINALS


def notification_sequence(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """Ask the terminal for a notification of the desktop (OSC 9, or OSC 777)."""
    terminal, text = environment.get("TERM", ""), safe_text(text, _NOTIFICATION_LIMIT)
    if terminal in _PLAIN_TERMINALS:
        return BELL
    # The name in front: some terminals take an OSC 9 that begins with a number for something else.
    sequence = f"{ESC}]9;fmnist-tui: {text}{BELL}"
    if terminal.startswith(_KNOW_777) or "VTE_VERSION" in environment:
        sequence = f"{ESC}]777;notify;fmnist-tui;{text}{BELL}"
    return _through_tmux(sequence) if _is_tmux(environment) else sequence


def _is_tmux(environment: Mapping[str, str]) -> bool:
    # Behind ssh only the terminal's name tells.
    return "TMUX" in environment or environment.get("TERM", "").startswith("tmux")


def _through_tmux(sequence: str) -> str:
    return f"{ESC}Ptmux;{sequence.replace(ESC, ESC + ESC)}{ESC}\\"
