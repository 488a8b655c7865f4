"""Download of a file whose MD5 is known: the target is the right file or does not exist.

Until it is complete, the file is `NAME.partial`, with a note of what it is a part of. A later
call resumes it if the server still has the same version, and starts over otherwise.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from aiohttp import ClientResponse

from fmnist_tui.data.idx.checksums import md5_of
from fmnist_tui.data.load_progress import check_cancel
from fmnist_tui.data.sources import http
from fmnist_tui.data.sources.errors import BrokenError, LoginPageError, StatusError
from fmnist_tui.data.sources.http import Patience
from fmnist_tui.util.atomic_write import move
from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.file_lock import locked
from fmnist_tui.util.text import safe_text

OnProgress = Callable[[int, int | None], None]

_MAX_RETRIES = 5
_RANGE_NOT_SATISFIABLE = 416
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_HTML = re.compile(rb"\s*(<!doctype|<html|<head|<script|<\?xml)", re.IGNORECASE)


class _StaleError(Exception):
    """The partial file is no part of the file that the server has now."""


@dataclass(frozen=True, slots=True)
class _Note:
    """What the partial file is a part of; `validator` identifies the version to the server."""

    url: str
    validator: str
    total: int | None


def fetch_file(
    url: str,
    target: Path,
    *,
    md5: str,
    limit: int,
    patience: Patience | None = None,
    cancel: threading.Event | None = None,
    on_progress: OnProgress = lambda done, total: None,
    on_wait: Callable[[], None] | None = None,
) -> None:
    """Make `target` the file at `url`, which has this MD5 and at most `limit` bytes.

    One process at a time: another one waits (`on_wait` is called once), then finds the file.
    `on_progress` gets the number of bytes so far, and in all where that is known. Raises
    UserError without the address in it, CancelError when `cancel` is set.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = target.with_name(f".{target.name}.lock")
        with locked(lock, lambda: check_cancel(cancel), on_wait):
            if not target.is_file() or md5_of(target) != md5:
                _Download(url, target, limit, patience or Patience(), cancel, on_progress).run(md5)
    except OSError as error:
        raise UserError(f"{safe_text(target)}: cannot be written: {format_error(error)}") from error


@dataclass
class _Download:
    url: str
    target: Path
    limit: int
    patience: Patience
    cancel: threading.Event | None
    on_progress: OnProgress

    def __post_init__(self) -> None:
        self.partial = self.target.with_name(f"{self.target.name}.partial")
        self.note = self.target.with_name(f"{self.target.name}.partial.json")

    def run(self, md5: str) -> None:
        resumed = self._complete()
        if md5_of(self.partial) != md5 and resumed:
            self._reset()
            self._complete()
        if (actual := md5_of(self.partial)) != md5:
            self._reset()
            raise UserError(f"not the expected file: its MD5 is {actual} instead of {md5}")
        with self.partial.open("rb") as file:
            os.fsync(file.fileno())
        move(self.partial, self.target)
        self.note.unlink(missing_ok=True)

    def _complete(self) -> bool:
        """Fetch what the partial file lacks; True if some of it was there before."""
        resumed = False
        for retries_left in reversed(range(_MAX_RETRIES + 1)):
            start, note = self._state()
            resumed = resumed or start > 0
            if note is not None and note.total == start:
                return resumed
            try:
                http.run(self._request(start, note), self.cancel)
                return resumed
            except _StaleError:
                self._reset()
            except StatusError as error:
                if error.status != _RANGE_NOT_SATISFIABLE or note is None:
                    raise
                self._reset()
            except BrokenError:
                # Retry only while there is progress that can be resumed.
                if not retries_left or self._state()[0] <= start:
                    raise
        raise UserError("the server keeps answering with parts of other files")

    def _state(self) -> tuple[int, _Note | None]:
        """The size of the partial file and its note; 0 and None if it cannot be resumed."""
        try:
            note = _Note(**json.loads(self.note.read_bytes()))
            size = self.partial.stat().st_size
            fits = (
                note.url == self.url and note.validator and 0 < size <= (note.total or self.limit)
            )
        except (OSError, ValueError, TypeError, RecursionError):
            return 0, None
        return (size, note) if fits else (0, None)

    def _reset(self) -> None:
        self.note.unlink(missing_ok=True)
        self.partial.unlink(missing_ok=True)

    async def _request(self, start: int, note: _Note | None) -> None:
        """Request the file from byte `start` on and append it to the partial file."""
        headers = {"Range": f"bytes={start}-", "If-Range": note.validator} if note else {}
        async with http.open_url(self.url, headers, self.patience) as response:
            start, total = self._check_head(response, start)
            if not start:
                self._reset()
                # For If-Range: a strong ETag, or else the date of the last change
                tag = response.headers.get("ETag", "")
                if not tag.startswith('"'):
                    tag = response.headers.get("Last-Modified", "")
                self.note.write_text(json.dumps(asdict(_Note(self.url, tag, total))))
            await self._append(response, start, total)

    def _check_head(self, response: ClientResponse, start: int) -> tuple[int, int | None]:
        """The position in the file where the body begins, and the file's size if known."""
        if response.content_type in ("text/html", "application/xhtml+xml"):
            raise LoginPageError
        total = response.content_length
        if response.status == 206:
            match = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
            if match is None or int(match[1]) != start:
                raise _StaleError
            total = int(match[2]) if match[2].isdecimal() else None
        else:
            start = 0
        if total is not None and total > self.limit:
            raise UserError(f"too large: {total:,} bytes, limit {self.limit:,}")
        return start, total

    async def _append(self, response: ClientResponse, done: int, total: int | None) -> None:
        with self.partial.open("ab", buffering=0) as file:
            self.on_progress(done, total)
            try:
                async for chunk in http.read_chunks(response, self.patience):
                    if not done and _HTML.match(chunk):
                        raise LoginPageError
                    done += len(chunk)
                    if done > self.limit:
                        raise UserError(f"too large: more than {self.limit:,} bytes")
                    file.write(chunk)
                    self.on_progress(done, total)
                if total is not None and done < total:
                    raise BrokenError("it ended")
            except BrokenError as error:
                size = f"{done:,} bytes" if total is None else f"{done:,} of {total:,} bytes"
                raise BrokenError(f"{error} after {size}") from error
