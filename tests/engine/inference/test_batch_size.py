"""How many images are evaluated at once; what they are judged does not depend on it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from fmnist_tui.engine.compute.loader import DeviceSplit, Normalisation
from fmnist_tui.engine.inference import classifier
from fmnist_tui.engine.inference.batch_size import count_images
from fmnist_tui.engine.inference.classifier import predict_logits
from tests.engine.support import blobs, config, make_learner

GB = 10**9


@pytest.mark.parametrize(
    ("side", "gpu_memory", "expected"),
    [
        (28, None, 256),
        (8, None, 3136),
        (64, None, 49),
        (224, None, 4),
        (256, None, 3),
        (28, 8 * GB, 1000),
        (28, 80 * GB, 6228),
        (28, 141 * GB, 8000),
        (256, 80 * GB, 74),
        (28, 1 * GB, 1000),
        (28, 0, 1000),
    ],
)
def test_as_many_images_are_evaluated_at_once_as_have_the_pixels_that_suit_the_device(
    side: int, gpu_memory: int | None, expected: int
) -> None:
    assert count_images(side, gpu_memory) == expected


def test_logits_do_not_depend_on_the_size_of_the_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = blobs(80)
    learner = make_learner(config(model="two-conv", tta="flip+shift"), dataset)
    data = DeviceSplit(dataset.train, torch.device("cpu"))

    def logits(size: int) -> npt.NDArray[np.float32]:
        ticks = []
        monkeypatch.setattr(classifier, "evaluation_batch_size", lambda *_: size)
        parts = predict_logits(
            learner.model, data, learner.info, learner.device, lambda: ticks.append(1)
        )
        assert len(ticks) == -(-80 // size)
        return parts

    whole = logits(1000)
    for size in (80, 33, 7):
        assert logits(size) == pytest.approx(whole, abs=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_normalising_a_copy_gives_the_same_bits_as_in_place_and_leaves_the_images(
    channels: int,
) -> None:
    numbers = np.random.default_rng(0)
    array = numbers.integers(0, 256, (5, 9, 9, channels)).astype(np.uint8)
    images = torch.from_numpy(array).permute(0, 3, 1, 2)
    normalisation = Normalisation((72.94,) * channels, (90.02,) * channels)
    in_place = normalisation.apply(images.float())
    for source in (images, images.float()):
        before = source.clone()
        pixels = normalisation.normalise(source)
        assert torch.equal(pixels, in_place) and pixels.dtype == torch.float32
        assert pixels.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(source, before)
