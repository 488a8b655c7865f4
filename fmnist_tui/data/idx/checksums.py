"""MD5 of published files, and a record of the first contents of files without a known SHA-256."""

from __future__ import annotations

import contextlib
import hashlib
import json
from pathlib import Path

from fmnist_tui.util.atomic_write import atomic_write
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text

RECORD = "sums.json"


def md5_of(path: Path) -> str:
    """The MD5 of a file, as publishers state it; no protection against malice."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


class ChecksumFile:
    """The SHA-256 of each file's bare idx bytes, and whether it was the published file."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / RECORD
        self.unpublished: list[str] = []

    def check(self, path: Path, sha256: str, md5: str, verified: bool = False) -> None:
        """Compare with the record, or start one; raise UserError for a changed file.

        The published file is right whatever the record says: it has the published MD5, or
        the caller has `verified` it.
        """
        record = self._load_record()
        entry = record.get(path.name)
        if entry == {"sha256": sha256, "published": True}:
            return
        published = verified or (bool(md5) and path.suffix == ".gz" and md5_of(path) == md5)
        if not published:
            if entry is not None and entry.get("sha256") != sha256:
                raise UserError(
                    f"{safe_text(path)}: has changed since it was first read "
                    f"(its SHA-256 is not the one in {RECORD})"
                )
            self.unpublished.append(path.name)
        record[path.name] = {"sha256": sha256, "published": published}
        # Files in a read-only folder do not change either: no record is needed.
        with contextlib.suppress(OSError):
            atomic_write(self._path, json.dumps(record, indent=1, sort_keys=True).encode())

    def _load_record(self) -> dict[str, dict[str, object]]:
        try:
            record = json.loads(self._path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        valid = isinstance(record, dict) and all(isinstance(item, dict) for item in record.values())
        return record if valid else {}
