"""What identifies the images of a dataset and their splits, for comparison at a later time."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fmnist_tui.config.dataset_catalog import SPLITS
from fmnist_tui.util.formatting import format_count

Ids = npt.NDArray[np.uint64]
ID_BYTES = 8


def content_id(content: bytes | memoryview) -> bytes:
    """The identity of an image by its contents."""
    return hashlib.blake2b(content, digest_size=ID_BYTES).digest()


def join_ids(ids: list[bytes]) -> Ids:
    return np.frombuffer(b"".join(ids), "<u8").astype(np.uint64)


def identify(images: npt.NDArray[np.uint8]) -> Ids:
    """The identities of images by their pixels."""
    return join_ids([content_id(image.data) for image in np.ascontiguousarray(images)])


@dataclass(frozen=True, slots=True, eq=False)
class SplitFingerprint:
    """A split's number of images, a hash of their order and labels, and their identities.

    `ids` is None for a dataset whose name alone says what its images are."""

    count: int
    digest: str
    ids: Ids | None = None

    @classmethod
    def of(
        cls, labels: npt.NDArray[np.int64], indices: npt.NDArray[np.int64], ids: Ids | None
    ) -> SplitFingerprint:
        digest = hashlib.sha256(labels.astype("<i8").tobytes())
        digest.update((indices.astype("<i8") if ids is None else ids.astype("<u8")).tobytes())
        return cls(len(labels), digest.hexdigest()[:32], ids)

    def to_dict(self, with_ids: bool) -> dict[str, Any]:
        table = {"count": self.count, "digest": self.digest}
        if with_ids and self.ids is not None:
            table["ids"] = base64.b64encode(self.ids.astype("<u8").tobytes()).decode()
        return table

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> SplitFingerprint:
        ids = base64.b64decode(table["ids"], validate=True) if "ids" in table else None
        return cls(
            int(table["count"]), str(table["digest"]), None if ids is None else join_ids([ids])
        )


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprint:
    """The fingerprints of the splits by name, of train without a limit.

    `cut_by_name` names the splits that were split off by the names of the files."""

    splits: Mapping[str, SplitFingerprint]
    cut_by_name: tuple[str, ...] = ()

    def to_dict(self, with_ids: bool = True) -> dict[str, Any]:
        return {name: split.to_dict(with_ids) for name, split in self.splits.items()}

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> Fingerprint:
        """The inverse of `to_dict`; a KeyError, TypeError or ValueError if that is impossible."""
        return cls({name: SplitFingerprint.from_dict(table[name]) for name in SPLITS})

    def difference(self, now: Fingerprint) -> str:
        """What is different now, in words; empty if nothing is."""
        pairs = [(split, now.splits[name]) for name, split in self.splits.items()]
        if all(before.digest == after.digest for before, after in pairs):
            return ""
        ids = [
            (before.ids, after.ids)
            for before, after in pairs
            if before.ids is not None and after.ids is not None
        ]
        if len(ids) < len(pairs):
            return "other images, or cut into other splits"
        all_before, all_after = map(np.concatenate, zip(*ids, strict=True))
        added, removed = _count_changes(all_before, all_after)
        moved = sum(_count_changes(*pair)[0] for pair in ids) - added
        changes = ((added, "added"), (removed, "removed"), (moved, "in another split"))
        parts = [f"{format_count(count, 'image')} {what}" for count, what in changes if count]
        return ", ".join(parts) or "images in another order or with other classes"

    def count_seen(self, now: Fingerprint, judged: str) -> int:
        """How many images that are in the split `judged` now were not in it before, but in one
        that a model was trained on or chosen by."""
        before, after = self.splits[judged].ids, now.splits[judged].ids
        used = ("train",) if judged == "val" else ("train", "val")
        seen = [ids for name in used if (ids := self.splits[name].ids) is not None]
        if before is None or after is None or not seen:
            return 0
        return int((np.isin(after, np.concatenate(seen)) & ~np.isin(after, before)).sum())


def _count_changes(before: Ids, after: Ids) -> tuple[int, int]:
    """How many are added and how many removed; equal ones are counted as often as they occur."""
    _, places = np.unique(np.concatenate([before, after]), return_inverse=True)
    size = int(places.max(initial=-1)) + 1
    counts = [np.bincount(part, minlength=size) for part in np.split(places, [len(before)])]
    change = counts[1] - counts[0]
    return int(change.clip(0).sum()), int((-change).clip(0).sum())
