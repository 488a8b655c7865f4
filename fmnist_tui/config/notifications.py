"""Where the user is told that a run has ended, has failed or stalls: settings of the program.

They are in `notify.toml` in the folder of the user's settings; an environment variable replaces the
address. Nothing is sent anywhere unless the user has named an address.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fmnist_tui.util.atomic_write import open_atomic
from fmnist_tui.util.errors import UserError, did_you_mean, format_error
from fmnist_tui.util.paths import settings_dir
from fmnist_tui.util.text import safe_text
from fmnist_tui.util.text_file import read_toml

FILE = "notify.toml"
VARIABLE = "FMNIST_TUI_NOTIFY_URL"
OFF, BELL, NOTIFICATION = "off", "bell", "notification"
TERMINAL = (OFF, BELL, NOTIFICATION)
NTFY_PREFIX = "ntfy+"
STALL_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Notifications:
    """`url` gets a POST, `terminal` is what a dashboard's terminal does; a run that has not gone
    on for `stall_seconds` stalls (0: none does). `problem` says why the file is ignored."""

    url: str = ""
    terminal: str = OFF
    stall_seconds: float = STALL_SECONDS
    problem: str = ""

    @property
    def place(self) -> str:
        """The address as it may be shown: without what makes it a secret."""
        return address_to_show(self.url)

    @property
    def is_ntfy(self) -> bool:
        """Whether the address takes plain text with headers, as ntfy does, or else JSON."""
        host = urlsplit(self.url).hostname or ""
        return self.url.startswith(NTFY_PREFIX) or "ntfy" in host.split(".")


def address_to_show(url: str) -> str:
    """`https://ntfy.sh/…`: whoever knows the rest can read and send messages."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return safe_text(f"{parts.scheme}://{parts.hostname}{port}/…", 80) if url else ""


def notifications_file() -> Path:
    return settings_dir() / FILE


def load_notifications(environment: Mapping[str, str] = os.environ) -> Notifications:
    """The settings that apply; a file or variable that cannot be used is a `problem`."""
    path, settings = notifications_file(), Notifications()
    try:
        settings = _check(read_toml(path))
    except FileNotFoundError:
        pass
    except (OSError, ValueError, RecursionError) as error:
        settings = Notifications(problem=safe_text(f"{path}: not used: {format_error(error)}"))
    except UserError as error:
        settings = Notifications(problem=safe_text(f"{path}: not used: {error}"))
    if url := environment.get(VARIABLE, "").strip():
        try:
            settings = replace(settings, url=check_url(url))
        except UserError as error:
            settings = replace(settings, url="", problem=f"{VARIABLE}: {error}")
    return settings


def save_notifications(settings: Notifications) -> None:
    """Write the file; only its owner may read it, because the address may be a secret."""
    path = notifications_file()
    text = (
        "# Who is told that a run has ended, has failed or stalls: `fmnist-tui notify set --help`\n"
        f"url = {json.dumps(settings.url)}\n"
        f"terminal = {json.dumps(settings.terminal)}\n"
        f"stall_seconds = {settings.stall_seconds:g}\n"
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open_atomic(path) as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(text.encode())
    except OSError as error:
        raise UserError(f"cannot write {safe_text(path)}: {format_error(error)}") from error


def check_url(url: str) -> str:
    """The address; a UserError, which does not repeat it, if nothing can be sent there."""
    try:
        parts = urlsplit(url.removeprefix(NTFY_PREFIX))
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
    if not (is_usable and url.isascii() and url.isprintable()) or " " in url:
        raise UserError("the address must be http://… or https://… (ntfy+https://… for ntfy)")
    return url


def check_stall(seconds: object) -> float:
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        raise UserError("stall_seconds must be a number")
    if not (math.isfinite(seconds) and seconds >= 0):
        raise UserError("stall_seconds must be 0 or more")
    return float(seconds)


def _check(document: Mapping[str, Any]) -> Notifications:
    known = ("url", "terminal", "stall_seconds")
    for key in document:
        if key not in known:
            raise UserError(f"there is no setting {safe_text(key)}{did_you_mean(key, known)}")
    url, terminal = document.get("url", ""), document.get("terminal", OFF)
    if not isinstance(url, str):
        raise UserError("url must be an address in quotes")
    if terminal not in TERMINAL:
        raise UserError(f"terminal must be {', '.join(TERMINAL[:-1])} or {TERMINAL[-1]}")
    stall = check_stall(document.get("stall_seconds", STALL_SECONDS))
    return Notifications(check_url(url) if url else "", terminal, stall)
