"""Small jobs of a session: drawings, augmented images, the weights of a live run."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.checkpoints.checkpoint import CheckpointStore
from fmnist_tui.engine.device import choose_device
from fmnist_tui.engine.inference.classifier import Classifier
from fmnist_tui.engine.session.session import Session
from fmnist_tui.protocol.events import Evaluated, Progress
from fmnist_tui.runs.folder import RunFolder
from fmnist_tui.runs.jsonl_reader import EventReader
from fmnist_tui.util.errors import UserError
from tests.engine import support
from tests.engine.support import FOREVER, PATIENCE, Listener, blobs, config, digest

Pixels = npt.NDArray[np.uint8]
AUGMENTED: dict[str, Any] = {
    "flip": True,
    "shift": 3,
    "rotate": 20.0,
    "scale": 0.2,
    "erase": 0.9,
    "mixup": 0.4,
}


def make_images(count: int = 6, size: int = 28, channels: int = 1) -> Pixels:
    random = np.random.default_rng(0)
    return random.integers(0, 256, (count, size, size, channels)).astype(np.uint8)


def drawing() -> Pixels:
    """A light T on a dark background."""
    pad = np.zeros((56, 56), np.uint8)
    pad[10:16, 8:48] = 255
    pad[16:48, 22:34] = 255
    return pad


def train(session: Session, **values: Any) -> RunFolder:
    return support.train(session, config(**values))


def random_states() -> tuple[bytes, ...]:
    """The states of all default random_states, and the next numbers of numpy's and Python's."""
    import pickle
    import random

    states = [torch.get_rng_state().numpy().tobytes()]
    if torch.cuda.is_available():
        states.append(torch.cuda.get_rng_state().numpy().tobytes())
    return (*states, pickle.dumps(random.getstate()), pickle.dumps(np.random.get_state()))


# -- augmented -------------------------------------------------------------------------


def augment(session: Session, settings: RunConfig, images: Pixels, seed: int = 0) -> Pixels:
    return session.augment(settings, images, seed).result(PATIENCE)


def test_augmented_images_keep_shape_and_type(session: Session) -> None:
    for images in (make_images(), make_images(1), make_images(3, 32, 3), make_images(4)[:, ::-1]):
        augmented = augment(session, config(**AUGMENTED), images)
        assert augmented.shape == images.shape and augmented.dtype == np.uint8
        assert not np.array_equal(augmented, images)


def test_augmentation_depends_on_the_seed(session: Session) -> None:
    settings, images = config(**AUGMENTED), make_images()
    first, again, other = (augment(session, settings, images, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_without_augmentation_images_are_unchanged(session: Session) -> None:
    assert np.array_equal(augment(session, config(), make_images()), make_images())


@pytest.mark.parametrize("setting", ["mixup", "cutmix"])
def test_images_are_mixed_with_each_other_and_a_single_one_is_not(
    session: Session, setting: str
) -> None:
    settings = config(**{setting: 5.0})
    black_and_white = np.zeros((2, 28, 28, 1), np.uint8)
    black_and_white[1] = 255
    augmented = augment(session, settings, black_and_white)
    assert augmented[0].max() > 0 and augmented[1].min() < 255
    assert np.array_equal(augment(session, settings, make_images(1)), make_images(1))


def test_augmenting_images_leaves_random_generators_unchanged(session: Session) -> None:
    before = session.submit(lambda _: random_states()).result(PATIENCE)
    augment(session, config(**AUGMENTED), make_images())
    assert session.submit(lambda _: random_states()).result(PATIENCE) == before


def test_augmenting_and_classifying_do_not_change_a_training(
    session: Session,
) -> None:
    settings = {"epochs": 30, "model": "custom-cnn", "width": 0.1, "dropout": 0.3, "shift": 2}
    quiet = train(session, **settings)
    training = session.train(config(**settings))
    jobs = 0
    while not training.is_done:
        augment(session, config(**AUGMENTED), make_images(), jobs)
        session.classify(quiet.path, drawing()).result(PATIENCE)
        jobs += 1
    assert training.folder is not None and jobs > 3
    weights = [
        digest(CheckpointStore(folder.checkpoints).load("last")[0]["model"])
        for folder in (quiet, training.folder)
    ]
    assert weights[0] == weights[1]


# -- classify --------------------------------------------------------------------------


@pytest.mark.parametrize("colours", [False, True])
def test_a_drawing_is_classified_like_the_same_image_in_a_file(
    session: Session, tmp_path: Path, colours: bool
) -> None:
    folder = train(session, epochs=2)
    pad = np.repeat(drawing()[..., None], 3, axis=2) if colours else drawing()
    Image.fromarray(pad).save(tmp_path / "pad.png")
    from_drawing = session.classify(folder.path, pad).result(PATIENCE)
    from_file = session.predict(folder.path, [tmp_path / "pad.png"]).result(PATIENCE)[0]
    assert (from_drawing.ranked, str(from_drawing.file), from_drawing.error) == (
        from_file.ranked,
        "drawing",
        "",
    )
    assert from_drawing.prepared is not None and from_drawing.prepared.image.shape == (28, 28, 1)


@pytest.mark.parametrize("pad", [np.zeros((5, 5, 2), np.uint8), np.zeros((0, 5), np.uint8)])
def test_an_invalid_drawing_is_refused_in_one_line(session: Session, pad: Pixels) -> None:
    folder = train(session, epochs=1)
    with pytest.raises(UserError, match="cannot be classified") as caught:
        session.classify(folder.path, pad).result(PATIENCE)
    assert "\n" not in str(caught.value)


def test_a_classifier_is_cached_until_there_is_a_new_checkpoint(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = train(session, epochs=2)
    built: list[str] = []
    plain = Classifier.from_weights

    def fitted(about: Any, weights: object, device: Any, where: str) -> Classifier:
        built.append(Path(where).name)
        return plain(about, weights, device, where)

    monkeypatch.setattr(Classifier, "from_weights", fitted)
    before = [session.classify(folder.path, drawing()).result(PATIENCE) for _ in range(3)]
    assert len(built) == 1
    store = CheckpointStore(folder.checkpoints)
    payload, manifest, _ = store.load("best")
    payload["weights"] = {name: -tensor for name, tensor in payload["weights"].items()}
    saved = store.save("best", payload, manifest.step + 1, manifest.epoch)
    after = session.classify(folder.path, drawing()).result(PATIENCE)
    assert built[1:] == [saved.file]
    assert after.label != before[-1].label


def test_a_model_file_is_not_read_again_for_every_drawing(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fmnist_tui.engine.checkpoints import weights_source

    folder = train(session, epochs=1)
    exported = tmp_path / "model.pt"
    exported.write_bytes(next(folder.checkpoints.glob("best-*.pt")).read_bytes())
    read: list[Path] = []
    plain = weights_source._load_untrusted

    def load(path: Path) -> weights_source.LoadedWeights:
        read.append(path)
        return plain(path)

    monkeypatch.setattr(weights_source, "_load_untrusted", load)
    answers = [session.classify(exported, drawing()).result(PATIENCE) for _ in range(3)]
    assert read == [exported]
    assert answers[0].ranked == answers[2].ranked


# -- a live run ------------------------------------------------------------------------


def test_before_the_first_validation_the_last_checkpoint_is_used(session: Session) -> None:
    folder = train(session, epochs=1)
    for path in folder.checkpoints.glob("best-*"):
        path.unlink()
    assert session.classify(folder.path, drawing()).result(PATIENCE).ranked


def test_a_run_without_a_checkpoint_is_refused_in_one_line(session: Session) -> None:
    folder = RunFolder.create(session.runs_dir, "new", "blobs")
    for future in (session.classify(folder.path, drawing()), session.predict(folder.path, [])):
        with pytest.raises(UserError, match="no checkpoint yet") as caught:
            future.result(PATIENCE)
        assert "\n" not in str(caught.value) and folder.name in str(caught.value)


def test_evaluating_a_live_run_does_not_write_to_its_events(session: Session) -> None:
    training = session.train(config(epochs=FOREVER))
    listener = Listener(training)
    listener.wait_for(Progress)
    while training.folder is None or not list(training.folder.checkpoints.glob("best-*.json")):
        time.sleep(0.01)
    verdict = session.evaluate(training.folder, "val").result(PATIENCE)
    assert not training.is_done
    assert verdict.checkpoint == "best"
    assert verdict.predictions.logits.shape == (16, 4)
    assert verdict.evaluation == verdict.predictions.evaluation()
    assert verdict.evaluation.count == sum(map(sum, verdict.evaluation.confusion)) == 16
    training.stop()
    listener.wait_for_end()
    events = EventReader(training.folder.events).read()
    assert events == listener.events
    assert not [event for event in events if isinstance(event, Evaluated)]
    assert not list(training.folder.predictions.iterdir())


def test_a_training_gives_access_to_its_dataset(session: Session) -> None:
    training = session.train(config(epochs=1))
    assert training.dataset is None or len(training.dataset.val)
    Listener(training).wait_for_end()
    assert training.dataset is not None
    assert np.array_equal(training.dataset.val.images, blobs(64).val.images)


# -- sharing the thread ----------------------------------------------------------------


def test_small_jobs_do_not_starve_a_training(session: Session) -> None:
    training = session.train(config(epochs=FOREVER))
    listener = Listener(training)
    listener.wait_for(Progress)
    steps: list[int] = []

    def slow(_: object) -> None:
        time.sleep(0.15)
        steps.append(max(e.step for e in listener.drain() if isinstance(e, Progress)))

    for future in [session.submit(slow) for _ in range(6)]:
        future.result(PATIENCE)
    assert len(set(steps)) > 1, "it trained in between"
    training.stop()
    listener.wait_for_end()


def test_a_thread_count_changed_by_a_small_job_is_restored(session: Session) -> None:
    training = session.train(config(epochs=FOREVER, threads=1))
    listener = Listener(training)
    listener.wait_for(Progress)
    threads: Callable[[object], int] = lambda _: torch.get_num_threads()  # noqa: E731
    assert session.submit(threads).result(PATIENCE) == 1
    session.submit(lambda _: torch.set_num_threads(2)).result(PATIENCE)
    since = time.time()
    while listener.wait_for(Progress).t < since:
        listener.events.clear()
    assert session.submit(threads).result(PATIENCE) == 1
    training.stop()
    listener.wait_for_end()


def test_a_device_restores_the_thread_count() -> None:
    counts: list[int] = []

    def work() -> None:
        device = choose_device(config(threads=1))
        torch.set_num_threads(2)
        device.apply_to_thread()
        counts.append(torch.get_num_threads())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert counts == [1]
