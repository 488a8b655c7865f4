"""What holds for all tests."""

import gc

import pytest
from hypothesis import settings

# Property tests try the same examples every time: a failure is a change, not a die.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")

# A worker that has imported everything spends a quarter of its time looking for garbage
# among what it will never let go.
gc.set_threshold(100_000, 50, 100)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-snapshots", action="store_true", help="keep how screens look now")
