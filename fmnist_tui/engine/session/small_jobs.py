"""Small jobs of a session: predict, evaluate, augment, build an ensemble, export.

Classifiers are cached between jobs.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from fmnist_tui.config.dataset_catalog import SPLITS
from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.data.dataset import Dataset
from fmnist_tui.data.load import load_dataset_for
from fmnist_tui.engine.checkpoints import weights_source
from fmnist_tui.engine.checkpoints.weights_source import LoadedWeights
from fmnist_tui.engine.compute.augment import Augment
from fmnist_tui.engine.compute.loader import Normalisation
from fmnist_tui.engine.device import choose_device
from fmnist_tui.engine.ensembles.build_ensemble import build_ensemble
from fmnist_tui.engine.export import export, metadata
from fmnist_tui.engine.export.export import Exported
from fmnist_tui.engine.export.export_request import ExportRequest
from fmnist_tui.engine.inference.classifier import Classifier, ModelInfo, OnTick, no_op
from fmnist_tui.engine.inference.evaluate import SplitEvaluation, evaluate_split
from fmnist_tui.engine.inference.predict import Prediction, predict_drawing, predict_file
from fmnist_tui.engine.run import failures
from fmnist_tui.engine.run.run_record import save_predictions
from fmnist_tui.engine.training import leakage
from fmnist_tui.protocol.events import Alert, Event
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import replay
from fmnist_tui.runs.lock import RunLock
from fmnist_tui.runs.log import EventLog
from fmnist_tui.util.errors import UserError, did_you_mean, format_error
from fmnist_tui.util.progress import OnProgress

CACHE_SIZE = 4
Key = TypeVar("Key")
Value = TypeVar("Value")


class SmallJobs:
    """Runs small jobs. Used by one thread, the session's."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._classifiers: OrderedDict[tuple[str, str, str], Classifier] = OrderedDict()

    def predict(self, source: Path, files: list[Path], device: str) -> list[Prediction]:
        classifier = self._current_classifier(source, device)
        return [predict_file(classifier, file) for file in files]

    def classify(self, source: Path, drawing: npt.NDArray[np.uint8], device: str) -> Prediction:
        return predict_drawing(self._current_classifier(source, device), drawing)

    def augment(
        self, config: RunConfig, images: npt.NDArray[np.uint8], seed: int
    ) -> npt.NDArray[np.uint8]:
        """The images under a config's augmentation.

        Runs on the CPU; the state of the random generators, which a training uses too, is
        restored afterwards."""
        # One batch shows what several epochs make of its images.
        augment = Augment(config.changed(alternate_flip=False), Normalisation((0.0,), (1.0,)))
        batch = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            augmented: npt.NDArray[np.uint8] = augment.preview(batch).permute(0, 2, 3, 1).numpy()
        return np.ascontiguousarray(augmented)

    def evaluate(
        self, folder: RunFolder, split_name: str, checkpoint: str, device: str
    ) -> SplitEvaluation:
        """Evaluate a run's checkpoint on a split of the run's dataset."""
        if split_name not in SPLITS:
            raise UserError(f"unknown split {split_name!r}{did_you_mean(split_name, SPLITS)}")
        loaded = weights_source.load_from_run(folder, checkpoint)
        has_info = "about" in loaded.payload
        described = loaded if has_info else weights_source.load_from_run(folder, "last")
        info = ModelInfo.from_payload(described.payload, described.source)
        key = (loaded.source, loaded.sha256 or str(time.monotonic_ns()), device)
        classifier = self._classifier(key, lambda: (loaded, info))
        dataset = self._dataset(info.config)
        split = dataset.split(split_name)
        if not len(split):
            raise UserError(f"{folder.name} has no {split_name} split (val_fraction is 0)")
        file, judged = Path(loaded.source).name, {split_name} - {"train"}
        leakage.check_classes(file, info, dataset.info)
        changes = leakage.check_images(file, info, dataset.info, dataset.fingerprint, judged)
        evaluation = evaluate_split(classifier, split, loaded.identity)
        notes = (*loaded.notes, *changes)
        record: list[Event] = [*_alerts("warning", notes), evaluation.to_event()]
        unrecorded = _add_to_record(folder, record, partial(save_predictions, folder, evaluation))
        return replace(evaluation, notes=(*notes, *unrecorded))

    def build_ensemble(
        self, runs_dir: Path, members: Sequence[RunFolder], **options: Any
    ) -> RunFolder:
        """Build an ensemble of the runs' best checkpoints; returns its run folder."""
        return build_ensemble(runs_dir, self._dataset, members, **options)

    def export(
        self, source: Path, request: ExportRequest, *, on_progress: OnProgress, on_tick: OnTick
    ) -> Exported:
        """Export the model of a run folder or model file."""
        request.validate()
        run = RunFolder.open(source) if source.is_dir() else None
        loaded = weights_source.load(source)
        info = ModelInfo.from_payload(loaded.payload, loaded.source)
        key = (loaded.source, loaded.sha256 or weights_source.fingerprint(source), "cpu")
        classifier = self._classifier(key, lambda: (loaded, info))
        split, notes = None, loaded.notes
        if request.check:
            dataset = self._dataset(info.config)
            split, data = dataset.test, dataset.fingerprint
            # Whether the labels are the same is no figure: images that were trained on will do.
            file = Path(loaded.source).name
            notes += leakage.check_images(file, info, dataset.info, data, judged=())
        test = replay(run.events).evaluation("test") if run else None
        facts = metadata.build_facts(classifier, loaded, run.name if run else source.name, test)
        exported = export.export(
            classifier, facts, request, split, on_progress=on_progress, on_tick=on_tick
        )
        exported = replace(exported, notes=notes)
        if run is not None:
            record = [*_alerts("warning", notes), *_alerts("note", [str(exported)])]
            exported = replace(exported, notes=(*notes, *_add_to_record(run, record)))
        return exported

    def _current_classifier(self, source: Path, device: str) -> Classifier:
        """The classifier of a run folder or model file, loaded again if that has changed."""

        def load() -> tuple[LoadedWeights, ModelInfo]:
            loaded = weights_source.load(source)
            return loaded, ModelInfo.from_payload(loaded.payload, loaded.source)

        return self._classifier((str(source), weights_source.fingerprint(source), device), load)

    def _classifier(
        self, key: tuple[str, str, str], load: Callable[[], tuple[LoadedWeights, ModelInfo]]
    ) -> Classifier:
        # A classifier that was loaded earlier may be on a GPU that has failed since.
        failures.require_gpu(key[2])

        def build() -> Classifier:
            loaded, info = load()
            device = choose_device(info.config.changed(device=key[2], precision="auto"))
            classifier = Classifier.from_weights(info, loaded.weights, device, loaded.source)
            classifier.notes = loaded.notes
            return classifier

        return _cached(self._classifiers, key, build)

    def _dataset(self, config: RunConfig) -> Dataset:
        return load_dataset_for(config.changed(limit=None), self._data_dir)


def _alerts(level: str, messages: Iterable[str]) -> list[Alert]:
    return [Alert(time.time(), level, message) for message in messages]


def _add_to_record(
    folder: RunFolder, events: Sequence[Event], save: Callable[[], None] = no_op
) -> tuple[str, ...]:
    """Append events to the record of a run that has ended, then call `save`.

    Returns a note if another process trains the run or the record cannot be written."""
    try:
        with RunLock.acquire(folder.path):
            log = EventLog(folder.events)
            for event in events:
                log.append(event)
            why = log.close()
            if not why:
                save()
    except (UserError, OSError) as error:
        why = format_error(error)
    return (f"not recorded in the run: {why}",) if why else ()


def _cached(cache: OrderedDict[Key, Value], key: Key, build: Callable[[], Value]) -> Value:
    """The cached value, built if missing; the least recently used one is dropped."""
    if key not in cache:
        cache[key] = build()
        while len(cache) > CACHE_SIZE:
            cache.popitem(last=False)
    cache.move_to_end(key)
    return cache[key]
