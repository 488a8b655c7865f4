"""Stratified selections from labelled images, by seed, the same on every machine.

In a dataset that never changes, an image's rank within its class depends only on the seed, the
class and the image's position in its class. So neither a subset of classes nor a limit moves an
image to another split. Where files come and go, a hash of an image's name decides instead.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from fmnist_tui.data.dataset import Labels
from fmnist_tui.util.errors import UserError

Names = npt.NDArray[np.object_]

VALIDATION, TEST, LIMIT = 0, 1, 2
"""Purposes: selections of one seed for different purposes are independent of each other."""


def stratified_split(
    labels: Labels, share: float, seed: int, purpose: int
) -> tuple[Labels, Labels]:
    """The positions that remain, and those split off: `share` of all and of every class.

    A class with two images or more has at least one on either side.
    """
    _check_share(share)
    counts = np.bincount(labels)
    split_off = _apportion(counts, round(share * len(labels)))
    if share:
        split_off = np.clip(split_off, np.minimum(1, counts - 1), np.maximum(counts - 1, 0))
    mask = _ranks(labels, _draw(labels, seed, purpose)) < np.maximum(split_off, 0)[labels]
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def split_by_name(
    labels: Labels, names: Names, share: float, seed: int, purpose: int
) -> tuple[Labels, Labels]:
    """Like `stratified_split`, but adding, removing or renaming an image moves no other.

    A hash of its name is compared with the share, so that the parts have about the expected sizes.
    Only in a class that would have no image on one side does one depend on the others."""
    _check_share(share)
    values = _hash_names(names, seed, purpose)
    mask = values < np.uint64(int(share * 2**64))
    for label in np.unique(labels) if share else ():
        positions = np.flatnonzero(labels == label)
        order = positions[np.argsort(values[positions], kind="stable")]
        mask[order[0]] = len(order) > 1
        mask[order[-1]] = False
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def _check_share(share: float) -> None:
    if not 0 <= share < 1:
        raise UserError(
            f"a share of {share} cannot be split off: it must be at least 0 and below 1"
        )


def _hash_names(names: Names, seed: int, purpose: int) -> npt.NDArray[np.uint64]:
    """A number for each name, evenly distributed from 0 to 2**64."""
    start = hashlib.blake2b(f"{seed} {purpose} ".encode(), digest_size=8)
    digests = []
    for name in names:
        digest = start.copy()
        digest.update(name.encode("utf-8", "surrogateescape"))
        digests.append(digest.digest())
    return np.frombuffer(b"".join(digests), "<u8").astype(np.uint64)


def stratified_sample(labels: Labels, size: int, seed: int, names: Names | None = None) -> Labels:
    """The positions of `size` images, from every class in proportion.

    With `names`, adding or removing images changes little of it."""
    if not 1 <= size <= len(labels):
        raise UserError(f"limit = {size}: there are {len(labels):,} training images")
    sizes = _apportion(np.bincount(labels), size)
    values = _draw(labels, seed, LIMIT) if names is None else _hash_names(names, seed, LIMIT)
    return np.flatnonzero(_ranks(labels, values) < sizes[labels])


def _apportion(counts: Labels, total: int) -> Labels:
    """Divide `total` in proportion to the counts, by largest remainder."""
    exact = counts * (total / max(int(counts.sum()), 1))
    sizes: Labels = np.floor(exact).astype(np.int64)
    order = np.argsort(sizes - exact, kind="stable")
    sizes[order[: total - int(sizes.sum())]] += 1
    return sizes


def _draw(labels: Labels, seed: int, purpose: int) -> npt.NDArray[np.uint64]:
    """A random number for each image, by its class and its position in it.

    PCG64's raw numbers are the same in every version of numpy; its `shuffle` may change.
    """
    values = np.empty(len(labels), np.uint64)
    for label in range(int(labels.max(initial=-1)) + 1):
        positions = np.flatnonzero(labels == label)
        bits = np.random.PCG64(np.random.SeedSequence([seed, purpose, label]))
        values[positions] = bits.random_raw(len(positions))
    return values


def _ranks(labels: Labels, values: npt.NDArray[np.uint64]) -> Labels:
    """Each image's rank by its value within its class."""
    ranks = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        positions = np.flatnonzero(labels == label)
        order = np.argsort(values[positions], kind="stable")
        ranks[positions[order]] = np.arange(len(positions))
    return ranks
