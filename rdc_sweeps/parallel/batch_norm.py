"""Batch normalisation over the batch of all processes (Ioffe & Szegedy 2015), on CPUs and GPUs.

torch's own SyncBatchNorm takes GPU tensors only, and the tests compare several processes with one on CPUs, in double
precision. Using it on GPUs would mean a second implementation, with other rounding, that these tests do not cover. This
one also accepts an empty part of the batch and keeps the class and the parameter names of each layer, timm's included.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode

from rdc_sweeps.parallel.world import World


def share_batch_norms(module: nn.Module, world: World) -> None:
    """Make every batch norm in `module` use the statistics of all processes in training mode.

    Parameters, buffers and their names do not change. Only a layer's call of `F.batch_norm` is replaced, so layers that
    do more (timm's include an activation) keep doing it. Every process must call the layers in the same order; its part
    of the batch may be empty.
    """
    if world.size == 1:
        return
    for layer in module.modules():
        if isinstance(layer, _BatchNorm):
            shared = partial(_forward, _SharedStatistics(world), layer.forward)
            layer.forward = shared  # type: ignore[method-assign]


def _forward(mode: "_SharedStatistics", forward: Callable[[Tensor], Tensor], features: Tensor) -> Tensor:
    with mode:
        return forward(features)


class _SharedStatistics(TorchFunctionMode):
    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        return self._batch_norm(*args, **kwargs) if func is F.batch_norm else func(*args, **kwargs)

    def _batch_norm(
        self,
        features: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        """See `torch.nn.functional.batch_norm`."""
        if not training:
            return F.batch_norm(features, running_mean, running_var, weight, bias, False, momentum, eps)
        normalised, mean, variance, count = _Normalise.apply(features, eps, self.world)
        if running_mean is not None and running_var is not None:
            running_mean.lerp_(mean.to(running_mean.dtype), momentum)
            # As in torch: the unbiased estimate, not the variance of the batch.
            running_var.lerp_((variance * count / (count - 1).clamp_min(1)).to(running_var.dtype), momentum)
        if weight is not None:
            normalised = normalised * _per_channel(weight, features)
        if bias is not None:
            normalised = normalised + _per_channel(bias, features)
        shared: Tensor = normalised.to(features.dtype)
        return shared


class _Normalise(torch.autograd.Function):
    """(x - mean) / sqrt(variance + eps) with the statistics of the elements of all processes.

    `apply(x (N, C, ...), eps, world)` returns that in float32 or better and, in float64 and without gradient, the mean
    (C,), the variance (C,; denominator n) and the number n of elements per channel.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, eps: float, world: World) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Normalised features and statistics."""
        values = features.float() if features.dtype.itemsize < 4 else features
        own = values.numel() // values.shape[1]
        statistics = values.new_zeros(2 * values.shape[1] + 1, dtype=torch.float64)
        if own:
            parts = torch.var_mean(values, _others(values), correction=0)
            statistics = torch.cat([*parts, values.new_tensor([own])]).double()
        # Means and variances are merged: sums of squares would cancel.
        everyone = world.gather(statistics)
        variances, means, counts = everyone.split([values.shape[1], values.shape[1], 1], dim=1)
        count = counts.sum().clamp_min(1)
        mean = (counts * means).sum(0) / count
        variance = (counts * (variances + (means - mean).square())).sum(0) / count
        scale = (variance + eps).rsqrt().to(values.dtype)
        normalised = (values - _per_channel(mean.to(values.dtype), values)) * _per_channel(scale, values)
        ctx.save_for_backward(normalised, scale, count)
        ctx.world = world
        ctx.mark_non_differentiable(mean, variance, count)
        return normalised, mean, variance, count

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        """Gradient of the sum of all processes' losses."""
        normalised, scale, count = ctx.saved_tensors
        over = _others(gradient)
        sums = torch.stack([gradient.sum(over), (gradient * normalised).sum(over)])
        constant, linear = (ctx.world.sum(sums) / count.to(sums.dtype)).unbind()
        inner = gradient - _per_channel(constant, gradient) - normalised * _per_channel(linear, gradient)
        return inner * _per_channel(scale, gradient), None, None


def _others(values: Tensor) -> list[int]:
    """All dimensions except that of the channels."""
    return [dimension for dimension in range(values.dim()) if dimension != 1]


def _per_channel(values: Tensor, like: Tensor) -> Tensor:
    return values.view(1, -1, *(1 for _ in like.shape[2:]))
