"""The facts of a report, read from a run's folder without running a network."""

from __future__ import annotations

import contextlib
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
from fmnist_tui.report.error_images import ErrorImages, load_error_images
from fmnist_tui.report.scores import SplitScores, scores_from_predictions, scores_from_record
from fmnist_tui.runs import checkpoints
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import replay
from fmnist_tui.runs.listing import BROKEN, RunSummary, summarise_run
from fmnist_tui.sweeps.run_settings import MEMBER
from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.formatting import format_count
from fmnist_tui.util.progress import OnProgress, ignore_progress
from fmnist_tui.util.text import safe_text
from fmnist_tui.util.text_file import parse_toml, read_text

# Kinds of runs without a model to report on
_UNTRAINED = {LRFIND: "a learning-rate search", SWEEP: "a sweep"}
STAGES = 4


@dataclass(frozen=True, slots=True)
class MissingPart:
    """A part that the page lacks, why, and the command that produces it."""

    name: str
    reason: str
    command: str = ""


@dataclass(frozen=True, slots=True)
class MemberFigures:
    """A member of an ensemble; `summary` is None if its run is gone."""

    name: str
    checkpoint: str
    summary: RunSummary | None


@dataclass(frozen=True, slots=True, eq=False)
class ReportFacts:
    """Everything that one page shows."""

    folder: RunFolder
    summary: RunSummary
    state: RunState
    config: RunConfig | None
    config_text: str
    made_with: Mapping[str, object]
    recipe: recipes.Recipe | None
    split: str
    scores: SplitScores | None
    images: ErrorImages | None
    fit: FitJudgement | None
    members: tuple[MemberFigures, ...]
    missing: tuple[MissingPart, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        return self.state.started.classes if self.state.started is not None else ()

    @property
    def dataset(self) -> dataset_catalog.DatasetInfo | None:
        """The catalog's entry of the dataset."""
        return dataset_catalog.find_dataset_info(self.summary.dataset)


def collect_facts(
    folder: RunFolder,
    data_dir: Path,
    split: str | None = None,
    on_progress: OnProgress = ignore_progress,
) -> ReportFacts:
    """The facts of a run on a split: by default test if it has been evaluated, else validation.

    Raises UserError if the folder holds no trained run.
    """
    on_progress(0, STAGES, "reading the run")
    summary = summarise_run(folder)
    if summary.state == BROKEN:
        raise UserError(f"cannot report on {safe_text(folder.name)}: {safe_text(summary.reason)}")
    if summary.kind not in (TRAIN, ENSEMBLE):
        kind = _UNTRAINED.get(summary.kind, f"of the kind {safe_text(summary.kind, 40)}")
        raise UserError(
            f"{safe_text(folder.name)} is {kind}: a report needs a trained run;"
            " `fmnist-tui runs list` lists them"
        )
    missing: list[MissingPart] = []
    state = replay(folder.events)
    if state.unreadable_lines:
        lines = format_count(state.unreadable_lines, "line")
        missing.append(
            MissingPart("a part of the record", f"{lines} of events.jsonl cannot be read")
        )
    config_text, made_with = _read_config_file(folder.config)
    config = _parse_config(folder, missing)
    split = split or _default_split(folder, state)
    on_progress(1, STAGES, f"evaluating on {split}")
    predictions = _load_predictions(folder, split, summary, missing)
    scores = _scores(state, split, predictions, missing)
    on_progress(2, STAGES, "loading images")
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
        _load_images(config, predictions, data_dir, missing),
        judge_fit(state) if summary.kind == TRAIN else None,
        tuple(_members(folder, made_with)),
        tuple(missing),
    )


def _members(folder: RunFolder, made_with: Mapping[str, object]) -> Iterator[MemberFigures]:
    """The members that an ensemble's config names, each with its checkpoint."""
    for key, value in made_with.items():
        if not key.startswith(MEMBER):
            continue
        name, *rest = str(value).split()
        sibling = RunFolder(folder.path.parent / Path(name).name)
        exists = sibling.is_run() and sibling.events.is_file()
        yield MemberFigures(name, " ".join(rest[:1]), summarise_run(sibling) if exists else None)


