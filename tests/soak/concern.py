"""What a concern is, and how its trials are counted."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

Case = TypeVar("Case")


@dataclass
class Tally:
    """The trials of one concern: how many there were, and what each lost one lost."""

    folder: Path
    tried: int = 0
    lost: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @contextmanager
    def trial(self, what: str) -> Iterator[None]:
        """One trial; an exception within means that something was lost."""
        self.tried += 1
        try:
            yield
        except Exception as error:  # noqa: BLE001
            self.lose(what, str(error) or type(error).__name__)

    def lose(self, what: str, why: str) -> None:
        """Record a loss that is found after its trial, as when many are checked at once."""
        self.lost.append(f"{what}: {why}")

    def skip(self, why: str) -> None:
        """Say that trials cannot be made here, and what they need."""
        self.skipped.append(why)

    @property
    def survived(self) -> int:
        return max(0, self.tried - len(self.lost))


@dataclass(frozen=True)
class Concern:
    """A kind of trouble. `run` makes `tries` trials in the tally's own empty folder."""

    name: str
    run: Callable[[Tally, int], None]
    short: int  # trials in `make test`, 0 if only many tell anything
    full: int  # trials in `make soak`


def load_concerns() -> list[Concern]:
    from tests.soak import concerns

    names = sorted(module.name for module in pkgutil.iter_modules(concerns.__path__))
    return [importlib.import_module(f"{concerns.__name__}.{name}").CONCERN for name in names]


def spread(cases: Sequence[Case], count: int) -> list[Case]:
    """So many of the cases, spread evenly over all, repeated if there are fewer."""
    if count >= len(cases):
        return [cases[index % len(cases)] for index in range(count)]
    return [cases[index * len(cases) // count] for index in range(count)]
