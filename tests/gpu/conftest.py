"""A session over a small generated dataset, as in the engine's tests."""

from tests.engine.conftest import session

__all__ = ["session"]
