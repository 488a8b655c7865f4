"""Full collections that stay brief."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from fmnist_tui.tui.terminal.gc_tuning import short_collections


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.unfreeze()


def test_what_survives_a_long_collection_is_not_looked_at_again() -> None:
    with short_collections(slow=0.0):
        gc.collect()
        assert gc.get_freeze_count() > 1000


def test_a_short_collection_changes_nothing() -> None:
    with short_collections(slow=60.0):
        gc.collect()
    assert gc.get_freeze_count() == 0


def test_a_young_generation_changes_nothing() -> None:
    with short_collections(slow=0.0):
        gc.collect(1)
        assert gc.get_freeze_count() == 0


def test_afterwards_all_is_as_before() -> None:
    before = list(gc.callbacks)
    with short_collections(slow=0.0):
        assert len(gc.callbacks) == len(before) + 1
        gc.collect()
    assert gc.get_freeze_count() == 0
    assert gc.callbacks == before
    gc.collect()
    assert gc.get_freeze_count() == 0
