"""What a report says, gathered from a run's record: figures, settings, what went wrong.

Nothing is computed by a network here. What is not there is a `MissingPart`: named in the page, with
the command that makes it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fmnist_tui.analysis.overfitting import FitJudgement, judge_fit
from fmnist_tui.analysis.predictions import Predictions
from fmnist_tui.config import dataset_catalog, recipes
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.protocol.events import ENSEMBLE, FINISHED, LRFIND, SWEEP, TRAIN
from fmnist_tui.protocol.run_state import RunState
from fmnist_tui.report.pictures import ErrorPictures, gather
from fmnist_tui.report.scores import SplitScores, of_event, of_predictions
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import replay
from fmnist_tui.runs.listing import BROKEN, RunSummary, summarise
from fmnist_tui.util.errors import UserError, reason
from fmnist_tui.util.progress import Tell, untold
from fmnist_tui.util.text import safe_text

# Kinds of runs that train nothing a report could be about.
_OTHERS = {LRFIND: "a search for a learning rate", SWEEP: "a sweep"}
MEMBER = "member_"
STAGES = 4


@dataclass(frozen=True, slots=True)
class MissingPart:
    """Something the page does without: what, why, and the command that makes it."""

    what: str
    why: str
    command: str = ""


@dataclass(frozen=True, slots=True)
class MemberFigures:
    """A run that an ensemble is made of: its name, its checkpoint, and what its own record
    says of it where that is still there."""

    name: str
    checkpoint: str
    summary: RunSummary | None


@dataclass(frozen=True, slots=True, eq=False)
class ReportFacts:
    """Everything one page is made of."""

    folder: RunFolder
    summary: RunSummary
    state: RunState
    config: RunConfig | None
    config_text: str
    made_with: Mapping[str, object]
    recipe: recipes.Recipe | None
    split: str
    scores: SplitScores | None
    predictions: Predictions | None
    pictures: ErrorPictures | None
    fit: FitJudgement | None
    members: tuple[MemberFigures, ...]
    gaps: tuple[MissingPart, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        return self.state.started.classes if self.state.started is not None else ()

    @property
    def dataset(self) -> dataset_catalog.DatasetFacts | None:
        """What is known of the data set from its name."""
        return dataset_catalog.facts(self.summary.dataset)


def gather_facts(
    folder: RunFolder, data_dir: Path, split: str | None = None, tell: Tell = untold
) -> ReportFacts:
    """What there is to say of a run on a split: on test where it has been read, else on
    validation. Raises UserError where the folder holds no trained run."""
    tell(0, STAGES, "reading the record")
    summary = summarise(folder)
    if summary.state == BROKEN:
        raise UserError(f"no report of {safe_text(folder.name)}: {safe_text(summary.reason)}")
    if summary.kind not in (TRAIN, ENSEMBLE):
        what = _OTHERS.get(summary.kind, f"of the kind {safe_text(summary.kind, 40)}")
        raise UserError(
            f"{safe_text(folder.name)} is {what}: a report needs a trained run;"
            " `fmnist-tui runs list` shows those there are"
        )
    gaps: list[MissingPart] = []
    state = replay(folder.events)
    config_text, document = _config_file(folder.config)
    config = _config(folder, gaps)
    split = split or _split(folder, state)
    tell(1, STAGES, f"judging on {split}")
    predictions = _predictions(folder, split, summary, gaps)
    verdict = state.verdict(split)
    scores = None
    if predictions is not None:
        scores = of_predictions(predictions, verdict)
    elif verdict is not None:
        try:
            scores = of_event(verdict, state.started.classes if state.started else ())
        except UserError as error:
            gaps.append(MissingPart(f"figures on {split}", str(error)))
    tell(2, STAGES, "gathering pictures")
    made_with = document.get("made_with", {})
    made_with = made_with if isinstance(made_with, dict) else {}
    return ReportFacts(
        folder,
        summary,
        state,
        config,
        config_text,
        made_with,
        _recipe(config),
        split,
        scores,
        predictions,
        _pictures(config, predictions, data_dir, gaps),
        judge_fit(state) if summary.kind == TRAIN else None,
        tuple(_members(folder, made_with)),
        tuple(gaps),
    )


def _members(folder: RunFolder, made_with: Mapping[str, object]) -> Iterator[MemberFigures]:
    """The runs that the config of an ensemble names, each with its checkpoint."""
    for key, value in made_with.items():
        if not key.startswith(MEMBER):
            continue
        name, *rest = str(value).split()
        sibling = RunFolder(folder.path.parent / Path(name).name)
        there = sibling.is_run() and sibling.events.is_file()
        yield MemberFigures(name, " ".join(rest[:1]), summarise(sibling) if there else None)


def _split(folder: RunFolder, state: RunState) -> str:
    for name in ("test", "val"):
        if state.verdict(name) is not None or (folder.predictions / f"{name}.npz").exists():
            return name
    return "test"


def _config_file(path: Path) -> tuple[str, dict[str, Any]]:
    """The config as it was written, and as a table; nothing of one that cannot be read."""
    try:
        written = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "", {}
    try:
        return written, tomllib.loads(written)
    except (ValueError, RecursionError):
        return written, {}


def _config(folder: RunFolder, gaps: list[MissingPart]) -> RunConfig | None:
    try:
        return recipes.read(folder.config).config()
    except UserError as error:
        gaps.append(MissingPart("settings", str(error).splitlines()[0]))
        return None


def _recipe(config: RunConfig | None) -> recipes.Recipe | None:
    """The shipped recipe that the run alone was made from; not one of several runs."""
    if config is None or config.recipe not in recipes.names():
        return None
    recipe = recipes.load(config.recipe)
    return None if recipe.stages or recipe.ensemble is not None else recipe


def _predictions(
    folder: RunFolder, split: str, summary: RunSummary, gaps: list[MissingPart]
) -> Predictions | None:
    path = folder.predictions / f"{split}.npz"
    parts = f"figures of single images on {split}: calibration, the errors and their pictures"
    command = f"fmnist-tui evaluate {folder.id} --split {split}"
    if not path.exists():
        if summary.is_live:
            why = "the run is still going; they come when it has finished"
            gaps.append(MissingPart(parts, why))
        else:
            ended = "" if summary.state == FINISHED else f" (the run is {summary.state})"
            gaps.append(MissingPart(parts, f"no predictions were kept{ended}", command))
        return None
    try:
        return Predictions.load(path)
    except UserError as error:
        gaps.append(MissingPart(parts, str(error), command))
        return None


def _pictures(
    config: RunConfig | None,
    predictions: Predictions | None,
    data_dir: Path,
    gaps: list[MissingPart],
) -> ErrorPictures | None:
    if config is None or predictions is None:
        return None
    from fmnist_tui.data.load import is_present

    what, name = "pictures of the errors", config.dataset
    if not is_present(name, data_dir):
        if ":" in name:
            gaps.append(MissingPart(what, f"{safe_text(name)} is not there any more"))
        else:
            why = f"{name} is not in {safe_text(data_dir)}"
            gaps.append(MissingPart(what, why, f"fmnist-tui data get {name}"))
        return None
    try:
        return gather(config, predictions, data_dir)
    except (UserError, OSError, MemoryError) as error:
        gaps.append(MissingPart(what, reason(error)))
    return None
