"""Watches a folder in a thread, and tells the screen about new and changed images."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from textual.message import Message

from fmnist_tui.data.images.image_folder import FolderWatch
from fmnist_tui.util.errors import UserError


class FolderChanged(Message):
    """New or changed images, or why the watch has `ended`."""

    def __init__(self, folder: Path, files: tuple[Path, ...] = (), ended: str = "") -> None:
        super().__init__()
        self.folder, self.files, self.ended = folder, files, ended


class WatchThread(threading.Thread):
    """Reports changes until `stop` or until the folder is gone."""

    def __init__(self, watch: FolderWatch, report: Callable[[FolderChanged], object]) -> None:
        super().__init__(name="watch", daemon=True)
        (self.folder,) = watch.folders
        self._watch, self._report = watch, report
        self._stopping = threading.Event()
        self.start()

    def stop(self) -> None:
        """Report nothing more. Returns at once; the thread ends shortly after."""
        self._stopping.set()

    def run(self) -> None:
        try:
            for files in self._watch.changes(self._stopping):
                self._report(FolderChanged(self.folder, tuple(files)))
        except UserError as error:
            if not self._stopping.is_set():
                self._report(FolderChanged(self.folder, ended=str(error)))
