"""A home folder for each test, and one trained run shared by the tests that only read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.support import QUICK, Home

# Seconds for a test that starts several processes, one after another
TIMEOUT = 400


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(TIMEOUT))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home with one finished run in it."""
    home = Home(tmp_path_factory.mktemp("trained"))
    done = home.run("train", *QUICK, "--epochs", "3")
    assert done.returncode == 0, done.stderr
    return home
