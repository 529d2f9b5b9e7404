"""Convolutional backbones, HRNet18 and EfficientNet-Lite0, and the network that concatenates their scales."""

from collections.abc import Mapping

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdc_sweeps.models.network import Backbone, MultiTaskNetwork
from rdc_sweeps.specs.base import Task

PROJECTED = 32


class HRNet18(Backbone):
    """Four scales of 18/36/72/144 channels at strides 4 to 32.

    The image goes in as it is, in [0, 1]: the published protocol does not subtract the ImageNet mean.
    """

    architecture = "hrnet_w18_small_v2"

    def __init__(self) -> None:
        super().__init__()
        # An empty feature_location gives the branches themselves, not the widened classification features;
        # index 0 would be the stem at stride 2.
        body = timm.create_model(self.architecture, features_only=True, feature_location="", out_indices=(1, 2, 3, 4))
        self.body = body
        self.channels = tuple(body.feature_info.channels())

    def forward(self, image: Tensor) -> list[Tensor]:
        """Feature maps at strides 4, 8, 16, 32; see `Backbone.forward`."""
        maps: list[Tensor] = self.body(image)
        return maps


class EfficientNetLite0(Backbone):
    """Features at strides 4, 8, 16, 32, each projected to 32 channels by a 1x1 convolution.

    The bare features have 24/40/112/320 channels. A 1x1 convolution and bilinear upsampling commute, so projecting
    first spares the heads a 496-channel map at stride 4, which would cost more than the backbone itself.

    ImageNet weights of this model expect (x - 127) / 128 of 0..255, so [0, 1] is mapped to [-1, 1] here.
    """

    architecture = "tf_efficientnet_lite0"

    def __init__(self) -> None:
        super().__init__()
        body = timm.create_model(self.architecture, features_only=True, out_indices=(1, 2, 3, 4))
        bare = body.feature_info.channels()
        self.body = body
        self.projections = nn.ModuleList(nn.Conv2d(channels, PROJECTED, 1) for channels in bare)
        self.channels = (PROJECTED,) * len(bare)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Feature maps at strides 4, 8, 16, 32; see `Backbone.forward`."""
        maps = self.body((image - 0.5) / 0.5)
        return [project(features) for project, features in zip(self.projections, maps, strict=True)]


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
        features = torch.cat([finest, *(_resize(scale, finest.shape[-2:]) for scale in others)], dim=1)
        return {task: _resize(head(features), size) for task, head in self.heads.items()}


def _head(width: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, width, 1), nn.BatchNorm2d(width), nn.ReLU(inplace=True), nn.Conv2d(width, channels, 1)
    )


def _resize(maps: Tensor, size: torch.Size) -> Tensor:
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)
