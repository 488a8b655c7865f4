"""Splits on the device, batch order and normalisation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fmnist_tui.data.dataset import Split
from fmnist_tui.engine.compute.loader import BatchOrder, DeviceSplit, Normalisation
from tests.engine.support import blobs


def test_an_epoch_uses_every_image_once_in_an_order_of_its_own() -> None:
    order = BatchOrder(64, 16, seed=3, device=torch.device("cpu"))
    first, second = order.epoch_indices(0), order.epoch_indices(1)
    assert sorted(first.flatten().tolist()) == list(range(64))
    assert not torch.equal(first, second)
    assert torch.equal(
        first, BatchOrder(64, 16, seed=3, device=torch.device("cpu")).epoch_indices(0)
    )
    assert not torch.equal(
        first, BatchOrder(64, 16, seed=4, device=torch.device("cpu")).epoch_indices(0)
    )


def test_a_batch_size_above_the_image_count_is_reduced_to_it() -> None:
    order = BatchOrder(10, 256, seed=0, device=torch.device("cpu"))
    assert order.left_out == 0
    assert (order.batch_size, order.steps_per_epoch, tuple(order.epoch_indices(0).shape)) == (
        10,
        1,
        (1, 10),
    )


def test_normalisation_uses_the_mean_and_deviation_of_the_training_images() -> None:
    images = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 3)).astype(np.uint8)
    split = Split("train", images, np.zeros(50, np.int64), np.arange(50))
    normalisation = Normalisation.from_split(split)
    assert normalisation.mean == pytest.approx(images.reshape(-1, 3).mean(0), abs=1e-3)
    assert normalisation.std == pytest.approx(images.reshape(-1, 3).std(0), abs=1e-3)
    pixels = DeviceSplit(split, torch.device("cpu")).gather(torch.arange(50))[0].float()
    scaled = normalisation.apply(pixels)
    assert scaled.mean((0, 2, 3)).abs().max() < 1e-3
    assert (scaled.std((0, 2, 3)) - 1).abs().max() < 1e-2


def test_images_on_the_device_equal_the_images_of_the_split() -> None:
    dataset = blobs(20)
    data = DeviceSplit(dataset.train, torch.device("cpu"))
    indices = torch.tensor([5, 2, 11])
    assert torch.equal(
        data.gather(indices)[0][:, 0], torch.from_numpy(dataset.train.images[[5, 2, 11], :, :, 0])
    )
    assert data.gather(indices)[0].is_contiguous(memory_format=torch.channels_last)
