"""Convolutional backbones of timm and the network that concatenates their scales."""

from collections.abc import Mapping
from typing import Any, Literal

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdc_sweeps.models.network import Backbone, MultiTaskNetwork, Normalise
from rdc_sweeps.specs.backbone import InputValues
from rdc_sweeps.specs.base import Task

PROJECTED = 32
"""Channels that `EfficientNetLite0` projects each scale to."""


class ConvolutionalBackbone(Backbone):
    """Feature maps of a timm model at strides 4, 8, 16, 32.

    Args:
        architecture: timm's name of the model.
        values: What the network sees of the image.
        options: Further options of `timm.create_model`.
    """

    def __init__(self, architecture: str, values: InputValues, **options: Any) -> None:
        super().__init__()
        self.architecture = architecture
        self.normalise = Normalise(values)
        # Index 0 is the stem at stride 2.
        body = timm.create_model(architecture, features_only=True, out_indices=(1, 2, 3, 4), **options)
        self.body = body
        self.channels = tuple(body.feature_info.channels())

    def forward(self, image: Tensor) -> list[Tensor]:
        """Feature maps at strides 4, 8, 16, 32; see `Backbone.forward`."""
        maps: list[Tensor] = self.body(self.normalise(image))
        return maps


class HRNet18(ConvolutionalBackbone):
    """HRNet-W18-Small-v2 (Wang et al., TPAMI 2020): four scales of 18/36/72/144 channels.

    Args:
        values: What the network sees of the image.
        fuse: How coarser maps are upsampled before scales are summed.
        norm_momentum: Momentum of every BatchNorm of the backbone.
    """

    def __init__(self, values: InputValues, fuse: Literal["bilinear", "nearest"], norm_momentum: float) -> None:
        # An empty feature_location gives the branches themselves, not the widened classification features.
        super().__init__("hrnet_w18_small_v2", values, feature_location="")
        for module in self.body.modules():
            if isinstance(module, nn.Upsample):
                module.mode = fuse
                module.align_corners = False if fuse == "bilinear" else None
            elif isinstance(module, nn.BatchNorm2d):
                module.momentum = norm_momentum


class ResNet18(ConvolutionalBackbone):
    """ResNet-18 (He et al., CVPR 2016): four scales of 64/128/256/512 channels, without dilation.

    DiffusionMTL's public code concatenates these stages as they are, and so do we: no projection comes first.
    """

    def __init__(self, values: InputValues) -> None:
        super().__init__("resnet18", values)


class EfficientNetLite0(ConvolutionalBackbone):
    """EfficientNet-Lite0, each scale projected to 32 channels by a 1x1 convolution.

    The bare features have 24/40/112/320 channels. A 1x1 convolution and bilinear upsampling commute, so projecting
    first spares the heads a 496-channel map at stride 4, which would cost more than the backbone itself.
    """

    def __init__(self, values: InputValues) -> None:
        super().__init__("tf_efficientnet_lite0", values)
        self.projections = nn.ModuleList(nn.Conv2d(channels, PROJECTED, 1) for channels in self.channels)
        self.channels = (PROJECTED,) * len(self.projections)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Feature maps at strides 4, 8, 16, 32; see `Backbone.forward`."""
        return [project(maps) for project, maps in zip(self.projections, super().forward(image), strict=True)]


class PyramidNetwork(MultiTaskNetwork):
    """All scales upsampled to the finest and concatenated; per task 1x1 conv, BN, ReLU, 1x1 conv, upsampling.

    A normal's length is free, as in the published protocol.

    Args:
        backbone: Feature maps, finest first.
        out_channels: Channels of each task's output, see `task_channels`.
    """

    backbone: Backbone

    def __init__(self, backbone: Backbone, out_channels: Mapping[Task, int]) -> None:
        super().__init__(backbone)
        width = sum(backbone.channels)
        self.heads = nn.ModuleDict({task: _head(width, channels) for task, channels in out_channels.items()})

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Predictions of all tasks; see `MultiTaskNetwork.forward`."""
        size = image.shape[-2:]
        finest, *others = self.backbone(image.contiguous(memory_format=torch.channels_last))
        features = torch.cat([finest, *(resize(scale, finest.shape[-2:]) for scale in others)], dim=1)
        return {task: resize(head(features), size) for task, head in self.heads.items()}


def _head(width: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, width, 1), nn.BatchNorm2d(width), nn.ReLU(inplace=True), nn.Conv2d(width, channels, 1)
    )


def resize(maps: Tensor, size: torch.Size) -> Tensor:
    """Maps (B, C, h, w) interpolated bilinearly to `size`."""
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)
