"""A folder being watched: what is new or changed in it is told as it comes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fmnist_tui.tui.screens.predict.inputs import is_picture
from fmnist_tui.util.errors import reason
from fmnist_tui.util.text import safe_text

# How soon it is noticed that the folder has gone, or that nobody wants to know any more.
_LOOK_MILLISECONDS = 500
# A file that is being written is told when it has held still for so long.
_STILL_MILLISECONDS = 100


@dataclass(frozen=True, slots=True)
class FolderChange:
    """Pictures that have come or changed; or the end of the watch, and why."""

    folder: Path
    files: tuple[Path, ...] = ()
    ended: str = ""


class FolderWatch:
    """Tells of a folder, from a thread of its own, until `stop` or until the folder is gone."""

    def __init__(self, folder: Path, tell: Callable[[FolderChange], None]) -> None:
        self.folder = folder
        self._tell = tell
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Tell nothing any more. Returns at once; the thread ends within a moment."""
        self._stopped.set()

    def wait(self, seconds: float) -> bool:
        """Wait for the thread to have ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _watch(self) -> None:
        import watchfiles

        try:
            began = self.folder.stat().st_ino
            for changes in watchfiles.watch(
                self.folder,
                watch_filter=_arrives,
                step=_STILL_MILLISECONDS,
                rust_timeout=_LOOK_MILLISECONDS,
                yield_on_timeout=True,
                stop_event=self._stopped,
                raise_interrupt=False,
                recursive=False,
            ):
                if self._stopped.is_set():
                    return
                if self.folder.stat().st_ino != began:
                    raise FileNotFoundError("it is another folder now")
                if changes:
                    files = {self.folder / Path(name).name for _, name in changes}
                    self._tell(FolderChange(self.folder, tuple(sorted(files))))
        except (OSError, RuntimeError) as error:
            if not self._stopped.is_set():
                self._tell(FolderChange(self.folder, ended=_why(self.folder, error)))


def _arrives(change: object, name: str) -> bool:
    # 3 is a removal; what has come may be gone again by now, which predicting it says.
    return change != 3 and is_picture(Path(name).name)


def _why(folder: Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"the watched folder is gone: {safe_text(folder)}"
    return f"{safe_text(folder)} cannot be watched any more: {reason(error)}"
