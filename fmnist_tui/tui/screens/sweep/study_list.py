"""The list of studies and the trials of the selected one, as the Sweep screen polls them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import training_share
from fmnist_tui.sweeps import study_locations
from fmnist_tui.sweeps.snapshot import Snapshot, SnapshotReader, StudySummary
from fmnist_tui.sweeps.storage import StorageLocation
from fmnist_tui.sweeps.trial_states import RUNNING
from fmnist_tui.util.errors import UserError

# A database server that could not be reached is not asked again for this long.
RETRY_SECONDS = 30.0

# Location and name.
StudyKey = tuple[str, str]
# A study to select: the run folder of a sweep, or the name of a study.
StudyRequest = RunFolder | str | None


def study_key(study: StudySummary) -> StudyKey:
    return study.location.public_url, study.name


@dataclass(frozen=True, slots=True)
class StudyListing:
    """All studies, and the selected one with its trials, or the error of reading them."""

    studies: tuple[StudySummary, ...] = ()
    selected: StudySummary | None = None
    snapshot: Snapshot | None = None
    error: str = ""

    @property
    def running(self) -> int:
        return self.snapshot.running if self.snapshot is not None else 0


class StudyWatcher:
    """Reads studies; a storage may be slow, so call it in a thread, one at a time."""

    def __init__(self, runs_dir: Path) -> None:
        self.reader = SnapshotReader()
        self._runs_dir = runs_dir
        self._studies: tuple[StudySummary, ...] = ()
        # Until when a location is not asked again, and its last error.
        self._unreachable: dict[str, tuple[float, str]] = {}

    def load(
        self, selected: StudyKey | None, *, reload_list: bool, requested: StudyRequest = None
    ) -> StudyListing:
        """Load the list if `reload_list`, and the trials of one study: the requested one if it
        exists, else the selected one, else the first."""
        if reload_list:
            self._studies = self._load_list()
        known = {study_key(study): study for study in self._studies if study.name}
        study = known.get(selected) if selected is not None else None
        if isinstance(requested, RunFolder):
            location, name = study_locations.study_of_run(requested)
            study = known.get((location.public_url, name), study)
        elif requested is not None:
            study = next((each for each in known.values() if each.name == requested), study)
        study = study or next(iter(known.values()), None)
        if study is None:
            return StudyListing(self._studies)
        try:
            with self._limit_retries(study.location):
                snapshot = self.reader.read(study.location, study.name)
            return StudyListing(self._studies, study, _add_shares(snapshot))
        except UserError as error:
            return StudyListing(self._studies, study, None, str(error).splitlines()[0])

    def _load_list(self) -> tuple[StudySummary, ...]:
        studies: list[StudySummary] = []
        for location in study_locations.list_locations(self._runs_dir):
            try:
                with self._limit_retries(location):
                    studies += self.reader.list_studies(location)
            except UserError as error:
                studies.append(StudySummary("", location, error=str(error).splitlines()[0]))
        return tuple(studies)

    @contextlib.contextmanager
    def _limit_retries(self, location: StorageLocation) -> Iterator[None]:
        """Raise a server's last error again instead of asking it again soon."""
        until, message = self._unreachable.get(location.public_url, (0.0, ""))
        if time.monotonic() < until:
            raise UserError(message)
        try:
            yield
        except UserError as error:
            # Files answer at once; a server may block until a timeout.
            if location.path is None:
                until = time.monotonic() + RETRY_SECONDS
                self._unreachable[location.public_url] = until, str(error)
            raise


def _add_shares(snapshot: Snapshot) -> Snapshot:
    """With what is done of the running trials whose runs are on this machine."""
    trials = tuple(
        replace(trial, share=training_share(RunFolder(Path(trial.run))))
        if trial.state == RUNNING and trial.run
        else trial
        for trial in snapshot.trials
    )
    return replace(snapshot, trials=trials)
