"""HRNet-W18-Small-v2 with a head per task, as the released code builds it (Wang et al., TPAMI 2021)."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.fidelity.references.layers import Weights, batch_norm, below, bilinear, convolution

STAGES = {2: 1, 3: 3, 4: 2}
"""Modules of each stage; stage s has s branches."""

BLOCKS = 2
"""Residual blocks of a branch, and of the first layer."""


def predictions(
    image: Tensor,
    weights: Weights,
    *,
    training: bool,
    fuse: Literal["bilinear", "nearest"] = "bilinear",
    momentum: float = 0.01,
) -> dict[str, Tensor]:
    """Predictions of all tasks of images (B, 3, H, W), at their size.

    Args:
        image: The images, in [0, 1].
        weights: Of the backbone, below `backbone.body.`, and of the heads, below `heads.TASK.`.
        training: Whether batch norms use the batch.
        fuse: How coarser branches are enlarged before they are added to finer ones.
        momentum: Of the backbone's batch norms; those of the heads have 0.1.
    """
    finest, *others = _Backbone(below(weights, "backbone.body."), training, fuse, momentum).branches(image)
    height, width = finest.shape[2:]
    pyramid = torch.cat([finest, *(bilinear(scale, (height, width)) for scale in others)], dim=1)
    found = {}
    for task in dict.fromkeys(name.split(".")[1] for name in weights if name.startswith("heads.")):
        head = below(weights, f"heads.{task}.")
        hidden = batch_norm(convolution(pyramid, head, "0"), head, "1", training=training).relu()
        found[task] = bilinear(convolution(hidden, head, "3"), (image.shape[2], image.shape[3]))
    return found


class _Backbone:
    def __init__(self, weights: Weights, training: bool, fuse: str, momentum: float) -> None:
        self.weights, self.training, self.fuse, self.momentum = weights, training, fuse, momentum

    def branches(self, image: Tensor) -> list[Tensor]:
        """Four scales, the finest at a quarter of the image's size."""
        stem = self._unit(self._unit(image, "conv1", "bn1", stride=2).relu(), "conv2", "bn2", stride=2).relu()
        for block in range(BLOCKS):
            stem = self._bottleneck(stem, f"layer1.{block}")
        scales = [
            self._unit(stem, "transition1.0.0", "transition1.0.1").relu(),
            self._unit(stem, "transition1.1.0.0", "transition1.1.0.1", stride=2).relu(),
        ]
        for stage, modules in STAGES.items():
            if stage > 2:
                new = f"transition{stage - 1}.{stage - 1}.0"
                scales.append(self._unit(scales[-1], f"{new}.0", f"{new}.1", stride=2).relu())
            for module in range(modules):
                scales = self._module(scales, f"stage{stage}.{module}")
        return scales

    def _unit(self, maps: Tensor, convolved: str, normalised: str, stride: int = 1) -> Tensor:
        maps = convolution(maps, self.weights, convolved, stride)
        return batch_norm(maps, self.weights, normalised, training=self.training, momentum=self.momentum)

    def _bottleneck(self, maps: Tensor, name: str) -> Tensor:
        inner = self._unit(maps, f"{name}.conv1", f"{name}.bn1").relu()
        inner = self._unit(inner, f"{name}.conv2", f"{name}.bn2").relu()
        inner = self._unit(inner, f"{name}.conv3", f"{name}.bn3")
        if f"{name}.downsample.0.weight" in self.weights:
            maps = self._unit(maps, f"{name}.downsample.0", f"{name}.downsample.1")
        return (inner + maps).relu()

    def _basic(self, maps: Tensor, name: str) -> Tensor:
        inner = self._unit(maps, f"{name}.conv1", f"{name}.bn1").relu()
        return (self._unit(inner, f"{name}.conv2", f"{name}.bn2") + maps).relu()

    def _module(self, scales: list[Tensor], name: str) -> list[Tensor]:
        """Residual blocks in each branch, then every branch adds all others at its own size."""
        own = []
        for branch, maps in enumerate(scales):
            for block in range(BLOCKS):
                maps = self._basic(maps, f"{name}.branches.{branch}.{block}")
            own.append(maps)
        fused = []
        for target in range(len(own)):
            total = self._at_size_of(own, 0, target, name)
            for source in range(1, len(own)):
                total = total + self._at_size_of(own, source, target, name)
            fused.append(total.relu())
        return fused

    def _at_size_of(self, own: list[Tensor], source: int, target: int, name: str) -> Tensor:
        layer, maps = f"{name}.fuse_layers.{target}.{source}", own[source]
        if source > target:
            height, width = own[target].shape[2:]
            maps = self._unit(maps, f"{layer}.0", f"{layer}.1")
            if self.fuse == "nearest":
                return F.interpolate(maps, size=(height, width), mode="nearest")
            return bilinear(maps, (height, width))
        for halving in range(target - source):
            maps = self._unit(maps, f"{layer}.{halving}.0", f"{layer}.{halving}.1", stride=2)
            if halving < target - source - 1:
                maps = maps.relu()
        return maps
