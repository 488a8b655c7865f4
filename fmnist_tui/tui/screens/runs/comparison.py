"""Reads what the compare pane shows: histories, and a verdict on each pair."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

from fmnist_tui.analysis.verdict import Side, Verdict, judge
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.seed_groups import SeedGroup
from fmnist_tui.tui.screens.runs.history import HistoryCache, RunHistory
from fmnist_tui.tui.screens.runs.table import MAX_MARKS, Listed, members_of
from fmnist_tui.tui.shared.run_names import run_name
from fmnist_tui.util.formatting import format_count
from fmnist_tui.util.text import safe_text

SHORT_NAME = 22


@dataclass(frozen=True, slots=True)
class Compared:
    """A run or a group of seeds to compare, with the history of each of its runs; `mark` is its
    number if the user has marked it. `members` are the histories of an ensemble's runs."""

    item: Listed
    histories: tuple[RunHistory, ...]
    mark: int | None = None
    members: tuple[RunHistory, ...] = ()

    @property
    def history(self) -> RunHistory:
        """The history of the run, or of the first one of a group."""
        return self.histories[0]

    @property
    def name(self) -> str:
        """`two-conv 7f3a`, or `two-conv, 3 seeds`."""
        if isinstance(self.item, SeedGroup):
            seeds = format_count(len(self.item.counted), "seed")
            return f"{safe_text(self.item.title)}, {seeds}"
        return run_name(self.item)

    @property
    def short_name(self) -> str:
        """The same for a column or a legend, after the mark."""
        if isinstance(self.item, SeedGroup):
            return f"{self.mark or ''} {len(self.item.counted)} seeds".strip()
        shown = self.item.notes.name or self.item.run.id
        return f"{self.mark or ''} {safe_text(shown, SHORT_NAME)}".strip()

    def side(self) -> Side:
        """The results, for a verdict."""
        runs = ((each.folder, each.val, each.test) for each in self.histories)
        return Side.of(str(self.mark), self.item.dataset, runs)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is compared, and verdicts on each but the first against the first."""

    compared: tuple[Compared, ...] = ()
    verdicts: tuple[Verdict, ...] = ()


class ComparisonLoader:
    """Reads files, again only where they have changed: call it in a thread."""

    def __init__(self) -> None:
        self._histories = HistoryCache()
        self._lock = threading.Lock()
        self._judged: tuple[list[RunHistory], list[int | None], tuple[Verdict, ...]] = [], [], ()

    def load(self, items: Sequence[tuple[Listed, int | None]]) -> Comparison:
        """Compare these runs and groups, each with its mark."""
        with self._lock:
            folders = [run.run for item, _ in items for run in members_of(item)]
            by_folder = {history.folder: history for history in self._histories.load(folders)}
            compared = tuple(
                Compared(item, tuple(by_folder[run.run] for run in members_of(item)), mark)
                for item, mark in items
            )
            if len(compared) == 1:
                compared = (self._with_members(compared[0]),)
            return Comparison(compared, self._judge(compared))

    def _with_members(self, compared: Compared) -> Compared:
        """With the histories of those runs of an ensemble that are still beside it."""
        settings = compared.history.settings
        names = [name for name, _ in settings.members] if settings is not None else []
        siblings = (RunFolder(compared.item.run.path.parent / name) for name in names)
        found = [run for run in siblings if run.events.is_file()]
        return replace(compared, members=tuple(self._histories.load(found[:MAX_MARKS])))

    def _judge(self, compared: Sequence[Compared]) -> tuple[Verdict, ...]:
        histories = [history for each in compared for history in each.histories]
        before, marked, verdicts = self._judged
        # Unchanged histories are the same objects; two that are equal may take long to compare.
        marks = [each.mark for each in compared]
        if (list(map(id, histories)), marks) != (list(map(id, before)), marked):
            first, *others = (each.side() for each in compared)
            verdicts = tuple(judge(first, other) for other in others)
            self._judged = histories, marks, verdicts
        return verdicts
