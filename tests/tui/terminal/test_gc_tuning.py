"""Objects that survive a slow collection are frozen, so that the next one is fast."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from fmnist_tui.tui.terminal.gc_tuning import no_collections, short_collections


@pytest.fixture(autouse=True)
def unfrozen() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.unfreeze()


def test_objects_that_survive_a_slow_collection_are_frozen() -> None:
    with short_collections(slow=0.0):
        gc.collect()
        assert gc.get_freeze_count() > 1000


def test_a_fast_collection_freezes_nothing() -> None:
    with short_collections(slow=60.0):
        gc.collect()
    assert gc.get_freeze_count() == 0


def test_a_collection_of_a_young_generation_freezes_nothing() -> None:
    with short_collections(slow=0.0):
        gc.collect(1)
        assert gc.get_freeze_count() == 0


def test_at_the_end_callbacks_and_frozen_objects_are_restored() -> None:
    before = list(gc.callbacks)
    with short_collections(slow=0.0):
        assert len(gc.callbacks) == len(before) + 1
        gc.collect()
    assert gc.get_freeze_count() == 0
    assert gc.callbacks == before
    gc.collect()
    assert gc.get_freeze_count() == 0


def test_nothing_is_collected_while_modules_are_imported_and_they_are_frozen() -> None:
    with no_collections():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 1000
