"""The multi-task network: a backbone, its scales concatenated, a head per task."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdc_sweeps.models.backbones import Backbone
from rdc_sweeps.models.registry import backbone_class
from rdc_sweeps.models.tasks import task_channels
from rdc_sweeps.models.weights import load_weights
from rdc_sweeps.specs.backbone import BackboneSpec
from rdc_sweeps.specs.base import Task


class MultiTaskNetwork(nn.Module):
    """All scales upsampled to the finest and concatenated; per task 1x1 conv, BN, ReLU, 1x1 conv, upsampling.

    Args:
        backbone: Feature maps, finest first.
        out_channels: Channels of each task's output, see `task_channels`.
    """

    def __init__(self, backbone: Backbone, out_channels: Mapping[Task, int]) -> None:
        super().__init__()
        self.backbone = backbone
        width = sum(backbone.channels)
        self.heads = nn.ModuleDict({task: _head(width, channels) for task, channels in out_channels.items()})

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Predictions of all tasks.

        Args:
            image: Tensor (B, 3, H, W), RGB in [0, 1]; H and W are multiples of 32.

        Returns:
            Per task a Tensor (B, C, H, W): semantic logits, depth in the data set's unit, and the normal as the head
            gives it: its length is free, as in the published protocol.
        """
        size = image.shape[-2:]
        finest, *others = self.backbone(image.contiguous(memory_format=torch.channels_last))
        features = torch.cat([finest, *(_resize(scale, finest.shape[-2:]) for scale in others)], dim=1)
        return {task: _resize(head(features), size) for task, head in self.heads.items()}


def build_network(
    spec: BackboneSpec, tasks: Sequence[Task], classes: int, *, weights_root: Path | None
) -> MultiTaskNetwork:
    """The network of a spec, with its pretrained weights.

    What is not pretrained is drawn from torch's global generator, so the caller's seed determines it.

    Args:
        spec: The backbone and where its weights come from.
        tasks: Tasks to predict.
        classes: Number of semantic classes.
        weights_root: Folder of weight files; only needed for weights from a file.

    Raises:
        WeightsError: The weights are missing, damaged, unreachable or of another architecture.
    """
    network = MultiTaskNetwork(backbone_class(spec)(), task_channels(tasks, classes))
    load_weights(network.backbone, spec.pretrained, weights_root)
    # A quarter to a third faster on CPUs, and what tensor cores want.
    return network.to(memory_format=torch.channels_last)


def _head(width: int, channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, width, 1), nn.BatchNorm2d(width), nn.ReLU(inplace=True), nn.Conv2d(width, channels, 1)
    )


def _resize(maps: Tensor, size: torch.Size) -> Tensor:
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=False)
