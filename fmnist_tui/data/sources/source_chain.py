"""Where a data set's files come from: one place after another, until all four are there.

The data folder, a system package's files, the mirrors, the Debian package fetched
without root; then one message that names everything tried. Whatever the place, a file
counts only once it has passed every check; one in the data folder that does not is put
aside under the name `NAME.bad`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy.typing as npt

from fmnist_tui.data.idx.checksums import ChecksumFile
from fmnist_tui.data.idx.idx_set import (
    ArchiveSource,
    IdxArrays,
    IdxFile,
    IdxSet,
    SystemPackage,
    read_part,
)
from fmnist_tui.data.load_progress import CancelError, LoadReporter, OnStep, check_cancel
from fmnist_tui.data.sources import debian_package
from fmnist_tui.data.sources.errors import BrokenError, LoginPageError, UnreachableError
from fmnist_tui.util.atomic_write import move, open_atomic, sweep_strays
from fmnist_tui.util.errors import UserError, reason
from fmnist_tui.util.file_lock import locked
from fmnist_tui.util.text import safe_text

if TYPE_CHECKING:
    from fmnist_tui.data.sources.http import Patience

OFFLINE = "FMNIST_TUI_OFFLINE"
DATA_FOLDER, SYSTEM, MIRRORS, DEBIAN = (
    "data folder",
    "system package",
    "mirrors",
    "Debian package",
)
_PART_LIMIT = 96 * 2**20  # bytes of a published file; the largest has a third of that
_LOCK = ".lock"


def has_all_files(idx_set: IdxSet, data_dir: Path, system_root: Path = Path("/")) -> bool:
    """Whether all four files lie in the data folder or a system package's; none is read."""
    places = [data_dir / idx_set.name]
    if idx_set.package is not None:
        places.append(system_root / idx_set.package.folder)
    return all(any(part.within(place) for place in places) for part in idx_set.parts)


def load_idx_arrays(
    idx_set: IdxSet,
    data_dir: Path,
    *,
    on_step: OnStep | None = None,
    cancel: threading.Event | None = None,
    fetch: bool = True,
    system_root: Path = Path("/"),
    patience: Patience | None = None,
) -> IdxArrays:
    """The whole data set, from the first place that has it; new files go to the data folder.

    Where all is there already, no network is touched and nothing is written. Without
    `fetch`, or with FMNIST_TUI_OFFLINE set, only this machine's own files are looked at.
    """
    chain = _Chain(
        idx_set, data_dir / idx_set.name, LoadReporter(idx_set.name, on_step), cancel, patience
    )
    package, offline = idx_set.package, _offline(fetch)
    chain.attempt(DATA_FOLDER, chain.look_in_data_folder)
    if package:
        chain.attempt(SYSTEM, lambda: chain.look_in_system(system_root / package.folder))
    chain.attempt(MIRRORS, chain.fetch_from_mirrors, offline)
    if package:
        chain.attempt(DEBIAN, lambda: chain.fetch_package(package), offline)
    return chain.arrays()


def _offline(fetch: bool) -> str:
    """Why the network is not to be used; empty if it may be."""
    if os.environ.get(OFFLINE, "").strip().lower() not in ("", "0", "false", "no"):
        return f"{OFFLINE} is set"
    return "" if fetch else "not asked to fetch"


