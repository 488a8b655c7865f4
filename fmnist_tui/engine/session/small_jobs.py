"""What the session's thread keeps at hand between small jobs: data sets and classifiers."""

from __future__ import annotations

import contextlib
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

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
from fmnist_tui.engine.ensembles import build_ensemble as ensemble
from fmnist_tui.engine.export import export, metadata
from fmnist_tui.engine.export.export import Exported
from fmnist_tui.engine.export.export_request import ExportRequest
from fmnist_tui.engine.inference.classifier import Classifier, ModelInfo, OnTick, no_op
from fmnist_tui.engine.inference.evaluate import SplitEvaluation, evaluate_split
from fmnist_tui.engine.inference.predict import Prediction, predict_drawing, predict_file
from fmnist_tui.protocol.events import Alert, Event
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import replay
from fmnist_tui.runs.lock import RunLock
from fmnist_tui.runs.log import EventLog
from fmnist_tui.util.errors import UserError, did_you_mean
from fmnist_tui.util.progress import OnProgress

KEPT = 4
Key = TypeVar("Key")
Value = TypeVar("Value")


class SmallJobs:
    """Answers small jobs. Used by one thread, the session's."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._classifiers: OrderedDict[tuple[str, str, str], Classifier] = OrderedDict()
        self._datasets: OrderedDict[str, Dataset] = OrderedDict()

    def predict(self, source: Path, files: list[Path], device: str) -> list[Prediction]:
        """Classify picture files with a run folder's best checkpoint or a model file."""
        classifier = self._newest(source, device)
        return [predict_file(classifier, file) for file in files]

    def classify(self, source: Path, picture: npt.NDArray[np.uint8], device: str) -> Prediction:
        """Classify a drawing with a run folder's best checkpoint or a model file."""
        return predict_drawing(self._newest(source, device), picture)

    def augmented(
        self, config: RunConfig, images: npt.NDArray[np.uint8], seed: int
    ) -> npt.NDArray[np.uint8]:
        """The images as a model is shown them under a config's augmentation.

        All on the CPU and by a generator state of its own: those that a training draws
        from are afterwards what they were."""
        augment = Augment(config, Normalisation((0.0,), (1.0,)))
        batch = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            shown: npt.NDArray[np.uint8] = augment.preview(batch).permute(0, 2, 3, 1).numpy()
        return np.ascontiguousarray(shown)

    def evaluate(
        self, folder: RunFolder, split: str, checkpoint: str, device: str
    ) -> SplitEvaluation:
        """Judge a run's checkpoint on a split of the run's data."""
        if split not in SPLITS:
            raise UserError(f"split {split!r} is not known{did_you_mean(split, SPLITS)}")
        found = weights_source.load_from_run(folder, checkpoint)
        own = (
            weights_source.load_from_run(folder, "last") if "about" not in found.payload else found
        )
        about = ModelInfo.from_dict(own.payload.get("about"), own.source)
        key = (found.source, found.sha256 or str(time.monotonic_ns()), device)
        classifier = self._classifier(key, lambda: (found, about))
        chosen = self._dataset(about.config).split(split)
        if not len(chosen):
            raise UserError(f"{folder.path.name} has no {split} split (val_fraction is 0)")
        verdict = evaluate_split(classifier, chosen, found.name, found.step, found.epoch)
        _record(folder, verdict.to_event(), partial(_keep, folder, verdict))
        return verdict

    def ensemble(
        self,
        runs_dir: Path,
        members: Sequence[RunFolder],
        *,
        tta: str | None,
        recipe: str,
        device: str,
        tell: OnProgress,
        pulse: OnTick,
    ) -> RunFolder:
        """Make an ensemble of the runs' best checkpoints; gives its own run folder."""
        return ensemble.build(
            runs_dir,
            self._dataset,
            members,
            tta=tta,
            recipe=recipe,
            device=device,
            tell=tell,
            pulse=pulse,
        )

    def export(
        self, source: Path, wanted: ExportRequest, *, tell: OnProgress, pulse: OnTick
    ) -> Exported:
        """Take what a run folder or a model file holds away as a file of another kind."""
        wanted.possible()
        run = RunFolder.open(source) if source.is_dir() else None
        found = weights_source.load_from_run(run) if run else weights_source.load_from_file(source)
        about = ModelInfo.from_dict(found.payload.get("about"), found.source)
        key = (found.source, found.sha256 or weights_source.fingerprint(source), "cpu")
        classifier = self._classifier(key, lambda: (found, about))
        split = self._dataset(about.config).test if wanted.check else None
        tested = replay(run.events).evaluation("test") if run else None
        if tested is not None and tested.step != found.step:
            tested = None
        told = metadata.facts(classifier, found, run.name if run else source.name, tested)
        done = export.export(classifier, told, wanted, split, tell=tell, pulse=pulse)
        if run is not None:
            _record(run, Alert(time.time(), "note", str(done)))
        return done

    def _newest(self, source: Path, device: str) -> Classifier:
        """What a run folder or a model file holds at this moment, made anew if that changed."""

        def find() -> tuple[LoadedWeights, ModelInfo]:
            is_run = source.is_dir()
            found = (
                weights_source.load_from_run(RunFolder.open(source))
                if is_run
                else weights_source.load_from_file(source)
            )
            return found, ModelInfo.from_dict(found.payload.get("about"), found.source)

        return self._classifier((str(source), weights_source.fingerprint(source), device), find)

    def _classifier(
        self, key: tuple[str, str, str], find: Callable[[], tuple[LoadedWeights, ModelInfo]]
    ) -> Classifier:
        def make() -> Classifier:
            found, about = find()
            machine = choose_device(about.config.changed(device=key[2], precision="auto"))
            return Classifier.from_weights(
                about, found.payload.get("weights"), machine, found.source
            )

        return _kept(self._classifiers, key, make)

    def _dataset(self, config: RunConfig) -> Dataset:
        parts = ("dataset", "val_fraction", "split_seed", "classes", "input_size", "colour")
        key = repr([getattr(config, part) for part in parts])

        def make() -> Dataset:
            return load_dataset_for(config.changed(limit=None), self._data_dir)

        return _kept(self._datasets, key, make)


def _record(folder: RunFolder, event: Event, keep: Callable[[], None] = no_op) -> None:
    """Add to a run's record what was found out afterwards, and `keep` what goes with it.

    The record of a run that another process is training is that process's alone, and one
    that cannot be written is no reason to withhold what was found.
    """
    with contextlib.suppress(UserError, OSError), RunLock.acquire(folder.path):
        log = EventLog(folder.events)
        log.append(event)
        log.close()
        keep()


def _keep(folder: RunFolder, verdict: SplitEvaluation) -> None:
    """Keep a verdict's predictions with its run, by split and checkpoint."""
    stem = verdict.predictions.split
    if verdict.checkpoint != "best":
        stem = f"{stem}-{Path(verdict.checkpoint).stem}"
    verdict.predictions.save(folder.predictions / f"{stem}.npz")


def _kept(shelf: OrderedDict[Key, Value], key: Key, make: Callable[[], Value]) -> Value:
    """The value on the shelf, made if it is not there; the longest unused goes."""
    if key not in shelf:
        shelf[key] = make()
        while len(shelf) > KEPT:
            shelf.popitem(last=False)
    shelf.move_to_end(key)
    return shelf[key]
