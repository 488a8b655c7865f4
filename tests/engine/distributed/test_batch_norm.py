"""Batch normalisation over the images of all processes, here of one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import HashStore  # type: ignore[attr-defined]
from torch.utils._python_dispatch import TorchDispatchMode

from fmnist_tui.engine.distributed.batch_norm import share_batch_statistics


@pytest.fixture(autouse=True)
def group() -> Iterator[None]:
    dist.init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


class BackwardCalls(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records with what the kernels of the backward pass are called."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.arguments: list[tuple[Any, ...]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is torch.ops.aten.native_batch_norm_backward.default:
            self.arguments.append(args)
        return func(*args, **(kwargs or {}))


def normalise(layer: nn.BatchNorm2d, images: Tensor) -> list[Tensor]:
    """The output, all gradients and the running statistics after one batch."""
    pixels = images.clone(memory_format=torch.channels_last).requires_grad_()
    output = layer(pixels)
    (output * output.detach().cos()).sum().backward()
    gradients = [pixels.grad, layer.weight.grad, layer.bias.grad]
    running = [layer.running_mean, layer.running_var]
    return [output.detach(), *(tensor for tensor in gradients + running if tensor is not None)]


def test_of_one_process_it_is_plain_batch_normalisation() -> None:
    images = torch.randn(8, 4, 6, 6, dtype=torch.float64)
    plain, shared = (nn.BatchNorm2d(4, dtype=torch.float64) for _ in range(2))
    share_batch_statistics(shared)
    for mine, expected in zip(normalise(shared, images), normalise(plain, images), strict=True):
        torch.testing.assert_close(mine, expected)


def test_the_kernel_of_a_gpu_gets_the_statistics_that_it_needs_for_channels_last_images() -> None:
    layer = nn.BatchNorm2d(4)
    share_batch_statistics(layer)
    with BackwardCalls() as calls:
        normalise(layer, torch.randn(8, 4, 6, 6))
    (arguments,) = calls.arguments
    images, mean, deviation = arguments[1], arguments[5], arguments[6]
    torch.testing.assert_close(mean, images.mean((0, 2, 3)))
    torch.testing.assert_close(deviation, (images.var((0, 2, 3), correction=0) + layer.eps).rsqrt())
