"""Watches a folder for new and changed images."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from textual.message import Message

from fmnist_tui.tui.screens.predict.inputs import is_image_name
from fmnist_tui.util.errors import format_error
from fmnist_tui.util.text import safe_text

# How soon the thread notices that the folder is gone, or that it is to stop.
_POLL_MILLISECONDS = 500
# A file is reported when it has not changed for this long.
_QUIET_MILLISECONDS = 100


class FolderChanged(Message):
    """New or changed images, or why the watch has `ended`."""

    def __init__(self, folder: Path, files: tuple[Path, ...] = (), ended: str = "") -> None:
        super().__init__()
        self.folder, self.files, self.ended = folder, files, ended


class FolderWatch(threading.Thread):
    """Reports changes until `stop` or until the folder is gone."""

    def __init__(self, folder: Path, report: Callable[[FolderChanged], object]) -> None:
        super().__init__(name="watch", daemon=True)
        self.folder = folder
        self._report = report
        self._stopping = threading.Event()
        self.start()

    def stop(self) -> None:
        """Report nothing more. Returns at once; the thread ends shortly after."""
        self._stopping.set()

    def run(self) -> None:
        import watchfiles

        try:
            inode = self.folder.stat().st_ino
            for changes in watchfiles.watch(
                self.folder,
                watch_filter=_is_image_change,
                step=_QUIET_MILLISECONDS,
                rust_timeout=_POLL_MILLISECONDS,
                yield_on_timeout=True,
                stop_event=self._stopping,
                raise_interrupt=False,
                recursive=False,
            ):
                if self._stopping.is_set():
                    return
                if self.folder.stat().st_ino != inode:
                    raise FileNotFoundError("replaced by another folder")
                if changes:
                    files = {self.folder / Path(name).name for _, name in changes}
                    self._report(FolderChanged(self.folder, tuple(sorted(files))))
        except (OSError, RuntimeError) as error:
            if not self._stopping.is_set():
                ended = f"{safe_text(self.folder)} is no longer watched: {format_error(error)}"
                if isinstance(error, FileNotFoundError):
                    ended = f"the watched folder is gone: {safe_text(self.folder)}"
                self._report(FolderChanged(self.folder, ended=ended))


def _is_image_change(change: int, name: str) -> bool:
    # 3 is a removal.
    return change != 3 and is_image_name(Path(name).name)
