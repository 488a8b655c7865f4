"""The user's settings of the dashboard: how things are shown, and changed keys.

`view.json` is written whenever the user makes a choice; `keys.toml` is written by the user and
only read. A file that cannot be used causes one warning and is ignored.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from fmnist_tui.util.atomic_write import atomic_write
from fmnist_tui.util.errors import did_you_mean, format_error
from fmnist_tui.util.file_lock import locked
from fmnist_tui.util.latest_work import LatestWork
from fmnist_tui.util.text import safe_text
from fmnist_tui.util.text_file import parse_toml, read_text

VIEW, KEYS = "view.json", "keys.toml"
# The dashboard waits this long for its last choice to be on the disk.
FLUSH_SECONDS = 5.0


@dataclass
class Settings:
    """Choices by name, saved at once, in a thread. `warnings` are messages to show to the user."""

    folder: Path | None = None
    values: dict[str, str] = field(default_factory=dict)
    keymap: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    unsaved: bool = False
    # Choices that the file does not hold yet
    _chosen: dict[str, str] = field(default_factory=dict, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)
    _writer: LatestWork = field(default_factory=LatestWork, init=False, repr=False)
    _last_write: Future[None] | None = field(default=None, init=False, repr=False)

    @classmethod
    def load(cls, folder: Path) -> Settings:
        settings = cls(folder)
        settings.values = settings._read_choices()
        document = settings._read(KEYS, parse_toml)
        for key in document.keys() - {"keys"}:
            settings._warn(KEYS, f"{key} is not a section (bindings go under [keys])")
        keys = document.get("keys", {})
        if not isinstance(keys, dict):
            settings._warn(KEYS, "keys must be a table: [keys]")
            keys = {}
        for name, key in keys.items():
            if isinstance(key, str) and key:
                settings.keymap[name] = key
            else:
                settings._warn(KEYS, f"{name} must be a key's name in quotes")
        return settings

    def get(self, name: str, default: str = "") -> str:
        return self.values.get(name, default)

    def save(self, name: str, value: str) -> None:
        """Save a choice. If the folder is not writable it holds until the dashboard quits."""
        if self.values.get(name) == value:
            return
        self.values[name] = value
        if self.folder is None or self.unsaved:
            return
        with self._lock:
            self._chosen[name] = value
        self._last_write = self._writer.submit(partial(self._write, self.folder))

    def _write(self, folder: Path) -> None:
        """Write what was chosen here since the last time; the rest stays as another dashboard has
        left it."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with locked(folder):
                with self._lock:
                    chosen, self._chosen = self._chosen, {}
                values = {**self.values, **self._read_choices(), **chosen}
                atomic_write(folder / VIEW, json.dumps(values, indent=1).encode())
        except OSError as error:
            self._warn_unsaved(format_error(error))

    def flush(self) -> None:
        """Wait until the last choice is on the disk."""
        if self._last_write is not None and wait([self._last_write], FLUSH_SECONDS).not_done:
            self._warn_unsaved("the disk does not answer")

    def _warn_unsaved(self, why: str) -> None:
        if not self.unsaved:
            self.unsaved = True
            self._warn(VIEW, f"not saved: {why}")

    def check_keys(
        self, known: set[str], describe_clashes: Callable[[Mapping[str, str]], str]
    ) -> None:
        """Drop bindings of unknown actions, with a warning, and warn of keys that clash."""
        for name in sorted(self.keymap.keys() - known):
            del self.keymap[name]
            self._warn(KEYS, f"there is no action {name}{did_you_mean(name, known)}")
        if clashes := describe_clashes(self.keymap):
            self._warn(KEYS, clashes)

    def _warn(self, file: str, what: str) -> None:
        where = f"{self.folder / file}: " if self.folder else ""
        self.warnings.append(safe_text(f"{where}{what}"))

    def _read_choices(self) -> dict[str, str]:
        choices = self._read(VIEW, json.loads)
        return {key: value for key, value in choices.items() if isinstance(value, str)}

    def _read(self, name: str, parse: Any) -> dict[str, Any]:
        if self.folder is None:
            return {}
        try:
            document = parse(read_text(self.folder / name))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, RecursionError) as error:
            self._warn(name, f"not read: {format_error(error)}")
            return {}
        return document if isinstance(document, dict) else {}
