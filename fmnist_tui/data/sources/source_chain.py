"""Finding the four files of a published dataset: one source after the other.

The data folder, a system package, the mirrors, a Debian package downloaded without root. If
files are still missing then, one message names everything that was tried. A file counts only
once it has passed every check; one in the data folder that fails is renamed to `NAME.bad`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy.typing as npt

from fmnist_tui.data.idx.checksums import ChecksumFile
from fmnist_tui.data.idx.idx_set import ArchiveSource, IdxFile, IdxSet, SystemPackage, read_idx_file
from fmnist_tui.data.load_progress import CancelError, LoadReporter, OnStep, check_cancel
from fmnist_tui.data.sources import debian_package
from fmnist_tui.data.sources.errors import BrokenError, LoginPageError, UnreachableError
from fmnist_tui.data.unsplit import LabelledImages, UnsplitDataset
from fmnist_tui.util.atomic_write import move, open_atomic, remove_stale_temporaries
from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.file_lock import locked
from fmnist_tui.util.paths import format_path
from fmnist_tui.util.text import safe_text

if TYPE_CHECKING:
    from fmnist_tui.data.sources.http import Patience

OFFLINE = "FMNIST_TUI_OFFLINE"
DATA_FOLDER = "data folder"
SYSTEM_PACKAGE = "system package"
MIRRORS = "mirrors"
DEBIAN_PACKAGE = "Debian package"

_FILE_LIMIT = 96 * 2**20  # bytes; three times the largest published file
_LOCK = ".lock"


def has_all_files(idx_set: IdxSet, data_dir: Path, system_root: Path = Path("/")) -> bool:
    """Whether the data folder or a system package has all four files; reads none."""
    return len(find_files(idx_set, data_dir, system_root)) == len(idx_set.files)


def find_files(idx_set: IdxSet, data_dir: Path, system_root: Path = Path("/")) -> list[Path]:
    """Those of the four files that the data folder or a system package has."""
    folders = [data_dir / idx_set.name]
    if idx_set.package is not None:
        folders.append(system_root / idx_set.package.folder)
    found = (
        next(filter(None, (file.find_in(folder) for folder in folders)), None)
        for file in idx_set.files
    )
    return [path for path in found if path is not None]


def load_idx_set(
    idx_set: IdxSet,
    data_dir: Path,
    *,
    on_step: OnStep | None = None,
    cancel: threading.Event | None = None,
    fetch: bool = True,
    system_root: Path = Path("/"),
    patience: Patience | None = None,
) -> UnsplitDataset:
    """The dataset from the first sources that have its files; downloads go to the data folder.

    Without `fetch`, or with FMNIST_TUI_OFFLINE set, only files on this machine are used. Images
    are (count, 28, 28, 1) and upright, labels count from 0.
    """
    reporter = LoadReporter(idx_set.name, on_step)
    chain = _SourceChain(idx_set, data_dir / idx_set.name, reporter, cancel, patience)
    package, offline = idx_set.package, "" if fetch else "downloads not requested"
    if os.environ.get(OFFLINE, "").strip().lower() not in ("", "0", "false", "no"):
        offline = f"{OFFLINE} is set"
    chain.attempt(DATA_FOLDER, chain.read_data_folder)
    if package:
        chain.attempt(SYSTEM_PACKAGE, lambda: chain.read_system(system_root / package.folder))
    chain.attempt(MIRRORS, chain.fetch_from_mirrors, offline)
    if package:
        chain.attempt(DEBIAN_PACKAGE, lambda: chain.fetch_package(package), offline)
    return chain.dataset()


@dataclass
class _SourceChain:
    """The arrays loaded so far, the failures, and one method per source."""

    _set: IdxSet
    _folder: Path
    _reporter: LoadReporter
    _cancel: threading.Event | None
    _patience: Patience | None

    def __post_init__(self) -> None:
        self._checksums = ChecksumFile(self._folder)
        self._arrays: dict[str, npt.NDArray[Any]] = {}
        self._sources: list[str] = []
        self._failures: list[str] = []

    @property
    def missing(self) -> list[IdxFile]:
        return [file for file in self._set.files if file.name not in self._arrays]

    def dataset(self) -> UnsplitDataset:
        """The dataset; or the UserError that says what was tried and what to do."""
        if self.missing:
            names = ", ".join(file.name for file in self._set.files)
            raise UserError(
                f"{self._set.info.title} cannot be loaded: {'; '.join(self._failures)}. Without a "
                f"network, copy the files {names} to the folder {format_path(self._folder)}, or "
                'use the dataset "sketches", which this program draws itself'
            )
        arrays = [self._arrays[file.name] for file in self._set.files]
        return UnsplitDataset(
            self._set.info,
            LabelledImages.from_arrays(*arrays[:2]),
            LabelledImages.from_arrays(*arrays[2:]),
            " + ".join(self._sources),
            notes=tuple(
                f"{name} is not the published file: only its format was checked"
                for name in self._checksums.unpublished
            ),
        )

    def attempt(self, source: str, load: Callable[[], None], forbidden: str = "") -> None:
        """Try one source if files are missing: report how it goes, remember why it failed."""
        if not self.missing:
            return
        loaded_before = len(self._arrays)
        self._reporter.trying(source)
        try:
            check_cancel(self._cancel)
            if forbidden:
                raise UserError(forbidden)
            load()
        except CancelError as error:
            self._reporter.failed(str(error))
            raise
        except UserError as error:
            self._reporter.failed(str(error))
            self._failures.append(f"{source}: {error}")
        else:
            self._reporter.ok(f"{self._set.info.title} is complete")
        if len(self._arrays) > loaded_before:
            self._sources.append(source)

    def read_data_folder(self) -> None:
        """Load the files that are there; rename those that are wrong."""
        problems = []
        for file in self.missing:
            while file.name not in self._arrays and (path := file.find_in(self._folder)):
                check_cancel(self._cancel)
                try:
                    self._load(file, path)
                except UserError as error:
                    outcome = self._set_aside(file, path)
                    problems.append(f"{error} ({outcome})" if outcome else str(error))
                    if not outcome:
                        break
        absent = [file.name for file in self.missing if file.find_in(self._folder) is None]
        if len(absent) == len(self._set.files) and not problems:
            raise UserError(f"none of the files is in {format_path(self._folder)}")
        if self.missing:
            if absent:
                problems.append(f"{', '.join(absent)} not in {safe_text(self._folder)}")
            raise UserError("; ".join(problems))
        for problem in problems:
            self._reporter.progress(problem)

    def _load(self, file: IdxFile, path: Path, *, verified: bool = False) -> None:
        checksums = self._checksums if path.parent == self._folder else None
        self._arrays[file.name] = read_idx_file(self._set, file, path, checksums, verified)

    def _set_aside(self, file: IdxFile, path: Path) -> str:
        """Rename a file that failed its check; returns what was done, empty if nothing could be."""
        bad = path.with_name(f"{path.name}.bad")
        try:
            with locked(self._folder / _LOCK, lambda: check_cancel(self._cancel)):
                # Another process may have replaced it meanwhile.
                with contextlib.suppress(UserError):
                    self._load(file, path)
                    return "replaced by another process"
                move(path, bad)
        except OSError as error:
            self._reporter.progress(f"{safe_text(path)}: cannot be renamed: {format_error(error)}")
            return ""
        return f"renamed to {safe_text(bad.name)}"

    def read_system(self, folder: Path) -> None:
        """Load the files that a package installed for the whole machine."""
        if not folder.is_dir():
            raise UserError(f"no folder {safe_text(folder)}")
        for file in self.missing:
            path = file.find_in(folder)
            if path is None:
                raise UserError(f"{file.name} is not in {safe_text(folder)}")
            self._load(file, path)

    @contextlib.contextmanager
    def _locked_folder(self) -> Iterator[None]:
        """The data folder, created and locked, after loading what other processes put there."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            message = "waiting: another process is downloading these files"
            with locked(
                self._folder / _LOCK,
                lambda: check_cancel(self._cancel),
                lambda: self._reporter.progress(message),
            ):
                remove_stale_temporaries(self._folder)
                for file in self.missing:
                    if path := file.find_in(self._folder):
                        with contextlib.suppress(UserError):
                            self._load(file, path)
                yield
        except OSError as error:
            folder = safe_text(self._folder)
            raise UserError(f"{folder}: cannot be written: {format_error(error)}") from error

    def fetch_from_mirrors(self) -> None:
        with self._locked_folder():
            if self._set.archive is not None and self.missing:
                self._fetch_archive(self._set.archive)
            failed_hosts: set[str] = set()
            for file in self.missing:
                self._fetch_from_mirror(file, failed_hosts)

    def _fetch_from_mirror(self, file: IdxFile, failed_hosts: set[str]) -> None:
        """Load the file from the first mirror that has it; mirrors that are down are skipped."""
        problems = []
        for mirror in self._set.mirrors:
            host = urlsplit(mirror).netloc
            if host in failed_hosts:
                continue
            try:
                self._download(mirror + file.name, self._folder / file.name, file.md5, _FILE_LIMIT)
                return self._load(file, self._folder / file.name)
            except CancelError:
                raise
            except UserError as error:
                problems.append(f"{host}: {error}")
                if isinstance(error, (UnreachableError, LoginPageError, BrokenError)):
                    failed_hosts.add(host)
        raise UserError("; ".join(problems) or f"none has {file.name}")

    def _download(self, url: str, target: Path, md5: str, limit: int) -> None:
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
            on_progress=lambda done, total: self._reporter.progress(message, done, total),
        )

    def _fetch_archive(self, archive: ArchiveSource) -> None:
        """Download the archive, extract the missing files, delete the archive."""
        path = self._folder / archive.url.rpartition("/")[2]
        try:
            self._download(archive.url, path, archive.md5, archive.limit)
        except CancelError:
            raise
        except UserError as error:
            raise UserError(f"{urlsplit(archive.url).netloc}: {error}") from error
        try:
            with zipfile.ZipFile(path) as zip_file:
                for file in self.missing:
                    check_cancel(self._cancel)
                    self._reporter.progress(f"{file.name} from {path.name}")
                    with zip_file.open(f"{archive.folder}/{file.name}") as member:
                        self._install(file, member, self._folder / file.name)
        except (zipfile.BadZipFile, zlib.error, KeyError, NotImplementedError) as error:
            raise UserError(
                f"{safe_text(path)}: not the expected archive: {format_error(error)}"
            ) from error
        path.unlink()

    def fetch_package(self, package: SystemPackage) -> None:
        """Download and unpack the Debian package without root; copy its files."""

        def on_progress(message: str, share: float) -> None:
            self._reporter.progress(message, round(share * 100), 100, "%")

        unpacked = debian_package.fetch_package(package.name, on_progress, self._cancel)
        with unpacked as root, self._locked_folder():
            for file in self.missing:
                path = file.find_in(root / package.folder)
                if path is None:
                    raise UserError(f"{package.name} does not contain {file.name}")
                read_idx_file(self._set, file, path)
                with path.open("rb") as source:
                    self._install(file, source, self._folder / path.name)

    def _install(self, file: IdxFile, source: IO[bytes], target: Path) -> None:
        """Copy a file from a verified source into the data folder, and load it."""
        with open_atomic(target) as copy:
            shutil.copyfileobj(source, copy)
        self._load(file, target, verified=True)
