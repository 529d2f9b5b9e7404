"""The network of convolutional backbones: their scales concatenated, a head per task."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdc_sweeps.models.backbones import Backbone
from rdc_sweeps.models.base import MultiTaskNetwork
from rdc_sweeps.specs.base import Task


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
