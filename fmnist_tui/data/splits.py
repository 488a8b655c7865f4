"""Stratified selections from labelled images, by seed, the same on every machine.

An image's rank within its class depends only on the seed, the class and the image's position
in its class. So neither a subset of classes nor a limit moves an image to another split.
"""

from __future__ import annotations

import numpy as np

from fmnist_tui.data.dataset import Labels
from fmnist_tui.util.errors import UserError

VALIDATION, TEST, LIMIT = 0, 1, 2
"""Purposes: selections of one seed for different purposes are independent of each other."""


def stratified_split(
    labels: Labels, share: float, seed: int, purpose: int
) -> tuple[Labels, Labels]:
    """The positions that remain, and those split off: `share` of all and of every class.

    A class with two images or more has at least one on either side.
    """
    if not 0 <= share < 1:
        raise UserError(
            f"a share of {share} cannot be split off: it must be at least 0 and below 1"
        )
    counts = np.bincount(labels)
    split_off = _apportion(counts, round(share * len(labels)))
    if share:
        split_off = np.clip(split_off, np.minimum(1, counts - 1), np.maximum(counts - 1, 0))
    mask = _ranks(labels, seed, purpose) < np.maximum(split_off, 0)[labels]
    return np.flatnonzero(~mask), np.flatnonzero(mask)


def stratified_sample(labels: Labels, size: int, seed: int) -> Labels:
    """The positions of `size` images, from every class in proportion."""
    if not 1 <= size <= len(labels):
        raise UserError(f"limit = {size}: there are {len(labels):,} training images")
    sizes = _apportion(np.bincount(labels), size)
    return np.flatnonzero(_ranks(labels, seed, LIMIT) < sizes[labels])


def _apportion(counts: Labels, total: int) -> Labels:
    """Divide `total` in proportion to the counts, by largest remainder."""
    exact = counts * (total / max(int(counts.sum()), 1))
    sizes: Labels = np.floor(exact).astype(np.int64)
    order = np.argsort(sizes - exact, kind="stable")
    sizes[order[: total - int(sizes.sum())]] += 1
    return sizes


def _ranks(labels: Labels, seed: int, purpose: int) -> Labels:
    """Each image's rank in a random order of its class.

    PCG64's raw numbers are the same in every version of numpy; its `shuffle` may change.
    """
    ranks = np.empty(len(labels), np.int64)
    for label in range(int(labels.max(initial=-1)) + 1):
        positions = np.flatnonzero(labels == label)
        bits = np.random.PCG64(np.random.SeedSequence([seed, purpose, label]))
        order = np.argsort(bits.random_raw(len(positions)), kind="stable")
        ranks[positions[order]] = np.arange(len(positions))
    return ranks
