"""Getting a data set for the screen: reading or fetching it in a thread, and how that goes."""

from __future__ import annotations

import os
import textwrap
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from textual.content import Content

from fmnist_tui.config import dataset_catalog
from fmnist_tui.data.dataset import Dataset
from fmnist_tui.data.load_progress import LoadStep
from fmnist_tui.tui.state.dataset_cache import DatasetCache, DatasetSpec
from fmnist_tui.util.formatting import MEGABYTE
from fmnist_tui.util.paths import expand_home
from fmnist_tui.util.text import safe_text

SKETCHES = "sketches"
_SIGNS = {"trying": ("▸", "$accent"), "failed": ("✗", "$error"), "ok": ("✓", "$success")}
_BAR = 40


class DatasetLoad:
    """One data set being read or fetched. `read` and `fetch` belong into a thread; the
    screen asks for `news` now and then, and may `cancel`."""

    def __init__(self, library: DatasetCache, name: str) -> None:
        self.name = name
        self._library = library
        self._told: deque[LoadStep] = deque()
        self._cancel = threading.Event()

    def read(self) -> Dataset | None:
        """The data set, if it is on this machine; None for one that can be fetched."""
        if can_be_fetched(self.name) and not self._library.is_present(self.name):
            return None
        return self._load(fetch=False)

    def fetch(self) -> Dataset:
        """The data set, from wherever it can be had."""
        return self._load(fetch=True)

    def news(self) -> list[LoadStep]:
        """What has been told since the last time."""
        return [self._told.popleft() for _ in range(len(self._told))]

    def cancel(self) -> None:
        self._cancel.set()

    def _load(self, fetch: bool) -> Dataset:
        spec = DatasetSpec(self.name)
        return self._library.load(spec, self._told.append, self._cancel, fetch)


def title(name: str) -> str:
    """What a data set is called."""
    info = dataset_catalog.DATASETS.get(name)
    return info.title if info is not None else safe_text(name, 60)


def can_be_fetched(name: str) -> bool:
    """Whether it comes from the network; what lies under a path is there or not."""
    return name in dataset_catalog.DATASETS


def ways_on(name: str, failed: bool) -> Content:
    """What to press where there is no data set to look at."""
    ways = [("s", "chooses another data set")]
    if name != SKETCHES:
        ways.insert(0, ("S", "opens sketches, drawn by this program: SYNTHETIC, no network"))
    if can_be_fetched(name):
        about = dataset_catalog.DATASETS[name].about
        ways.insert(0, ("f", "tries again" if failed else f"fetches it: {about}"))
    elif failed:
        ways.insert(0, ("f", "looks again"))
    return Content("\n").join(
        Content.assemble((f"{key}  ", "bold $accent"), words) for key, words in ways
    )


def advice(why: str, told: bool) -> str:
    """A reason to show. Where the places tried are told one by one, the last sentence
    alone is news: what to do."""
    return why.rsplit(". ", 1)[-1] if told else why


def choices(there: Mapping[str, bool]) -> list[tuple[str, Content]]:
    """Data sets to choose from, each with whether it is on this machine."""
    wide = max(len(title(name)) for name in there)
    found = []
    for name, here in there.items():
        info = dataset_catalog.DATASETS.get(name)
        sign = ("✓ here  ", "$success") if here else ("· away  ", "$foreground-muted")
        size = f"{info.train + info.test:>9,} images, {len(info.classes)} classes" if info else ""
        found.append((name, Content.assemble(sign, (f"{title(name):<{wide}}", "bold"), size)))
    return found


def named(text: str) -> str:
    """The data set that a person means who types a name, or a path alone."""
    text = text.strip()
    if (
        not text
        or dataset_catalog.is_dataset_name(text)
        or text.partition(":")[0] in dataset_catalog.FROM_PATH
    ):
        return text
    path = expand_home(text)
    files = (path / f"train-images-idx3-ubyte{end}" for end in ("", ".gz"))
    # Path's own raises where a name is overlong or a folder is closed.
    idx = any(os.path.exists(file) for file in files)  # noqa: PTH110
    return f"{'idx' if idx else 'folder'}:{text}"


@dataclass
class SourceLog:
    """The places tried so far; the last may still be under way."""

    steps: list[LoadStep] = field(default_factory=list)

    def add(self, step: LoadStep) -> None:
        """Take in what was told: news of the last place, or the next one."""
        last = self.steps[-1] if self.steps else None
        begun = last is not None and last.state in ("trying", "progress")
        if (
            begun
            and last is not None
            and (last.dataset, last.source)
            == (
                step.dataset,
                step.source,
            )
        ):
            self.steps[-1] = step
        else:
            self.steps.append(step)

    def stopped(self) -> None:
        """Nothing goes on any more: what was under way was left."""
        if self.steps and self.steps[-1].state in ("trying", "progress"):
            self.steps[-1] = replace(self.steps[-1], state="failed", message="not finished")

    @property
    def failures(self) -> int:
        """How many places had nothing."""
        return sum(step.state == "failed" for step in self.steps)

    def lines(self, width: int) -> list[Content]:
        """A sign, the place and how it goes; reasons in as many lines as they need."""
        several = len({step.dataset for step in self.steps}) > 1
        return [line for step in self.steps for line in _lines(step, width, several)]


def _lines(step: LoadStep, width: int, several: bool) -> Iterator[Content]:
    sign, colour = _SIGNS.get(step.state, _SIGNS["trying"])
    name = f"{step.dataset}, {step.source}" if several and step.source else step.source
    yield Content.assemble((sign, colour), " ", (safe_text(name or step.dataset, 60), "bold"))
    for line in textwrap.wrap(safe_text(step.message), max(10, width - 4)):
        yield Content(f"    {line}")
    if step.state == "progress" and (step.done or step.total):
        yield Content("    ") + bar(step, min(_BAR, max(8, width - 34)))


def bar(step: LoadStep, width: int) -> Content:
    """`━━━━━━╸─────  12.3 of 26.4 MB`; where the end is not known, what is there so far."""
    scale, unit = (MEGABYTE, "MB") if step.unit == "bytes" else (1, step.unit)
    digits = 1 if step.unit == "bytes" else 0
    done = f"{step.done / scale:,.{digits}f}"
    if not step.total:
        return Content(f"{done} {unit}")
    filled = min(width, round(width * step.done / step.total))
    if step.unit == "%":
        words = f"  {done} %"
    else:
        words = f"  {done} of {step.total / scale:,.{digits}f} {unit}"
    return Content.assemble(
        ("━" * filled, "$success"), ("─" * (width - filled), "$foreground-muted"), words
    )
