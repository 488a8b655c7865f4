"""Build an ensemble: trained networks used as one classifier, saved and evaluated as a run.

The ensemble averages the probabilities of its members. Its checkpoint contains all of them, so
the members' runs may be deleted. Members must have the same classes, image size, dataset and
validation images: a member trained on another's validation images would make the ensemble's
validation accuracy meaningless.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from fmnist_tui.analysis.predictions import Predictions
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.data.dataset import Dataset
from fmnist_tui.engine.checkpoints.checkpoint import FORMAT, CheckpointIdentity, CheckpointStore
from fmnist_tui.engine.checkpoints.weights_source import LoadedWeights, load_from_run
from fmnist_tui.engine.device import choose_device
from fmnist_tui.engine.inference.classifier import (
    MAX_MEMBERS,
    Classifier,
    ModelInfo,
    OnTick,
    no_op,
)
from fmnist_tui.engine.inference.evaluate import tick_with_progress
from fmnist_tui.engine.run.notifier import Emit
from fmnist_tui.engine.run.run_record import (
    checkpoint_saved,
    evaluate_and_record,
    record_run,
    write_config,
)
from fmnist_tui.engine.run.run_started import build_run_started
from fmnist_tui.engine.training import leakage
from fmnist_tui.protocol.events import ENSEMBLE, Alert
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.listing import summarise_run
from fmnist_tui.util.errors import UserError, format_error
from fmnist_tui.util.formatting import format_percent
from fmnist_tui.util.progress import OnProgress, ignore_progress
from fmnist_tui.util.text import safe_text


@dataclass(frozen=True, slots=True, eq=False)
class EnsembleMember:
    """A run with its best checkpoint and the accuracy in its record."""

    folder: RunFolder
    info: ModelInfo
    loaded: LoadedWeights
    val_accuracy: float | None

    @property
    def name(self) -> str:
        return safe_text(self.folder.name)

    @property
    def file(self) -> str:
        return Path(self.loaded.source).name

    def __str__(self) -> str:
        val = self.val_accuracy
        accuracy = "no validation" if val is None else f"val {format_percent(val)}"
        return f"{self.name} ({self.file}), {accuracy}"


def build_ensemble(
    runs_dir: Path,
    load_dataset: Callable[[RunConfig], Dataset],
    folders: Sequence[RunFolder],
    *,
    tta: str | None = None,
    recipe: str = "ensemble",
    device: str = "auto",
    on_progress: OnProgress = ignore_progress,
    on_tick: OnTick = no_op,
) -> RunFolder:
    """Build an ensemble of the runs' best checkpoints and evaluate it on validation and test.

    `tta` is the test-time augmentation, None for that of the members if they agree. `on_tick` is
    called between batches and may raise `Cancelled`. A UserError, one line, says why these runs
    cannot form an ensemble; no run folder exists then."""
    members = _load_members(folders, on_progress, on_tick)
    for first, second in pairwise(members):
        _check_compatible(first, second)
    member_ttas = {member.info.config.tta for member in members}
    common_tta = min(member_ttas) if len(member_ttas) == 1 else "none"
    # It is evaluated on test even if its members are not.
    config = members[0].info.config.changed(
        recipe=recipe, tta=tta or common_tta, device=device, test=True
    )
    info = ModelInfo.for_ensemble(tuple(member.info for member in members), config)
    fp32_device = choose_device(config.changed(precision="fp32"))
    weights = {
        f"{number}.{name}": tensor
        for number, member in enumerate(members)
        for name, tensor in member.loaded.weights.items()
    }
    classifier = Classifier.from_weights(info, weights, fp32_device, "the ensemble")
    on_progress(0, 0, "reading the data")
    dataset = load_dataset(config)
    changes = _check_dataset(members, dataset)
    folder = RunFolder.create(runs_dir, recipe, config.dataset)
    write = partial(write_config, folder, config, fp32_device, _provenance(members))
    with record_run(folder, write) as emit:
        emit(
            replace(
                build_run_started(folder, config, ENSEMBLE, dataset, fp32_device),
                model=info.model,
                parameters=sum(tensor.numel() for tensor in classifier.model.parameters()),
                batch_size=classifier.batch_size,
            )
        )
        notes = [f"member {number}: {member}" for number, member in enumerate(members, 1)]
        notes += changes
        if tta is None and len(member_ttas) > 1:
            notes.append("its members use different test-time augmentation: it uses none")
        for note in notes:
            emit(Alert(time.time(), "note", note))
        for note in (note for member in members for note in member.loaded.notes):
            emit(Alert(time.time(), "warning", note))
        if config.tta != "none" and not all(member.info.config.flip for member in members):
            why = "not every member was trained with flip: mirrored images may mislead it"
            emit(Alert(time.time(), "warning", why))
        checkpoint = _save(folder, classifier, emit)
        splits = [split for split in (dataset.val, dataset.test) if len(split)]
        done, total = 0, sum(map(len, splits))
        for split in splits:
            what = f"evaluating on {split.name}"
            size = classifier.batch_size
            tick = tick_with_progress(on_tick, on_progress, what, len(split), done, total, size)
            evaluate_and_record(classifier, split, checkpoint, folder, emit, on_tick=tick)
            done += len(split)
        on_progress(total, total, "done")
    return folder


def _load_members(
    folders: Sequence[RunFolder], on_progress: OnProgress, on_tick: OnTick
) -> list[EnsembleMember]:
    if not 2 <= len(folders) <= MAX_MEMBERS:
        raise UserError(f"an ensemble has 2 to {MAX_MEMBERS} members, not {len(folders)}")
    paths = [folder.path.resolve() for folder in folders]
    repeated = next((path for path in paths if paths.count(path) > 1), None)
    if repeated is not None:
        raise UserError(f"{safe_text(repeated.name)} is named twice: name every member once")
    members = []
    for number, folder in enumerate(folders):
        on_tick()
        on_progress(number, len(folders), f"reading {folder.name}")
        members.append(_load_member(folder))
    return members


def _load_member(folder: RunFolder) -> EnsembleMember:
    summary = summarise_run(folder)
    if summary.kind == ENSEMBLE:
        raise UserError(
            f"{safe_text(folder.name)} is an ensemble itself: name its members instead"
            f" (`fmnist-tui runs show {safe_text(folder.id)}` lists them)"
        )
    loaded = load_from_run(folder)
    info = ModelInfo.from_payload(loaded.payload, loaded.source)
    accuracy = summary.best_val_accuracy
    if loaded.notes:
        # An older best serves: it has its own accuracy.
        accuracy = loaded.payload.get("best", {}).get("accuracy")
    return EnsembleMember(folder, info, loaded, accuracy)


def _check_compatible(first: EnsembleMember, second: EnsembleMember) -> None:
    """Raise a UserError if the two cannot be members of one ensemble."""
    infos = first.info, second.info
    classes = [info.dataset.classes for info in infos]
    sizes = [f"{info.size}×{info.size}×{info.channels}" for info in infos]
    datasets = [(leakage.dataset_key(info.config), info.config.classes) for info in infos]
    difference = leakage.split_difference(infos[0].config, infos[1].config)
    if classes[0] != classes[1]:
        names = (safe_text(", ".join(each), 60) for each in classes)
        why = f"different classes ({' / '.join(names)})"
    elif sizes[0] != sizes[1]:
        why = f"different image sizes ({' / '.join(sizes)})"
    elif datasets[0] != datasets[1]:
        names = (safe_text(info.config.dataset, 60) for info in infos)
        why = f"trained on different datasets ({' / '.join(names)})"
    elif difference:
        why = f"{difference}: one was trained on validation images of the other"
    else:
        return
    raise UserError(f"{first.name} and {second.name} cannot form an ensemble: {why}")


def _check_dataset(members: Sequence[EnsembleMember], dataset: Dataset) -> list[str]:
    """Raise a UserError if a member was trained on images that the ensemble is evaluated on, or
    for other classes than the dataset has now; returns notes about other changes."""
    name = safe_text(dataset.info.name, 60)
    notes: list[str] = []
    for member in members:
        leakage.check_classes(member.name, member.info, dataset.info)
        notes += leakage.check_images(member.name, member.info, dataset.info, dataset.fingerprint)
        if member.info.data is not None:
            continue
        try:
            predictions = Predictions.load(member.folder.predictions / "val.npz")
        except UserError:
            continue
        if not np.array_equal(predictions.indices, dataset.val.indices) or not np.array_equal(
            predictions.labels, dataset.val.labels
        ):
            raise UserError(
                f"{name} no longer has the validation images that {member.name} was evaluated on"
            )
    return notes


def _provenance(members: Sequence[EnsembleMember]) -> dict[str, str | int | float]:
    """The members with the hashes of their checkpoints, for the ensemble's config.toml."""
    return {
        f"member_{number}": f"{member.folder.name} {member.file} {member.loaded.sha256}"
        for number, member in enumerate(members, 1)
    }


def _save(folder: RunFolder, classifier: Classifier, emit: Emit) -> CheckpointIdentity:
    """Save the ensemble as a best checkpoint."""
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
        raise UserError(f"the ensemble cannot be saved: {format_error(error)}") from error
    emit(checkpoint_saved(manifest))
    return CheckpointIdentity("best", manifest.sha256, 0, 0, manifest.file)
