"""Layers as functions of named tensors."""

import torch.nn.functional as F
from torch import Tensor

Weights = dict[str, Tensor]
"""Parameters and running statistics by name; training updates the statistics in place."""


def convolution(maps: Tensor, weights: Weights, name: str, stride: int = 1, *, reflect: bool = False) -> Tensor:
    """A convolution that keeps the size, up to its stride, by a border of zeros or of reflected pixels."""
    kernel = weights[f"{name}.weight"]
    border = kernel.shape[-1] // 2
    if reflect:
        maps, border = F.pad(maps, (border,) * 4, mode="reflect"), 0
    return F.conv2d(maps, kernel, weights.get(f"{name}.bias"), stride, padding=border)


def batch_norm(maps: Tensor, weights: Weights, name: str, *, training: bool, momentum: float = 0.1) -> Tensor:
    """Batch normalisation by the statistics of `maps`, or by the running ones."""
    return F.batch_norm(
        maps,
        weights[f"{name}.running_mean"],
        weights[f"{name}.running_var"],
        weights[f"{name}.weight"],
        weights[f"{name}.bias"],
        training,
        momentum,
    )


def bilinear(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Maps resized bilinearly, pixel centres aligned."""
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)


def below(weights: Weights, prefix: str) -> Weights:
    """The tensors whose names begin with `prefix`, under the rest of their names."""
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}
