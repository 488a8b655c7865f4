"""Augmentation of batches."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fmnist_tui.config.run_config import RunConfig
from fmnist_tui.engine.compute import augment
from fmnist_tui.engine.compute.augment import Augment, Targets
from fmnist_tui.engine.compute.loader import Normalisation

PLAIN = Normalisation((0.0,), (1.0,))


def _transform(change: dict[str, object], images: Tensor, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    settings = RunConfig.build({"dataset": "sketches", **change})
    return Augment(settings, PLAIN).transform(images)


def test_images_are_unchanged_without_augmentation() -> None:
    images = torch.randint(256, (8, 1, 28, 28), dtype=torch.uint8)
    assert torch.equal(_transform({}, images), images.float())


def test_flip_mirrors_about_half_of_the_images() -> None:
    images = torch.randint(256, (400, 1, 28, 28), dtype=torch.uint8)
    output = _transform({"flip": True}, images)
    same = (output == images).flatten(1).all(1)
    mirrored = (output == images.flip(-1)).flatten(1).all(1)
    assert bool((same ^ mirrored).all())
    assert 150 < int(mirrored.sum()) < 250


@pytest.mark.parametrize(("key", "padding"), [("shift", "constant"), ("crop", "reflect")])
def test_each_image_is_shifted_by_its_own_number_of_whole_pixels(key: str, padding: str) -> None:
    images = torch.randint(1, 256, (200, 1, 28, 28), dtype=torch.uint8)
    output = _transform({key: 2}, images)
    offsets = set()
    for image, shifted in zip(images.float(), output, strict=True):
        padded = F.pad(image, (2, 2, 2, 2), mode=padding)
        matches = {
            (top, left)
            for top in range(5)
            for left in range(5)
            if torch.equal(padded[:, top : top + 28, left : left + 28], shifted)
        }
        assert len(matches) == 1
        offsets |= matches
    assert len(offsets) == 25


def test_rotating_and_scaling_keep_the_centre_and_the_value_range() -> None:
    images = torch.zeros(50, 1, 28, 28, dtype=torch.uint8)
    images[:, :, 9:19, 12:16] = 200
    output = _transform({"rotate": 30.0, "scale": 0.2}, images)
    assert output.min() >= 0 and output.max() <= 200.01
    rows = torch.arange(28.0).view(1, 1, -1, 1)
    centres = (output * rows).sum((1, 2, 3)) / output.sum((1, 2, 3))
    assert (centres - 13.5).abs().max() < 0.3
    assert output.sum((1, 2, 3)).std() > 100, "sizes differ"


def test_erase_fills_one_box_in_the_requested_fraction_of_images() -> None:
    images = torch.zeros(300, 1, 28, 28, dtype=torch.uint8)
    output = _transform({"erase": 0.5}, images)
    touched = output.flatten(1).any(1)
    assert 100 < int(touched.sum()) < 200
    areas = (output[touched] > 0).float().mean((1, 2, 3))
    assert areas.min() > 0.005 and areas.max() < 0.3


def test_mixup_blends_images_and_targets_with_the_same_weight() -> None:
    images = torch.stack([torch.full((1, 8, 8), value) for value in (0, 100)]).to(torch.uint8)
    settings = RunConfig.build({"dataset": "sketches", "mixup": 1.0})
    pixels, targets = Augment(settings, PLAIN)(images, torch.tensor([0, 1]))
    assert targets.weight is not None and targets.mixed_labels is not None
    assert pixels[0].mean() == pytest.approx(100 * (1 - float(targets.weight[0])), rel=1e-4)
    assert targets.mixed_labels.tolist() == [1, 0]


def test_cutmix_weighs_targets_by_the_pixels_it_pasted() -> None:
    images = torch.stack([torch.full((1, 28, 28), value) for value in (0, 100)]).to(torch.uint8)
    settings = RunConfig.build({"dataset": "sketches", "cutmix": 1.0})
    pixels, targets = Augment(settings, PLAIN)(images, torch.tensor([0, 1]))
    assert targets.weight is not None
    assert float((pixels[0] == 0).float().mean()) == pytest.approx(float(targets.weight[0]))


def test_fmix_weighs_targets_by_the_pixels_it_pasted() -> None:
    torch.manual_seed(0)
    images = torch.stack([torch.full((1, 28, 28), value) for value in (0, 100)]).to(torch.uint8)
    settings = RunConfig.build({"dataset": "sketches", "fmix": 1.0})
    pixels, targets = Augment(settings, PLAIN)(images, torch.tensor([0, 1]))
    assert targets.weight is not None and targets.mixed_labels is not None
    assert float((pixels[0] == 0).float().mean()) == pytest.approx(float(targets.weight[0]))
    assert targets.mixed_labels.tolist() == [1, 0]


def test_random_areas_have_the_share_that_was_drawn_and_hang_together() -> None:
    torch.manual_seed(0)
    shares = torch.linspace(0, 1, 51)
    masks = augment.random_areas(shares, 28, 20)
    assert masks.shape == (51, 1, 28, 20) and masks.dtype == torch.bool
    assert torch.allclose(masks.float().mean((1, 2, 3)), shares, atol=0.5 / 560 + 1e-6)
    middle = masks[10:41].float()
    borders = (middle.diff(dim=-1).abs().mean() + middle.diff(dim=-2).abs().mean()) / 2
    assert borders < 0.15, "of single pixels drawn at random, borders are about 0.4"
    assert not torch.equal(masks[25], augment.random_areas(shares, 28, 20)[25])


def test_mixed_targets_weight_both_losses() -> None:
    logits = torch.randn(4, 3)
    first, second = torch.tensor([0, 1, 2, 0]), torch.tensor([1, 1, 0, 2])
    half = Targets(first, second, torch.full((4,), 0.25)).loss(logits)
    expected = 0.25 * F.cross_entropy(logits, first) + 0.75 * F.cross_entropy(logits, second)
    assert half.item() == pytest.approx(expected.item(), rel=1e-5)


def test_augmentation_is_reproducible_for_the_same_generator_state() -> None:
    images = torch.randint(256, (16, 1, 28, 28), dtype=torch.uint8)
    change: dict[str, object] = {"flip": True, "shift": 2, "rotate": 9.0, "erase": 0.5}
    assert torch.equal(_transform(change, images, 5), _transform(change, images, 5))
    assert not torch.equal(_transform(change, images, 5), _transform(change, images, 6))


def test_beta_samples_lie_between_0_and_1() -> None:
    for strength in (0.1, 1.0, 5.0):
        draws = augment.sample_beta(strength, 1000, torch.device("cpu"))
        assert draws.min() >= 0 and draws.max() <= 1
        assert draws.mean() == pytest.approx(0.5, abs=0.06)