def _default_split(folder: RunFolder, state: RunState) -> str:
    for name in ("test", "val"):
        if state.evaluation(name) is not None or (folder.predictions / f"{name}.npz").exists():
            return name
    return "test"


def _read_config_file(path: Path) -> tuple[str, dict[str, Any]]:
    """The config file's text and its `made_with` table; empty if it cannot be read or parsed."""
    text, made_with = "", None
    with contextlib.suppress(OSError, ValueError):
        text = read_text(path).encode("utf-8", "replace").decode()
        made_with = parse_toml(text).get("made_with", {})
    return text, made_with if isinstance(made_with, dict) else {}


def _parse_config(folder: RunFolder, missing: list[MissingPart]) -> RunConfig | None:
    try:
        return recipes.read_recipe(folder.config).config()
    except UserError as error:
        missing.append(MissingPart("settings", str(error).splitlines()[0]))
        return None


def _recipe(config: RunConfig | None) -> recipes.Recipe | None:
    """The shipped recipe of this run, unless it is a recipe of several runs."""
    if config is None or config.recipe not in recipes.recipe_names():
        return None
    recipe = recipes.load_recipe(config.recipe)
    return None if recipe.stages or recipe.ensemble is not None else recipe


def _load_predictions(
    folder: RunFolder, split: str, summary: RunSummary, missing: list[MissingPart]
) -> Predictions | None:
    path = folder.predictions / f"{split}.npz"
    name = f"results of single images on {split}: calibration, errors and their images"
    command = f"fmnist-tui evaluate {folder.id} --split {split}"
    if path.exists():
        try:
            predictions = Predictions.load(path)
            _check_checkpoint(folder, predictions, command, missing)
            return predictions
        except UserError as error:
            missing.append(MissingPart(name, str(error), command))
    elif summary.is_live:
        missing.append(MissingPart(name, "the run has not finished yet"))
    else:
        state = "" if summary.state == FINISHED else f" (the run is {summary.state})"
        missing.append(MissingPart(name, f"no predictions are stored{state}", command))
    return None


def _check_checkpoint(
    folder: RunFolder, predictions: Predictions, command: str, missing: list[MissingPart]
) -> None:
    """Say if the run has a newer checkpoint of that name, or a damaged one."""
    newer = checkpoints.find_newer(folder, predictions.checkpoint, predictions.sha256)
    if newer is not None:
        reason = f"the page shows step {predictions.step}, but {newer.name} is of step {newer.step}"
        missing.append(MissingPart("results of the newest best checkpoint", reason, command))
    if damage := checkpoints.find_damage(folder):
        missing.append(MissingPart("the best checkpoint itself", damage))


def _scores(
    state: RunState, split: str, predictions: Predictions | None, missing: list[MissingPart]
) -> SplitScores | None:
    recorded = state.evaluation(split)
    if predictions is not None:
        return scores_from_predictions(predictions, recorded)
    if recorded is not None:
        try:
            return scores_from_record(recorded, state.started.classes if state.started else ())
        except UserError as error:
            missing.append(MissingPart(f"results on {split}", str(error)))
    return None


def _load_images(
    config: RunConfig | None,
    predictions: Predictions | None,
    data_dir: Path,
    missing: list[MissingPart],
) -> ErrorImages | None:
    if config is None or predictions is None:
        return None
    from fmnist_tui.data.load import is_present

    name, dataset = "images of the errors", config.dataset
    if is_present(dataset, data_dir):
        try:
            return load_error_images(config, predictions, data_dir)
        except (UserError, OSError, MemoryError) as error:
            missing.append(MissingPart(name, format_error(error)))
    elif ":" in dataset:
        missing.append(MissingPart(name, f"{safe_text(dataset)} no longer exists"))
    else:
        reason = f"{dataset} is not in {safe_text(data_dir)}"
        missing.append(MissingPart(name, reason, f"fmnist-tui data get {dataset}"))
    return None
