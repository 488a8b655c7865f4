"""Loading of a dataset in a thread, and fetching of the first one."""

from __future__ import annotations

import threading
from concurrent.futures import Future, wait
from dataclasses import replace
from functools import partial

from fmnist_tui.config.dataset_catalog import DATASETS
from fmnist_tui.data.dataset import Dataset
from fmnist_tui.data.load_progress import LoadStep
from fmnist_tui.tui.state.dataset_cache import DatasetCache, DatasetSpec
from fmnist_tui.util.errors import UserError, format_unexpected_error
from fmnist_tui.util.latest_work import LatestWork

IN_PROGRESS = ("trying", "progress")
# The dashboard waits this long for a fetch that it ends to end its programs.
_END_SECONDS = 2.0


class DatasetLoad:
    """One dataset being loaded; `steps` has the latest state of every source tried."""

    def __init__(self, cache: DatasetCache, name: str) -> None:
        self.name = name
        self.steps: list[LoadStep] = []
        self.cancelled = threading.Event()
        self._cache = cache

    def run(self, fetch: bool) -> Dataset | None:
        """Load the dataset; slow. None if it would have to be fetched and `fetch` is not set."""
        if not fetch and self.name in DATASETS and not self._cache.is_present(self.name):
            return None
        return self._cache.load(DatasetSpec(self.name), self._on_step, self.cancelled, fetch)

    def _on_step(self, step: LoadStep) -> None:
        last = self.steps[-1] if self.steps else step
        same = (last.dataset, last.source) == (step.dataset, step.source)
        if same and last.state in IN_PROGRESS:
            self.steps[-1:] = [step]
        else:
            self.steps.append(step)

    def final_steps(self) -> list[LoadStep]:
        """The steps, the last marked as failed if it was interrupted."""
        steps = list(self.steps)
        if steps and steps[-1].state in IN_PROGRESS:
            steps[-1] = replace(steps[-1], state="failed", message="not finished")
        return steps


class DatasetFetch:
    """The dataset that the first start fetches by itself, whatever screen is shown meanwhile."""

    def __init__(self, cache: DatasetCache, name: str) -> None:
        self._cache, self.name = cache, name
        self.begin()

    def begin(self) -> None:
        """Fetch it, again if it has failed."""
        self._load = DatasetLoad(self._cache, self.name)
        run = partial(self._load.run, fetch=True)
        self._result: Future[Dataset | None] = LatestWork().submit(run)

    @property
    def is_running(self) -> bool:
        return not self._result.done()

    @property
    def dataset(self) -> Dataset | None:
        """The dataset, once it is here."""
        is_here = self._result.done() and self._result.exception() is None
        return self._result.result() if is_here else None

    @property
    def problem(self) -> str:
        """Why it could not be fetched, once that is known."""
        error = self._result.exception() if self._result.done() else None
        if error is None:
            return ""
        return str(error) if isinstance(error, UserError) else format_unexpected_error(error)

    @property
    def steps(self) -> list[LoadStep]:
        return list(self._load.steps) if self.is_running else self._load.final_steps()

    def cancel(self) -> None:
        self._load.cancelled.set()

    def end(self) -> None:
        """Cancel it, and wait a moment for the programs that it has started."""
        self.cancel()
        wait([self._result], _END_SECONDS)
