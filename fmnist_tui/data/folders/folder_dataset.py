"""folder:PATH, a folder of class folders of images of any size."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable

import numpy as np

from fmnist_tui.config.dataset_catalog import SPLITS, DatasetInfo
from fmnist_tui.data import splits
from fmnist_tui.data.dataset import Labels
from fmnist_tui.data.folders.decoded_cache import DecodedImages, decode
from fmnist_tui.data.folders.folder_listing import FolderListing, list_folder
from fmnist_tui.data.load_progress import LoadReporter
from fmnist_tui.data.unsplit import LabelledImages, LoadRequest, UnsplitDataset
from fmnist_tui.util.errors import UserError
from fmnist_tui.util.formatting import format_count
from fmnist_tui.util.text import safe_text, without_controls

TEST_SHARE = 1 / 6


def load(request: LoadRequest) -> UnsplitDataset:
    """The folder's own splits; if it has no test split, that is split off by the split seed and
    the names of the files."""
    source = f"folder {safe_text(request.path)}"
    reporter = LoadReporter(request.name, request.on_step)
    reporter.trying(source)
    listing = list_folder(request.path)
    if not listing.entries:
        raise UserError(
            f"{source}: no images in class folders; expected PATH/CLASS/IMAGE or "
            "PATH/train/CLASS/IMAGE"
        )
    channels = 3 if request.colour else 1
    cache = request.data_dir / "cache"
    decoded = decode(listing.entries, request.input_size, channels, cache, reporter, request.cancel)
    labels, classes = _label(listing, decoded, source)
    parts = _split(listing, decoded, labels)
    cut_by_name = "test" not in parts
    if cut_by_name:
        parts["train"], parts["test"] = parts["train"].split_off(
            TEST_SHARE, request.split_seed, splits.TEST
        )
    if not len(parts["test"]):
        raise UserError(f"{source}: too few images: no class has one to spare for the test split")
    train, test, title = parts["train"], parts["test"], safe_text(request.path.name, 40)
    about = f"{len(labels):,} images in {source}"
    info = DatasetInfo(request.name, title, classes, len(train), len(test), crop=False, about=about)
    reporter.ok(f"{len(labels):,} images of {len(classes)} classes")
    notes = _notes(listing, decoded, classes)
    return UnsplitDataset(
        info,
        train,
        test,
        source,
        parts.get("val"),
        notes,
        cut_by_name,
        decoded.select,
    )


def stamp(request: LoadRequest) -> Hashable:
    """The listing, of the files only a hash of their names, sizes and times."""
    listing = list_folder(request.path)
    digest = hashlib.sha256()
    for entry in listing.entries:
        digest.update(repr((entry.name, entry.size, entry.mtime_ns)).encode("utf-8", "replace"))
    others = listing.classes, listing.unreadable, listing.without_classes, listing.beside
    return digest.digest(), others


def _label(
    listing: FolderListing, decoded: DecodedImages, source: str
) -> tuple[Labels, tuple[str, ...]]:
    """The label of each decoded image, -1 for none, and the classes that have training images."""
    entries = [listing.entries[row] for row in decoded.rows]
    used = sorted({entry.label for entry in entries if entry.split in ("", "train")})
    if not used:
        raise UserError(f"{source}: none of its {len(listing.entries):,} files is a readable image")
    if len(used) < 2:
        only = safe_text(listing.classes[used[0]], 60)
        raise UserError(f"{source}: images of one class only ({only}); two or more are needed")
    new_labels = {label: number for number, label in enumerate(used)}
    labels = np.array([new_labels.get(entry.label, -1) for entry in entries], np.int64)
    return labels, tuple(without_controls(listing.classes[label]) for label in used)


def _split(
    listing: FolderListing, decoded: DecodedImages, labels: Labels
) -> dict[str, LabelledImages]:
    """The images of each split that the folder has; their indices are their positions in the
    listing."""
    entries = [listing.entries[row] for row in decoded.rows]
    names = np.array([entry.name_in_class for entry in entries], object)
    positions = np.arange(len(labels))
    images = LabelledImages(decoded.images, labels, positions, decoded.rows, decoded.ids, names)
    split_of = np.array([entry.split for entry in entries])
    return {
        split: images.select(np.flatnonzero((split_of == split) & (labels >= 0)))
        for split in SPLITS
        if split in split_of
    } or {"train": images}


def _notes(
    listing: FolderListing, decoded: DecodedImages, classes: tuple[str, ...]
) -> tuple[str, ...]:
    """How many files were skipped, with the first errors, and folders that are not used."""
    errors = [*decoded.errors, *listing.unreadable[:5]]
    skipped = decoded.skipped + len(listing.unreadable)
    notes = []
    if skipped:
        notes.append(f"{format_count(skipped, 'file')} skipped: not readable as images")
        notes += errors
        if skipped > len(errors):
            notes.append(f"and {skipped - len(errors):,} more")
    empty = [
        safe_text(name, 60) for name in listing.classes if without_controls(name) not in classes
    ]
    if empty:
        more = f" and {len(empty) - 5} more" if len(empty) > 5 else ""
        notes.append(f"class folders without images skipped: {', '.join(empty[:5])}{more}")
    notes += [
        f"{safe_text(name, 60)} has no class folders: its images are not used"
        for name in listing.without_classes
    ]
    if listing.beside:
        images = format_count(listing.beside, "image")
        verb = "is" if listing.beside == 1 else "are"
        notes.append(f"{images} beside the class folders {verb} not used")
    return tuple(notes)
