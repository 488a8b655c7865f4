"""Fetching one file over the web, so that it is right or not there.

While it comes, the file lies beside its place as `NAME.partial`, with a note of what it
is a part of. A later call goes on where this one ended, provided that the server still
has the same file; otherwise it starts clean. Only a file of the right MD5 takes its name.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from email.message import Message
from pathlib import Path

from fmnist_tui.data.sources.files import check_cancel, make_folder, md5_of
from fmnist_tui.data.sources.http import PATIENCE, Answer, BrokenError, Head, Patience, StatusError
from fmnist_tui.util.atomic_write import move
from fmnist_tui.util.errors import UserError, reason
from fmnist_tui.util.file_lock import locked
from fmnist_tui.util.text import safe_text

Report = Callable[[int, int | None], None]

_BREAKS = 5  # how often one call goes on after an answer that broke off
_RANGE_NOT_SATISFIABLE = 416
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_PAGE = re.compile(rb"\s*(<!doctype|<html|<head|<script|<\?xml)", re.IGNORECASE)


class LoginPageError(UserError):
    """A page for people came instead of the file: a hotel's or a company's login."""

    def __init__(self) -> None:
        super().__init__("a login page answered instead of the file; log in to this network first")


class _StaleError(Exception):
    """What lies in the partial file is no part of what the server has now."""


@dataclass(frozen=True, slots=True)
class _Note:
    """What the partial file is a part of; `validator` is the server's mark of this version."""

    url: str
    validator: str
    total: int | None


def fetch_file(
    url: str,
    target: Path,
    *,
    md5: str,
    limit: int,
    patience: Patience = PATIENCE,
    cancel: threading.Event | None = None,
    report: Report | None = None,
    waiting: Callable[[], None] | None = None,
) -> None:
    """Makes `target` the file at `url`, whose MD5 is known and which has `limit` bytes at most.

    One process at a time: a second one waits (and says so once through `waiting`), then
    finds the file there. `report` is told the bytes here so far and, where known, in all.
    Raises UserError, one line, without the address; CancelError when `cancel` is set.
    """
    make_folder(target.parent)
    try:
        lock = target.with_name(f".{target.name}.lock")
        with locked(lock, lambda: check_cancel(cancel), waiting):
            if not target.is_file() or md5_of(target) != md5:
                _Download(url, target, limit, patience, cancel, report).run(md5)
    except OSError as error:
        raise UserError(f"{safe_text(target)}: cannot be written: {reason(error)}") from error


class _Download:
    def __init__(
        self,
        url: str,
        target: Path,
        limit: int,
        patience: Patience,
        cancel: threading.Event | None,
        report: Report | None,
    ) -> None:
        self._url, self._target, self._limit = url, target, limit
        self._patience, self._cancel, self._report = patience, cancel, report
        self._partial = target.with_name(f"{target.name}.partial")
        self._note = target.with_name(f"{target.name}.partial.json")

    def run(self, md5: str) -> None:
        resumed = self._whole_of_it()
        if md5_of(self._partial) != md5 and resumed:
            self._forget()
            self._whole_of_it()
        if (found := md5_of(self._partial)) != md5:
            self._forget()
            raise UserError(f"not the expected file: its MD5 is {found} instead of {md5}")
        with self._partial.open("rb") as file:
            os.fsync(file.fileno())
        move(self._partial, self._target)
        self._note.unlink(missing_ok=True)

    def _whole_of_it(self) -> bool:
        """Fills the partial file to its end; True if its beginning was there before."""
        resumed = False
        for tries_left in reversed(range(_BREAKS + 1)):
            start, note = self._begun()
            resumed = resumed or start > 0
            if note is not None and note.total == start:
                break
            try:
                self._more(start, note)
                break
            except _StaleError:
                self._forget()
            except BrokenError:
                # Go on only while that gets further, and only where it can.
                if not tries_left or self._begun()[0] <= start:
                    raise
        else:
            raise UserError("the server keeps answering with parts of other files")
        return resumed

    def _begun(self) -> tuple[int, _Note | None]:
        """How much of the file is here, and the note about it, where both can be relied on."""
        try:
            note = _Note(**json.loads(self._note.read_bytes()))
            size = self._partial.stat().st_size
        except (OSError, ValueError, TypeError):
            return 0, None
        fits = note.url == self._url and note.validator and 0 < size <= (note.total or self._limit)
        return (size, note) if fits else (0, None)

    def _forget(self) -> None:
        self._note.unlink(missing_ok=True)
        self._partial.unlink(missing_ok=True)

    def _more(self, start: int, note: _Note | None) -> None:
        """One request for the rest of the file from `start` on."""
        headers = {"Range": f"bytes={start}-", "If-Range": note.validator} if note else {}
        with Answer(self._url, headers, self._patience, self._cancel) as answer:
            try:
                head = answer.head()
            except StatusError as error:
                if error.status == _RANGE_NOT_SATISFIABLE and note is not None:
                    raise _StaleError from error
                raise
            start, total = self._judged(head, start)
            if not start:
                self._forget()
                self._remember(_Note(self._url, _validator(head.headers), total))
            self._append(answer, start, total)

    def _judged(self, head: Head, start: int) -> tuple[int, int | None]:
        """Where this answer begins within the file, and how long the file is."""
        if head.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
            raise LoginPageError
        length = head.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() else None
        if head.status == 206:
            match = _CONTENT_RANGE.match(head.headers.get("Content-Range", ""))
            if match is None or int(match[1]) != start:
                raise _StaleError
            total = int(match[2]) if match[2].isdecimal() else None
        elif head.status == 200:
            start = 0
        else:
            raise StatusError(head.status)
        if total is not None and total > self._limit:
            raise UserError(f"too large: {total:,} bytes where {self._limit:,} are the most")
        return start, total

    def _remember(self, note: _Note) -> None:
        self._note.write_text(json.dumps(asdict(note)))

    def _append(self, answer: Answer, done: int, total: int | None) -> None:
        with self._partial.open("ab", buffering=0) as file:
            self._tell(done, total)
            for chunk in answer.chunks():
                if not done and _PAGE.match(chunk):
                    raise LoginPageError
                done += len(chunk)
                if done > self._limit:
                    raise UserError(f"too large: more than {self._limit:,} bytes")
                file.write(chunk)
                self._tell(done, total)
        if total is not None and done < total:
            raise BrokenError(f"it ended after {done:,} of {total:,} bytes")

    def _tell(self, done: int, total: int | None) -> None:
        if self._report is not None:
            self._report(done, total)


def _validator(headers: Message) -> str:
    """What `If-Range` can be asked with: a strong ETag, or else the date of the last change."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified", "")
