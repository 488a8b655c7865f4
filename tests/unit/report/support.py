"""Parsed pages, and runs to report on."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import numpy as np

from fmnist_tui.analysis.predictions import Predictions
from fmnist_tui.config.dataset_catalog import GARMENTS
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.protocol.events import EVENTS, Alert, RunStarted
from fmnist_tui.report.collect import ReportFacts, collect_facts
from fmnist_tui.report.page import render_page
from fmnist_tui.runs.folder import RunFolder
from tests.tui.support import CONFIG, make_run

VOID = {"meta", "link", "br"}
COUNT = 300


@dataclass
class Parsed(HTMLParser):
    """A page as a browser parses it."""

    markup: str
    tags: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    values: list[tuple[str, str, str]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)
    unbalanced: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))
        self.values += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def has(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


def make_predictions(split: str, classes: tuple[str, ...] = GARMENTS) -> Predictions:
    """Predictions for the first sketches of a split; class 6 is mostly predicted as 0."""
    random = np.random.default_rng(0)
    labels = np.arange(COUNT) % len(classes)
    logits = random.normal(0, 1.0, (COUNT, len(classes)))
    logits[np.arange(COUNT), labels] += 3.0
    logits[labels == 6, 0] += 3.5
    return Predictions(
        split,
        logits.astype(np.float32),
        labels.astype(np.int64),
        np.arange(COUNT, dtype=np.int64),
        classes,
        "best",
    )


def make_run_with_predictions(
    runs_dir: Path, config: RunConfig = CONFIG, *, ended: bool = True
) -> RunFolder:
    """A run on `sketches` with stored predictions on test."""
    folder = make_run(runs_dir, config, ended=ended, splits=())
    make_predictions("test").save(folder.predictions / "test.npz")
    return folder


def make_run_with_names(runs_dir: Path, names: tuple[str, ...], name: str) -> RunFolder:
    """A run with these class names, and `words` as recipe, host, model, alert and setting."""
    folder = make_run_with_predictions(runs_dir)
    lines = []
    for line in folder.events.read_text().splitlines():
        event = EVENTS.decode(line.encode())
        if isinstance(event, RunStarted):
            changed = {name: getattr(event, name) for name in event.__slots__}
            changed |= dict.fromkeys(("recipe", "host", "device_name", "model"), name)
            event = RunStarted(**{**changed, "classes": names})
            lines.append(EVENTS.encode(Alert(event.t, name, name)))
        lines.append(EVENTS.encode(event))
    folder.events.write_text("\n".join(lines) + "\n")
    written = folder.config.read_text().replace("[made_with]", f"[made_with]\nnote = {name!r}")
    folder.config.write_text(written, errors="replace")
    make_predictions("test", names).save(folder.predictions / "test.npz")
    return folder


def build_report(
    folder: RunFolder, data_dir: Path, split: str | None = None
) -> tuple[ReportFacts, Parsed]:
    facts = collect_facts(folder, data_dir, split)
    return facts, Parsed(render_page(facts))
