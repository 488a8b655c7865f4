"""Batch normalisation over the images of all processes, on any device.

Torch's own, `SyncBatchNorm`, exists for GPUs only and waits for the device in every layer. This one
computes with the kernels of plain batch normalisation and shares the sums over the batch. All
processes have the same number of images.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def share_batch_statistics(model: nn.Module) -> None:
    """Have each layer that normalises by its batch use the batch of all processes; not those that
    are kept in evaluation mode. Weights, names and classes stay as they are."""
    for module in model.modules():
        if isinstance(module, _BatchNorm) and module.training:
            # On the instance, not the class: evaluation elsewhere is not concerned.
            module.forward = partial(_forward, module)  # type: ignore[method-assign]


def _forward(module: _BatchNorm, pixels: Tensor) -> Tensor:
    if not module.training:
        result: Tensor = type(module).forward(module, pixels)
        return result
    result, mean, variance = _BatchNormOfAll.apply(pixels, module.weight, module.bias, module.eps)
    if module.track_running_stats and module.running_mean is not None:
        _track(module, mean, variance, _count(pixels))
    return result


def _count(pixels: Tensor) -> int:
    """How many values each channel has in the batches of all processes."""
    return pixels.numel() // pixels.shape[1] * dist.get_world_size()


@torch.no_grad()
def _track(module: _BatchNorm, mean: Tensor, variance: Tensor, count: int) -> None:
    """Move the running statistics towards those of the batch."""
    assert module.running_mean is not None and module.running_var is not None
    assert module.num_batches_tracked is not None
    module.num_batches_tracked.add_(1)
    factor: float | Tensor
    factor = module.momentum if module.momentum is not None else 1 / module.num_batches_tracked
    module.running_mean.lerp_(mean, factor)
    module.running_var.lerp_(variance * (count / max(1, count - 1)), factor)


class _BatchNormOfAll(torch.autograd.Function):
    """Returns the normalised batch, and the mean and variance of each channel."""

    @staticmethod
    def forward(
        context: Any,
        pixels: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        eps: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        dimensions = [0, *range(2, pixels.ndim)]
        precise = pixels.to(torch.promote_types(pixels.dtype, torch.float32))
        variance, mean = torch.var_mean(precise, dimensions, correction=0)
        own = torch.stack([mean, variance])
        parts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, own)
        means, variances = torch.stack(parts, 1)
        mean = means.mean(0)
        variance = variances.mean(0) + (means - mean).square().mean(0)
        context.save_for_backward(pixels, weight, mean, variance)
        context.eps = eps
        result = F.batch_norm(pixels, mean, variance, weight, bias, training=False, eps=eps)
        context.mark_non_differentiable(mean, variance)
        return result, mean, variance

    @staticmethod
    def backward(context: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        pixels, weight, mean, variance = context.saved_tensors
        scale = (variance + context.eps).rsqrt()
        # As if mean and variance were constants; what is missing is what depends on them. A GPU
        # takes them from the two arguments after these, which it needs for channels-last images.
        own, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            gradient,
            pixels,
            weight,
            mean,
            variance,
            mean,
            scale,
            False,
            context.eps,
            [True, True, True],
        )
        sums = torch.stack([of_weight, of_bias]).to(mean.dtype)
        dist.all_reduce(sums)
        mean_of_weight, mean_of_bias = sums / _count(pixels)
        factor = scale if weight is None else scale * weight
        slope = factor * scale * mean_of_weight
        offset = factor * mean_of_bias - slope * mean
        shape = [1, -1, *[1] * (pixels.ndim - 2)]
        own.sub_(pixels * slope.view(shape)).sub_(offset.view(shape))
        needs = context.needs_input_grad
        return own, of_weight if needs[1] else None, of_bias if needs[2] else None, None
