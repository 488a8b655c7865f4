"""Cutting splits out of labelled pictures: by class, by seed, and the same on every machine.

A picture's rank within its class depends on the seed, the class and the picture's place
among its class alone; so neither a subset of classes nor a limit moves a picture from
one split to another.
"""

from __future__ import annotations

import numpy as np

from fmnist_tui.data.dataset import Labels
from fmnist_tui.util.errors import UserError

VALIDATION, TEST, LIMIT = 0, 1, 2
"""What a cut is for: cuts of one seed for different ends are independent of each other."""


def cut(labels: Labels, share: float, seed: int, purpose: int) -> tuple[Labels, Labels]:
    """The places that stay, and the places cut off: `share` of all, and of every class.

    Where a class has two pictures or more, neither side is left without it.
    """
    if not 0 <= share < 1:
        raise UserError(f"a share of {share} cannot be cut off: it must be from 0 up to 1")
    counts = np.bincount(labels)
    wanted = _parts(counts, round(share * len(labels)))
    if share:
        wanted = np.clip(wanted, np.minimum(1, counts - 1), np.maximum(counts - 1, 0))
    off = _ranks(labels, seed, purpose) < np.maximum(wanted, 0)[labels]
    return np.flatnonzero(~off), np.flatnonzero(off)


def part(labels: Labels, size: int, seed: int) -> Labels:
    """The places of `size` pictures, each class with its share."""
    if not 1 <= size <= len(labels):
        raise UserError(f"limit = {size}: there are {len(labels):,} training images to take from")
    wanted = _parts(np.bincount(labels), size)
    return np.flatnonzero(_ranks(labels, seed, LIMIT) < wanted[labels])


def _parts(counts: Labels, total: int) -> Labels:
    """`total` shared out in proportion to the counts, by largest remainder."""
    exact = counts * (total / max(int(counts.sum()), 1))
    whole: Labels = np.floor(exact).astype(np.int64)
    order = np.argsort(whole - exact, kind="stable")
    whole[order[: total - int(whole.sum())]] += 1
    return whole


def _ranks(labels: Labels, seed: int, purpose: int) -> Labels:
    """Each picture's place in a shuffled row of its class.

    The raw numbers of PCG64 are the same in every version of numpy; its `shuffle` need not be.
    """
    ranks = np.empty(len(labels), np.int64)
    for label in range(int(labels.max(initial=-1)) + 1):
        places = np.flatnonzero(labels == label)
        draws = np.random.PCG64(np.random.SeedSequence([seed, purpose, label])).random_raw(
            len(places)
        )
        ranks[places[np.argsort(draws, kind="stable")]] = np.arange(len(places))
    return ranks
