"""The studies there are, looked at again and again for the screen that shows them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.sweeps import study_locations
from fmnist_tui.sweeps.snapshot import Snapshot, SnapshotReader, StudySummary
from fmnist_tui.sweeps.storage import StorageLocation
from fmnist_tui.util.errors import UserError

# A storage that could not be reached is left alone for so long.
REST_SECONDS = 30.0

Key = tuple[str, str]
Wanted = RunFolder | str | None


def key_of(line: StudySummary) -> Key:
    """What tells a study from all others: where it is kept, and its name."""
    return line.location.public_url, line.name


@dataclass(frozen=True, slots=True)
class StudyListing:
    """What there was at a moment: the studies, the one in view and its trials, or why they
    cannot be read."""

    lines: tuple[StudySummary, ...] = ()
    study: StudySummary | None = None
    snapshot: Snapshot | None = None
    trouble: str = ""

    @property
    def running(self) -> int:
        return self.snapshot.running if self.snapshot is not None else 0


class StudyWatcher:
    """Used by one thread at a time, and never by the screen's: a storage may be slow."""

    def __init__(self, runs_dir: Path) -> None:
        self.reader = SnapshotReader()
        self._runs_dir = runs_dir
        self._lines: tuple[StudySummary, ...] = ()
        self._resting: dict[str, tuple[float, str]] = {}

    def look(self, chosen: Key | None, *, all_of_them: bool, wanted: Wanted = None) -> StudyListing:
        """The list, read anew where `all_of_them` is asked for, and the chosen study.

        The study `wanted`, by the folder of a sweep or by its name, is chosen before any
        other as soon as it is there."""
        if all_of_them:
            self._lines = self._listed()
        known = {key_of(line): line for line in self._lines if line.name}
        line = known.get(chosen) if chosen is not None else None
        if isinstance(wanted, RunFolder):
            where, name = study_locations.study_of_run(wanted)
            line = known.get((where.public_url, name), line)
        elif wanted is not None:
            line = next((one for one in known.values() if one.name == wanted), line)
        line = line or next(iter(known.values()), None)
        if line is None:
            return StudyListing(self._lines)
        try:
            return StudyListing(self._lines, line, self._asked(line.location, line.name))
        except UserError as error:
            return StudyListing(self._lines, line, None, str(error).splitlines()[0])

    def importances(self, where: StorageLocation, name: str) -> tuple[tuple[str, float], ...]:
        return self.reader.importances(where, name)

    def _listed(self) -> tuple[StudySummary, ...]:
        found: list[StudySummary] = []
        for where in study_locations.list_locations(self._runs_dir):
            try:
                self._refuse_if_resting(where)
                found += self.reader.list_studies(where)
            except UserError as error:
                self._rest(where, error)
                found.append(StudySummary("", where, error=str(error).splitlines()[0]))
        return tuple(found)

    def _asked(self, where: StorageLocation, name: str) -> Snapshot:
        self._refuse_if_resting(where)
        try:
            return self.reader.read(where, name)
        except UserError as error:
            self._rest(where, error)
            raise

    def _refuse_if_resting(self, where: StorageLocation) -> None:
        until, why = self._resting.get(where.public_url, (0.0, ""))
        if time.monotonic() < until:
            raise UserError(why)

    def _rest(self, where: StorageLocation, error: UserError) -> None:
        # Files answer at once, well or badly; a server may keep everybody waiting.
        until, _ = self._resting.get(where.public_url, (0.0, ""))
        if where.path is None and time.monotonic() >= until:
            self._resting[where.public_url] = time.monotonic() + REST_SECONDS, str(error)
