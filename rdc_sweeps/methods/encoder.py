"""The encoder feature of a network, as something that the outputs of a_theta are compared with."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PROJECTION_SEED = 0
"""The projection is a constant of the method: the same in every run."""


@contextmanager
def encoder_maps(network: Any) -> Iterator[list[Tensor]]:
    """While inside, collects what the network's encoder puts out, detached.

    The encoder is the network's `backbone`, or its `encoder` if it has no backbone, as SegNet. The list has the maps of
    the last forward pass, Tensors (B, C_i, H_i, W_i).
    """
    maps: list[Tensor] = []

    def collect(module: nn.Module, inputs: object, output: Tensor | Sequence[Tensor]) -> None:
        maps[:] = [scale.detach() for scale in ([output] if isinstance(output, Tensor) else output)]

    backbone: nn.Module | None = network.backbone
    handle = (network.encoder if backbone is None else backbone).register_forward_hook(collect)
    try:
        yield maps
    finally:
        handle.remove()


def encoder_feature(maps: Sequence[Tensor], width: int, size: tuple[int, int]) -> Tensor:
    """The encoder's maps as one feature of the width and size of a_theta's output.

    Each map is averaged to `size`, and the maps are concatenated. With SegNet and an a_theta of five levels up to 512
    channels that changes nothing. If it does not give `width` channels, a 1x1 convolution to `width` channels and a
    ReLU follow: a_theta ends in a ReLU too. The convolution has orthogonal weights and no bias and is never trained. A
    trained one could follow a_theta to one constant vector, and then the feature would no longer keep a_theta from
    becoming constant, which is its purpose.

    Args:
        maps: Tensors (B, C_i, H_i, W_i).
        width: Channels of a_theta's output.
        size: Height and width of a_theta's output.

    Returns:
        Tensor (B, width, *size), float32 or better.
    """
    feature = torch.cat([F.adaptive_avg_pool2d(scale, size) for scale in maps], dim=1)
    feature = feature.float() if feature.dtype.itemsize < 4 else feature
    if feature.shape[1] == width:
        return feature
    return F.conv2d(feature, _projection(feature.shape[1], width).to(feature)).relu()


@lru_cache
def _projection(channels: int, width: int) -> Tensor:
    weight = torch.empty(width, channels, 1, 1)
    return nn.init.orthogonal_(weight, generator=torch.Generator().manual_seed(PROJECTION_SEED))
