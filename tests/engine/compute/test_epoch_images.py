"""What is drawn once an epoch: alternating flips, and the augmentation of all images at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fmnist_tui.engine.compute.epoch_images import EpochImages
from fmnist_tui.engine.compute.loader import DeviceSplit
from fmnist_tui.engine.inference.classifier import ModelInfo
from fmnist_tui.engine.run.training_handle import Inbox
from fmnist_tui.engine.training import lr_finder
from fmnist_tui.protocol.events import Event
from fmnist_tui.protocol.lr_curve import RateRange
from tests.engine.support import blobs, config, make_learner
from tests.engine.training.test_resume import train_with_stops

COUNT = 60
ALL = torch.arange(COUNT)
DATASET = blobs(COUNT)
IMAGES = torch.from_numpy(DATASET.train.images).permute(0, 3, 1, 2)
ONCE: dict[str, Any] = {"augment_once": True, "flip": True, "shift": 2, "erase": 0.5}


def epoch_images(**values: Any) -> EpochImages:
    settings = config(**values)
    info = ModelInfo.from_dataset(settings, DATASET)
    return EpochImages(
        DeviceSplit(DATASET.train, torch.device("cpu")), settings, info.normalisation
    )


def in_epoch(images: EpochImages, epoch: int) -> Tensor:
    images.begin(epoch)
    return images.gather(ALL)[0].clone()


@pytest.mark.parametrize("once", [False, True])
def test_alternating_flips_show_every_image_once_each_way_in_two_epochs(once: bool) -> None:
    images = epoch_images(flip=True, alternate_flip=True, augment_once=once)
    first, second, third = (in_epoch(images, epoch) for epoch in range(3))
    is_mirrored = (first == IMAGES.flip(-1)).flatten(1).all(1)
    assert COUNT / 4 < int(is_mirrored.sum()) < 3 * COUNT / 4
    assert torch.equal(first[~is_mirrored], IMAGES[~is_mirrored])
    assert torch.equal(second, first.flip(-1))
    assert torch.equal(third, first)


def test_alternating_flips_are_the_only_ones_of_a_step() -> None:
    learner = make_learner(config(flip=True, alternate_flip=True), DATASET)
    learner.begin_epoch()
    step = learner.make_step()
    pixels, _ = step.augment(*step.data.gather(ALL))
    expected = learner.info.normalisation.apply(learner.images.gather(ALL)[0].float())
    assert torch.equal(pixels, expected)


def test_images_augmented_once_are_drawn_anew_each_epoch_from_seed_and_epoch_alone() -> None:
    images = epoch_images(**ONCE)
    first, second = in_epoch(images, 0), in_epoch(images, 1)
    assert first.dtype == torch.uint8 and first.shape == IMAGES.shape
    assert not torch.equal(first, second) and not torch.equal(first, IMAGES)
    torch.manual_seed(123)
    assert torch.equal(in_epoch(epoch_images(**ONCE), 1), second)
    assert not torch.equal(in_epoch(epoch_images(**ONCE, seed=1), 1), second)


def test_images_augmented_once_are_not_augmented_again_by_a_step() -> None:
    learner = make_learner(config(**ONCE), DATASET)
    learner.begin_epoch()
    step = learner.make_step()
    images, labels = step.data.gather(ALL)
    pixels, _ = step.augment(images, labels)
    assert torch.equal(pixels, learner.info.normalisation.apply(images.float()))


def test_augmenting_at_once_leaves_the_generators_of_the_run_as_they_are() -> None:
    images = epoch_images(**ONCE)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    images.begin(0)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize(
    "settings",
    [
        {**ONCE, "mixup": 0.0, "fmix": 1.0},
        {"flip": True, "alternate_flip": True, "lookahead": 3, "ema": 0.9},
    ],
    ids=["once", "alternating"],
)
def test_a_run_stopped_in_the_middle_of_an_epoch_ends_with_the_same_weights(
    tmp_path: Path, settings: dict[str, Any]
) -> None:
    expected = train_with_stops(tmp_path / "uninterrupted", [], **settings)
    assert train_with_stops(tmp_path / "cut", [2, 7, 12], **settings) == expected


def test_a_search_for_the_rate_sees_the_augmented_images_of_its_epoch() -> None:
    learner = make_learner(config(**ONCE, batch_size=8), DATASET)
    events: list[Event] = []
    commands = lr_finder.PendingCommands(Inbox(), lambda: None)
    lr_finder.search(learner, RateRange(1e-3, 1e-1, 20), events.append, commands)
    assert torch.equal(learner.images.gather(ALL)[0], in_epoch(epoch_images(**ONCE), 0))
