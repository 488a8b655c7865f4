"""Options and fixtures of all tests."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterable
from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("hypothesis"):
    from hypothesis import settings

    # Property tests use the same examples every time: a failure means that the code changed.
    settings.register_profile("deterministic", derandomize=True, deadline=None)
    settings.load_profile("deterministic")

# Otherwise the number of threads, and with it the last bits of the weights, would depend on what
# else runs on the machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Nobody is told of the runs of tests.
os.environ["FMNIST_TUI_SETTINGS"] = str(Path(__file__).parent / "no-settings")

GPU_TESTS = Path(__file__).parent / "gpu"
NO_GPU = "no NVIDIA GPU that torch can use"

# A worker that has imported everything spends a quarter of its time collecting garbage among
# objects that are never freed.
gc.set_threshold(100_000, 50, 100)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-snapshots", action="store_true", help="update the stored snapshots")
    if not find_spec("pytest_timeout"):
        # A GPU machine may have pytest alone: the option in pyproject.toml must be known.
        parser.addini("timeout", "ignored without pytest-timeout")


def pytest_configure(config: pytest.Config) -> None:
    """One fork server for all workers: starting one takes seconds of processor time."""
    from tests.e2e.support import FORK_SERVER

    if getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput"):
        FORK_SERVER.share()
    config.add_cleanup(FORK_SERVER.close)


class GpuTests(pytest.Package):
    """The folder of the tests that need CUDA: marked, and skipped without a GPU."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        import torch

        self.add_marker("gpu")
        if not torch.cuda.is_available():
            self.add_marker(pytest.mark.skip(reason=NO_GPU))
        return super().collect()


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    return GpuTests.from_parent(parent, path=path) if path == GPU_TESTS else None


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """All tests that need CUDA are skipped for one reason, in one line."""
    report = yield
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    if NO_GPU in reason:
        report.longrepr = (str(GPU_TESTS), None, reason)  # type: ignore[assignment]
    return report
