"""folder:PATH, a folder of class folders of images of any size."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fmnist_tui.config.dataset_catalog import DatasetInfo
from fmnist_tui.data import splits
from fmnist_tui.data.folders.decoded_cache import Decoded, decode
from fmnist_tui.data.folders.folder_listing import Listing, list_folder
from fmnist_tui.data.load_progress import LoadReporter
from fmnist_tui.data.unsplit import LabelledImages, LoadRequest, UnsplitDataset
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.text import safe_text

TEST_SHARE = 1 / 6


def load(request: LoadRequest) -> UnsplitDataset:
    """The folder's own splits where it has them; otherwise test is cut off by the split seed."""
    where = f"folder {safe_text(request.path)}"
    tell = LoadReporter(request.name, request.on_step)
    tell.trying(where)
    listing = list_folder(request.path)
    if not listing.entries:
        raise UserError(
            f"{where}: no images in class folders; expected are PATH/CLASS/IMAGE "
            "or PATH/train/CLASS/IMAGE"
        )
    channels = 3 if request.colour else 1
    cache = request.data_dir / "cache"
    decoded = decode(listing.entries, request.input_size, channels, cache, tell, request.cancel)
    labels, classes = _numbered(listing, decoded, where)
    pools = _pools(listing, decoded, labels, request.split_seed)
    if not len(pools["test"]):
        raise UserError(f"{where}: too few images: no class has one to spare for the test split")
    info = DatasetInfo(
        request.name,
        safe_text(request.path.name, 40),
        classes,
        len(pools["train"]),
        len(pools["test"]),
        crop=False,
        about=f"{len(labels):,} images in {where}",
    )
    tell.ok(f"{len(labels):,} images of {len(classes)} classes")
    return UnsplitDataset(
        info,
        pools["train"],
        pools["test"],
        where,
        pools.get("val"),
        _notes(listing, decoded, classes),
        decoded.take,
    )


def _numbered(
    listing: Listing, decoded: Decoded, where: str
) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Each readable picture's label, and the classes: those with such a picture to train on."""
    entries = [listing.entries[row] for row in decoded.rows]
    used = sorted({entry.label for entry in entries if entry.split in ("", "train")})
    if not used:
        raise UserError(f"{where}: none of its {len(listing.entries):,} files is a readable image")
    if len(used) < 2:
        only = safe_text(listing.classes[used[0]], 60)
        raise UserError(f"{where}: images of one class only ({only}); two or more are needed")
    number = {label: place for place, label in enumerate(used)}
    # A class without a training picture has none at all that count.
    labels = np.array([number.get(entry.label, -1) for entry in entries], np.int64)
    return labels, tuple(safe_text(listing.classes[label]) for label in used)


def _pools(
    listing: Listing, decoded: Decoded, labels: npt.NDArray[np.int64], seed: int
) -> dict[str, LabelledImages]:
    """The pictures by split, numbered as they are listed."""
    everything = LabelledImages(decoded.images, labels, np.arange(len(labels)), decoded.rows)
    own = np.array([listing.entries[row].split for row in decoded.rows])
    pools = {
        split: everything.select(np.flatnonzero((own == split) & (labels >= 0)))
        for split in sorted({entry.split or "train" for entry in listing.entries})
        if split in own
    }
    if not any(own):
        pools = {"train": everything}
    if "test" not in pools:
        stay, off = splits.stratified_split(pools["train"].labels, TEST_SHARE, seed, splits.TEST)
        pools["test"] = pools["train"].select(off)
        pools["train"] = pools["train"].select(stay)
    return pools


def _notes(listing: Listing, decoded: Decoded, classes: tuple[str, ...]) -> tuple[str, ...]:
    """What a person should know: how many files were left out, and the first few by name."""
    complaints = [*decoded.complaints, *listing.unreadable[:5]]
    skipped = decoded.skipped + len(listing.unreadable)
    notes = []
    if skipped:
        files = "1 file was" if skipped == 1 else f"{skipped:,} files were"
        notes.append(f"{files} left out: not readable as images")
        notes += complaints
        if skipped > len(complaints):
            notes.append(f"and {skipped - len(complaints):,} more")
    empty = [safe_text(name, 60) for name in listing.classes if safe_text(name) not in classes]
    if empty:
        more = f" and {len(empty) - 5} more" if len(empty) > 5 else ""
        notes.append(f"class folders without an image, left out: {', '.join(empty[:5])}{more}")
    return tuple(notes)
