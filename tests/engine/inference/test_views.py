"""Test-time augmentation: which views of an image are averaged."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fmnist_tui.engine.device import choose_device
from fmnist_tui.engine.inference import classifier
from fmnist_tui.engine.inference.classifier import forward_views
from tests.engine.support import config


class _Counting(nn.Linear):
    """A linear network that counts the images that it has classified."""

    def __init__(self) -> None:
        super().__init__(64, 3)
        self.count = 0

    def forward(self, x: Tensor) -> Tensor:
        self.count += len(x)
        return super().forward(x.flatten(1))


def _classify(tta: str, pixels: Tensor, **values: Any) -> tuple[Tensor, int]:
    torch.manual_seed(0)
    network = _Counting()
    with torch.no_grad():
        logits = forward_views(network, pixels, tta, choose_device(config()), **values)
    return logits, network.count


def test_selective_views_look_longer_only_at_unsure_images() -> None:
    torch.manual_seed(1)
    pixels = torch.randn(40, 1, 8, 8) * 20
    few, most = _classify("flip", pixels)[0], _classify("flip+shift", pixels)[0]
    first, second = few.exp().topk(2, 1).values.unbind(1)
    unsure = second > classifier.UNSURE * first
    assert 5 < int(unsure.sum()) < 35
    expected = torch.where(unsure.view(-1, 1), most, few)
    selective, count = _classify("selective", pixels)
    torch.testing.assert_close(selective, expected)
    assert count == 2 * 40 + 4 * int(unsure.sum())
    whole, count = _classify("selective", pixels, all_views=True)
    torch.testing.assert_close(whole, expected)
    assert count == 6 * 40


def test_selective_views_of_images_that_are_all_sure_are_two() -> None:
    pixels = torch.randn(1, 1, 8, 8).repeat(2, 1, 1, 1) * 1000
    pixels = pixels + pixels.flip(-1)
    assert _classify("selective", pixels)[1] == 2 * 2