class _Chain:
    """What has been found so far, what failed, and how each place is searched."""

    def __init__(
        self,
        idx_set: IdxSet,
        folder: Path,
        tell: LoadReporter,
        cancel: threading.Event | None,
        patience: Patience | None,
    ) -> None:
        self._set, self._folder, self._tell = idx_set, folder, tell
        self._cancel, self._patience = cancel, patience
        self._sums = ChecksumFile(folder)
        self._found: dict[str, npt.NDArray[Any]] = {}
        self._sources: list[str] = []
        self._failures: list[str] = []

    @property
    def missing(self) -> list[IdxFile]:
        return [part for part in self._set.parts if part.file not in self._found]

    def arrays(self) -> IdxArrays:
        """Everything found; or the UserError that says what was tried and what to do."""
        if self.missing:
            files = ", ".join(part.file for part in self._set.parts)
            raise UserError(
                f"{self._set.title} cannot be had: {'; '.join(self._failures)}. Without a network, "
                f"copy the files {files} to the folder {safe_text(self._folder)}, or use the data "
                'set "sketches", which this program draws itself'
            )
        train_images, train_labels, test_images, test_labels = (
            self._found[part.file] for part in self._set.parts
        )
        notes = [
            f"{name} is not the published file: only its form was checked"
            for name in self._sums.unpublished
        ]
        source = " + ".join(self._sources)
        return IdxArrays(train_images, train_labels, test_images, test_labels, source, tuple(notes))

    def attempt(self, source: str, look: Callable[[], None], forbidden: str = "") -> None:
        """One place, if anything is still missing: tells how it goes, and keeps why it failed."""
        if not self.missing:
            return
        before = len(self._found)
        self._tell.trying(source)
        try:
            check_cancel(self._cancel)
            if forbidden:
                raise UserError(forbidden)
            look()
        except CancelError as error:
            self._tell.failed(str(error))
            raise
        except UserError as error:
            self._tell.failed(str(error))
            self._failures.append(f"{source}: {error}")
        else:
            self._tell.ok(f"{self._set.title} is complete")
        if len(self._found) > before:
            self._sources.append(source)

    def look_in_data_folder(self) -> None:
        """Takes what is there and right; puts aside what is there and wrong."""
        troubles = []
        for part in self.missing:
            while part.file not in self._found and (path := part.within(self._folder)):
                check_cancel(self._cancel)
                try:
                    self._take(part, path)
                except UserError as error:
                    aside = self._put_aside(part, path)
                    troubles.append(f"{error} ({aside})" if aside else str(error))
                    if not aside:
                        break
        absent = [part.file for part in self.missing if part.within(self._folder) is None]
        if len(absent) == len(self._set.parts) and not troubles:
            raise UserError(f"nothing of it in {safe_text(self._folder)}")
        if self.missing:
            lacking = f"{', '.join(absent)} not in {safe_text(self._folder)}"
            raise UserError("; ".join([*troubles, *([lacking] if absent else [])]))
        for trouble in troubles:
            self._tell.progress(trouble)

    def _take(self, part: IdxFile, path: Path, *, published: bool = False) -> None:
        sums = self._sums if path.parent == self._folder else None
        self._found[part.file] = read_part(self._set, part, path, sums, published)

    def _check_cancel(self) -> None:
        check_cancel(self._cancel)

    def _put_aside(self, part: IdxFile, path: Path) -> str:
        """Renames a file that failed its check; what was done, or nothing if it cannot be."""
        aside = path.with_name(f"{path.name}.bad")
        try:
            with locked(self._folder / _LOCK, self._check_cancel):
                # Another process may have put a good one in its place meanwhile.
                with contextlib.suppress(UserError):
                    self._take(part, path)
                    return "replaced by another process"
                move(path, aside)
        except OSError as error:
            self._tell.progress(f"{safe_text(path)}: cannot be put aside: {reason(error)}")
            return ""
        return f"put aside as {safe_text(aside.name)}"

    def look_in_system(self, folder: Path) -> None:
        """Takes what a package installed for the whole machine, where it lies."""
        if not folder.is_dir():
            raise UserError(f"{safe_text(folder)} is not there")
        for part in self.missing:
            path = part.within(folder)
            if path is None:
                raise UserError(f"{part.file} is not in {safe_text(folder)}")
            self._take(part, path)

    @contextlib.contextmanager
    def _filling(self) -> Iterator[None]:
        """The data folder, made and locked, with what another process may just have brought."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = locked(
                self._folder / _LOCK,
                self._check_cancel,
                lambda: self._tell.progress("waiting: another process is getting these files"),
            )
            with lock:
                sweep_strays(self._folder)
                for part in self.missing:
                    if path := part.within(self._folder):
                        with contextlib.suppress(UserError):
                            self._take(part, path)
                yield
        except OSError as error:
            where = safe_text(self._folder)
            raise UserError(f"{where}: cannot be written: {reason(error)}") from error

    def fetch_from_mirrors(self) -> None:
        with self._filling():
            if self._set.archive is not None:
                self._fetch_archive(self._set.archive)
            silent: set[str] = set()
            for part in self.missing:
                self._fetch_part(part, silent)

    def _fetch_part(self, part: IdxFile, silent: set[str]) -> None:
        """From the first mirror that has it; those that do not serve at all join `silent`."""
        troubles = []
        for mirror in self._set.mirrors:
            host = urlsplit(mirror).netloc
            if host in silent:
                continue
            try:
                self._fetch(mirror + part.file, self._folder / part.file, part.md5, _PART_LIMIT)
                return self._take(part, self._folder / part.file)
            except CancelError:
                raise
            except UserError as error:
                troubles.append(f"{host}: {error}")
                if isinstance(error, (UnreachableError, LoginPageError, BrokenError)):
                    silent.add(host)
        raise UserError("; ".join(troubles) or f"none has {part.file}")

    def _fetch(self, url: str, target: Path, md5: str, limit: int) -> None:
        # aiohttp and asyncio are imported only when something is downloaded.
        from fmnist_tui.data.sources.download import fetch_file

        message = f"{target.name} from {urlsplit(url).netloc}"
        fetch_file(
            url,
            target,
            md5=md5,
            limit=limit,
            patience=self._patience,
            cancel=self._cancel,
            on_progress=lambda done, total: self._tell.progress(message, done, total),
        )

    def _fetch_archive(self, archive: ArchiveSource) -> None:
        """The whole archive, then the parts out of it; the archive goes once they are out."""
        if not self.missing:
            return
        path = self._folder / archive.url.rpartition("/")[2]
        try:
            self._fetch(archive.url, path, archive.md5, archive.limit)
        except CancelError:
            raise
        except UserError as error:
            raise UserError(f"{urlsplit(archive.url).netloc}: {error}") from error
        try:
            with zipfile.ZipFile(path) as pack:
                for part in self.missing:
                    self._check_cancel()
                    self._tell.progress(f"{part.file} out of {path.name}")
                    with pack.open(f"{archive.folder}/{part.file}") as packed:
                        self._install(part, packed, self._folder / part.file)
        except (zipfile.BadZipFile, zlib.error, KeyError, NotImplementedError) as error:
            raise UserError(
                f"{safe_text(path)}: not the archive it should be: {reason(error)}"
            ) from error
        path.unlink()

    def fetch_package(self, package: SystemPackage) -> None:
        """The Debian package, fetched and unpacked without root; its files are copied."""

        def say(doing: str, share: float) -> None:
            self._tell.progress(doing, round(share * 100), 100, "%")

        with debian_package.unpacked(package.name, say, self._cancel) as root, self._filling():
            for part in self.missing:
                path = part.within(root / package.folder)
                if path is None:
                    raise UserError(f"{package.name} does not hold {part.file}")
                read_part(self._set, part, path)
                with path.open("rb") as file:
                    self._install(part, file, self._folder / path.name)

    def _install(self, part: IdxFile, source: IO[bytes], target: Path) -> None:
        """Copies a file that its publisher vouches for into the data folder, and takes it."""
        with open_atomic(target) as file:
            shutil.copyfileobj(source, file)
        self._take(part, target, published=True)
