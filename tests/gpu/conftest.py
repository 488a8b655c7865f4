"""A session over a small generated dataset, as in the engine's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fmnist_tui.engine.gpu import numerics
from tests.engine.conftest import session

__all__ = ["session"]


@pytest.fixture(autouse=True)
def repeatable_kernels() -> Iterator[None]:
    """What a run of the session sets, for the tests that train without one."""
    with (
        numerics.use_libraries(tf32=False, deterministic=True),
        numerics.use_repeatable_kernels(pytest.fail),
    ):
        yield
