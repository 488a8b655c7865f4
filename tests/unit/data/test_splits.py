"""Stratified splits and samples by seed."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmnist_tui.data.splits import (
    TEST,
    VALIDATION,
    split_by_name,
    stratified_sample,
    stratified_split,
)
from fmnist_tui.util.errors import UserError

some_labels = st.lists(st.integers(0, 5), max_size=60).map(lambda rows: np.array(rows, np.int64))
shares = st.floats(0, 0.9)
seeds = st.integers(0, 2**32 - 1)


@given(labels=some_labels, share=shares, seed=seeds)
def test_the_two_parts_are_disjoint_and_complete(
    labels: np.ndarray, share: float, seed: int
) -> None:
    stay, off = stratified_split(labels, share, seed, VALIDATION)
    np.testing.assert_array_equal(np.sort(np.concatenate([stay, off])), np.arange(len(labels)))


@given(labels=some_labels, share=st.floats(0.01, 0.9), seed=seeds)
def test_every_class_has_its_share(labels: np.ndarray, share: float, seed: int) -> None:
    _, off = stratified_split(labels, share, seed, VALIDATION)
    counts = np.bincount(labels, minlength=6)
    for label, count in enumerate(counts):
        split_off = int((labels[off] == label).sum())
        assert abs(split_off - share * count) <= 1.000001
        if count >= 2:
            assert 0 < split_off < count
        else:
            assert split_off == 0


@given(count=st.integers(2, 60), share=st.floats(0.01, 0.9), seed=seeds, data=st.data())
def test_a_name_alone_decides_the_split(
    count: int, share: float, seed: int, data: st.DataObject
) -> None:
    names = np.array([f"image {number}.png" for number in range(count)], object)
    labels = np.zeros(count, np.int64)
    stay, off = split_by_name(labels, names, share, seed, TEST)
    assert len(stay) and len(off) and len(stay) + len(off) == count
    kept = np.array(sorted(data.draw(st.sets(st.integers(0, count - 1), min_size=2))))
    fewer_stay, fewer_off = split_by_name(labels[kept], names[kept], share, seed, TEST)
    assert len(fewer_stay) and len(fewer_off)
    # Only the one image that a side needs may move.
    moved = set(names[kept][fewer_stay]) & set(names[off])
    moved |= set(names[kept][fewer_off]) & set(names[stay])
    assert len(moved) <= 1


def test_split_by_name_is_stratified_and_the_same_everywhere() -> None:
    labels = np.arange(6000) % 3
    names = np.array([f"photo-{number}.jpg" for number in range(6000)], object)
    _, off = split_by_name(labels, names, 1 / 6, 12, VALIDATION)
    assert all(abs(count - 2000 / 6) < 60 for count in np.bincount(labels[off]))
    digest = hashlib.sha256(off.astype("<i8").tobytes()).hexdigest()
    assert digest == "d278a3c26d0f4955bdac6e70536b1e834a1202687dad25ddfdc15f386795b64a"


def test_an_added_image_changes_at_most_one_image_of_a_sample() -> None:
    names = np.array([f"photo-{number}.jpg" for number in range(200)], object)
    labels = np.zeros(200, np.int64)
    before = set(names[stratified_sample(labels[1:], 50, 0, names[1:]) + 1])
    after = set(names[stratified_sample(labels, 50, 0, names)])
    assert len(before & after) >= 49


def test_the_default_split_of_unbalanced_classes_is_exact() -> None:
    labels = np.repeat(np.arange(10), [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949])
    stay, off = stratified_split(labels, 1 / 6, 0, VALIDATION)
    assert (len(stay), len(off)) == (50_000, 10_000)


def test_a_seed_always_gives_the_same_split() -> None:
    labels = np.arange(1000) % 7
    _, off = stratified_split(labels, 0.25, 12, VALIDATION)
    digest = hashlib.sha256(off.astype("<i8").tobytes()).hexdigest()
    assert digest == "7074c738f182b7edaae0ec4b781179103b250e34749a3f1789263ab72bfc0dbc"


def test_other_seeds_and_purposes_give_independent_splits() -> None:
    labels = np.zeros(1000, np.int64)
    cuts = [
        stratified_split(labels, 0.5, seed, end)[1]
        for seed, end in ((0, VALIDATION), (1, VALIDATION), (0, TEST))
    ]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert 0.4 < np.isin(cuts[first], cuts[second]).mean() < 0.6


def test_a_larger_share_contains_the_smaller_one() -> None:
    labels = np.arange(1000) % 10
    _, small = stratified_split(labels, 0.1, 3, VALIDATION)
    _, large = stratified_split(labels, 0.3, 3, VALIDATION)
    assert np.isin(small, large).all()


def test_the_split_of_a_class_does_not_depend_on_other_classes() -> None:
    alone = np.full(100, 2)
    with_others = np.concatenate([np.zeros(40, np.int64), alone])
    _, off_alone = stratified_split(alone, 0.2, 5, VALIDATION)
    _, off_with_others = stratified_split(with_others, 0.2, 5, VALIDATION)
    assert set(off_alone + 40) <= set(off_with_others)


def test_a_share_of_zero_splits_off_nothing() -> None:
    stay, off = stratified_split(np.arange(10) % 2, 0, 0, VALIDATION)
    assert (len(stay), len(off)) == (10, 0)


@pytest.mark.parametrize("share", [-0.1, 1, 3, float("nan")])
def test_an_invalid_share_is_an_error(share: float) -> None:
    with pytest.raises(UserError, match="share"):
        stratified_split(np.arange(10) % 2, share, 0, VALIDATION)


@given(size=st.integers(1, 90), seed=seeds)
def test_a_sample_has_the_requested_size_and_balanced_classes(size: int, seed: int) -> None:
    labels = np.arange(90) % 9
    chosen = stratified_sample(labels, size, seed)
    assert len(set(chosen)) == size
    counts = np.bincount(labels[chosen], minlength=9)
    assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("size", [0, -3, 11])
def test_a_sample_larger_than_the_dataset_is_an_error(size: int) -> None:
    with pytest.raises(UserError, match=f"limit = {size}: there are 10 training images"):
        stratified_sample(np.arange(10) % 2, size, 0)
