"""An ensemble: trained networks asked as one, kept and judged as a run of its own.

What its members say is averaged as probabilities. Its checkpoint holds all of them, so
that the members' runs may go. Members must agree on classes, pictures and data, and on
which images they were validated on: one that had learnt from another's validation images
would make the ensemble's validation a lie.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

import fmnist_tui
from fmnist_tui.analysis.predictions import Predictions
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.data.dataset import Dataset, Split
from fmnist_tui.engine.checkpoints import weights_source as origin
from fmnist_tui.engine.checkpoints.checkpoint import FORMAT, CheckpointError, CheckpointStore
from fmnist_tui.engine.checkpoints.weights_source import LoadedWeights
from fmnist_tui.engine.device import choose_device
from fmnist_tui.engine.inference.classifier import (
    EVAL_BATCH_SIZE,
    MAX_MEMBERS,
    Classifier,
    ModelInfo,
    OnTick,
    no_op,
)
from fmnist_tui.engine.inference.evaluate import evaluate_split, tick_with_progress
from fmnist_tui.engine.run.run_record import Emit, recorded, saved, write_config
from fmnist_tui.engine.training import leakage
from fmnist_tui.protocol.events import ENSEMBLE, Alert, Changed, RunStarted
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import summarise
from fmnist_tui.util.errors import UserError, reason
from fmnist_tui.util.progress import OnProgress, ignore_progress
from fmnist_tui.util.text import safe_text

RECIPE = "ensemble"


@dataclass(frozen=True, slots=True, eq=False)
class EnsembleMember:
    """A run with the checkpoint that stands for it, and what its record says of that."""

    folder: RunFolder
    about: ModelInfo
    origin: LoadedWeights
    val_accuracy: float | None

    @property
    def name(self) -> str:
        return safe_text(self.folder.name)

    @property
    def file(self) -> str:
        return Path(self.origin.source).name


def build(
    runs_dir: Path,
    load: Callable[[RunConfig], Dataset],
    members: Sequence[RunFolder],
    *,
    tta: str | None = None,
    recipe: str = RECIPE,
    device: str = "auto",
    tell: OnProgress = ignore_progress,
    pulse: OnTick = no_op,
) -> RunFolder:
    """Make an ensemble of the runs' best checkpoints, judged on validation and then on test.

    `load` gives the data set of a config. `tta` is which views of an image are averaged, None
    for those that the members are used to, if they agree. `pulse` is called between batches and
    may raise `Cancelled`. Raises UserError, one line, where these runs make no ensemble; then
    there is no run folder either."""
    found = _read(members, tell, pulse)
    for first, other in pairwise(found):
        _agree(first, other)
    own = {member.about.config.tta for member in found}
    views = tta or (min(own) if len(own) == 1 else "none")
    config = found[0].about.config.changed(recipe=recipe, tta=views, device=device)
    about = ModelInfo.for_ensemble(tuple(member.about for member in found), config)
    machine = choose_device(config.changed(precision="fp32"))
    weights = {
        f"{number}.{name}": tensor
        for number, member in enumerate(found)
        for name, tensor in _weights(member).items()
    }
    classifier = Classifier.from_weights(about, weights, machine, "the ensemble")
    tell(0, 0, "reading the data")
    dataset = load(config)
    _check_data(found, dataset)
    folder = RunFolder.create(runs_dir, recipe, config.dataset)
    with recorded(folder) as emit:
        write_config(folder, config, machine, _made_from(found))
        emit(_started(classifier, dataset, folder))
        for number, member in enumerate(found, 1):
            for note in (f"member {number}: {_told(member)}", *member.origin.notes):
                emit(Alert(time.time(), "note", note))
        if tta is None and len(own) > 1:
            told = "its members are used to different views of an image: it is given one alone"
            emit(Alert(time.time(), "note", told))
        if views != "none" and not all(member.about.config.flip for member in found):
            told = "not every member was trained with flip: mirrored views may mislead it"
            emit(Alert(time.time(), "warning", told))
        _save(folder, classifier, emit)
        _judge(classifier, dataset, folder, emit, tell, pulse)
    return folder


def _read(folders: Sequence[RunFolder], tell: OnProgress, pulse: OnTick) -> list[EnsembleMember]:
    """The members with their weights; a UserError for what cannot be one."""
    if not 2 <= len(folders) <= MAX_MEMBERS:
        raise UserError(
            f"an ensemble has 2 to {MAX_MEMBERS} members: {len(folders)} cannot make one"
        )
    paths = [folder.path.resolve() for folder in folders]
    twice = next((path for path in paths if paths.count(path) > 1), None)
    if twice is not None:
        raise UserError(f"{safe_text(twice.name)} is named twice: give every member once")
    members = []
    for number, folder in enumerate(folders):
        pulse()
        tell(number, len(folders), f"reading {folder.name}")
        members.append(_member(folder))
    return members


def _member(folder: RunFolder) -> EnsembleMember:
    summary = summarise(folder)
    if summary.kind == ENSEMBLE:
        raise UserError(
            f"{safe_text(folder.name)} is an ensemble itself: name its members instead"
            f" (`fmnist-tui runs show {safe_text(folder.id)}` lists them)"
        )
    found = origin.load_from_run(folder)
    about = ModelInfo.from_dict(found.payload.get("about"), found.source)
    return EnsembleMember(folder, about, found, summary.best_val_accuracy)


def _agree(first: EnsembleMember, other: EnsembleMember) -> None:
    """Refuse two runs that cannot be members of one ensemble."""
    mine, theirs = first.about, other.about

    def differ(why: str) -> UserError:
        return UserError(f"{first.name} and {other.name} make no ensemble: {why}")

    if mine.dataset.classes != theirs.dataset.classes:
        names = (safe_text(", ".join(about.dataset.classes), 60) for about in (mine, theirs))
        raise differ(f"other classes ({' / '.join(names)})")
    if mine.signature != theirs.signature:
        sizes = (f"{about.size}×{about.size}×{about.channels}" for about in (mine, theirs))
        raise differ(f"pictures of other sizes ({' / '.join(sizes)})")
    data = [(leakage.dataset_key(about.config), about.config.classes) for about in (mine, theirs)]
    if data[0] != data[1]:
        names = (safe_text(about.config.dataset, 60) for about in (mine, theirs))
        raise differ(f"trained on other data ({' / '.join(names)})")
    found = leakage.split_difference(mine.config, theirs.config)
    if found:
        raise differ(f"{found}, so that one has learnt from images that the other is validated on")


def _weights(member: EnsembleMember) -> dict[str, object]:
    weights = member.origin.payload.get("weights")
    if not isinstance(weights, dict):
        raise CheckpointError(f"{member.origin.source}: holds no weights")
    return weights


def _check_data(members: Sequence[EnsembleMember], dataset: Dataset) -> None:
    """Refuse data that are by now other ones than the members were trained and judged on."""
    name = safe_text(dataset.info.name, 60)
    if dataset.info.classes != members[0].about.dataset.classes:
        raise UserError(f"{name} has other classes by now than {members[0].name} was trained on")
    for member in members:
        kept = _validated(member)
        if kept is not None and not _of_split(kept, dataset.val):
            raise UserError(
                f"{member.name} was validated on other images than {name} has for that by now"
            )


def _validated(member: EnsembleMember) -> Predictions | None:
    """What the member has kept of its validation; it need not have."""
    try:
        return Predictions.load(member.folder.predictions / "val.npz")
    except UserError:
        return None


def _of_split(kept: Predictions, split: Split) -> bool:
    return np.array_equal(kept.indices, split.indices) and np.array_equal(kept.labels, split.labels)


def _made_from(members: Sequence[EnsembleMember]) -> dict[str, str | int | float]:
    """The members with their checkpoints' hashes, for the ensemble's config.toml."""
    return {
        f"member_{number}": f"{member.folder.name} {member.file} {member.origin.sha256}"
        for number, member in enumerate(members, 1)
    }


def _told(member: EnsembleMember) -> str:
    val = member.val_accuracy
    accuracy = "no validation" if val is None else f"val {val * 100:.2f} %"
    return f"{member.name} ({member.file}), {accuracy}"


def _started(classifier: Classifier, dataset: Dataset, folder: RunFolder) -> RunStarted:
    about, machine = classifier.info, classifier.machine
    config = about.config
    return RunStarted(
        t=time.time(),
        run=folder.path.name,
        recipe=config.recipe,
        dataset=config.dataset,
        model=about.model,
        parameters=sum(parameter.numel() for parameter in classifier.model.parameters()),
        device=str(machine.device),
        device_name=machine.name,
        precision=machine.precision,
        seed=config.seed,
        epochs=0,
        steps_per_epoch=0,
        batch_size=EVAL_BATCH_SIZE,
        train_count=len(dataset.train),
        val_count=len(dataset.val),
        test_count=len(dataset.test),
        classes=dataset.info.classes,
        synthetic=dataset.info.synthetic,
        host=socket.gethostname(),
        pid=os.getpid(),
        version=fmnist_tui.__version__,
        kind=ENSEMBLE,
    )


def _save(folder: RunFolder, classifier: Classifier, emit: Emit) -> None:
    """Keep the ensemble whole, as a training keeps its best checkpoint."""
    payload = {
        "format": FORMAT,
        "about": classifier.info.to_dict(),
        "weights": dict(classifier.model.state_dict()),
        "step": 0,
        "epoch": 0,
    }
    try:
        manifest = CheckpointStore(folder.checkpoints).save("best", payload, 0, 0)
    except OSError as error:
        raise UserError(f"the ensemble cannot be saved: {reason(error)}") from error
    emit(saved(manifest))


def _judge(
    classifier: Classifier,
    dataset: Dataset,
    folder: RunFolder,
    emit: Emit,
    tell: OnProgress,
    pulse: OnTick,
) -> None:
    """Judge it on validation and then, once, on test."""
    splits = [split for split in (dataset.val, dataset.test) if len(split)]
    done, total = 0, sum(map(len, splits))
    for split in splits:
        what = f"evaluating on {split.name}"
        emit(Changed(time.time(), 0, "phase", what))
        between = tick_with_progress(pulse, tell, what, len(split), done, total)
        verdict = evaluate_split(classifier, split, "best", 0, 0, between)
        done += len(split)
        emit(verdict.to_event())
        try:
            verdict.predictions.save(folder.predictions / f"{split.name}.npz")
        except OSError as error:
            emit(Alert(time.time(), "warning", f"predictions not saved ({reason(error)})"))
    tell(total, total, "done")
