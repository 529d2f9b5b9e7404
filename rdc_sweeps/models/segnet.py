"""SegNet (Badrinarayanan et al., TPAMI 2017) for several tasks, as in MTAN (Liu et al. 2019) and Li et al. (2022)."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdc_sweeps.models.network import MultiTaskNetwork, Normalise, at_least_float32
from rdc_sweeps.specs.backbone import InputValues
from rdc_sweeps.specs.base import Task

MULTIPLES = (1, 2, 4, 8, 8)
"""Channels of each stage, in multiples of the first's."""

CONVOLUTIONS = (2, 2, 3, 3, 3)
"""Convolutions of each stage, in the encoder and, mirrored, in the decoder."""


class SegNet(MultiTaskNetwork):
    """VGG-16's convolutions as encoder and, mirrored, as decoder; unpooling restores the positions of the maxima.

    All convolutions but the heads' are 3x3 with BN and ReLU. A head is a 3x3 and a 1x1 convolution with nothing in
    between, at full resolution. With NYU-V2's three tasks and 13 classes it has 25,055,185 parameters (the original
    counts three more, task weights that its losses do not use), trained from scratch.

    Predicted normals have unit length, unlike those of the other networks. Semantic logits are not passed through the
    log-softmax of the original: neither the cross-entropy nor the Gumbel-softmax depends on it.

    Args:
        out_channels: Channels of each task's output, see `task_channels`.
        width: Channels of the first stage.
        values: What the network sees of the image.
    """

    def __init__(self, out_channels: Mapping[Task, int], width: int, values: InputValues) -> None:
        super().__init__(None)
        self.normalise = Normalise(values)
        self.encoder, self.decoder = Encoder(3, width), Decoder(width)
        self.heads = nn.ModuleDict({task: head(width, channels) for task, channels in out_channels.items()})
        initialise(self)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Predictions of all tasks, normals of length 1; see `MultiTaskNetwork.forward`."""
        maxima: list[Tensor] = []
        features = self.encoder(self.normalise(image.contiguous(memory_format=torch.channels_last)), maxima)
        features = self.decoder(features, maxima)
        predictions = {task: predict(features) for task, predict in self.heads.items()}
        if "normal" in predictions:
            # The squares of a half-precision normal lose the angle's second digit.
            predictions["normal"] = F.normalize(at_least_float32(predictions["normal"]), dim=1)
        return predictions


class Encoder(nn.Module):
    """Five stages, each followed by a 2x2 max-pool.

    Args:
        in_channels: Channels of the input.
        width: Channels of the first stage.
    """

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        widths = [width * multiple for multiple in MULTIPLES]
        inputs = (in_channels, *widths)
        self.stages = nn.ModuleList(
            _stage(inputs[stage], width, CONVOLUTIONS[stage]) for stage, width in enumerate(widths)
        )

    def forward(self, image: Tensor, maxima: list[Tensor]) -> Tensor:
        """Tensor (B, in_channels, H, W) to (B, 8 width, H / 32, W / 32).

        The positions of each pool's maxima are appended to `maxima`. They are not part of the output, so that the
        output is the encoder's feature alone.
        """
        features = image
        for stage in self.stages:
            features, indices = F.max_pool2d(stage(features), 2, return_indices=True)
            maxima.append(indices)
        return features


class Decoder(nn.ModuleList):
    """The encoder mirrored: unpooling and five stages, to `width` channels at full resolution."""

    def __init__(self, width: int) -> None:
        widths = [width * multiple for multiple in MULTIPLES]
        # Reversed: from the coarsest to full resolution, where the width stays.
        super().__init__(
            _stage(widths[stage], widths[max(stage - 1, 0)], CONVOLUTIONS[stage])
            for stage in reversed(range(len(widths)))
        )

    def forward(self, features: Tensor, maxima: list[Tensor]) -> Tensor:
        """Tensor (B, 8 width, H / 32, W / 32) to (B, width, H, W), with the encoder's `maxima`, which it empties."""
        for stage in self:
            features = stage(F.max_unpool2d(features, maxima.pop(), [2, 2]))
        return features


def head(width: int, channels: int) -> nn.Sequential:
    """A 3x3 and a 1x1 convolution with nothing in between."""
    return nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, channels, 1))


def initialise(network: nn.Module) -> None:
    """Xavier-normal weights and zero biases for all convolutions."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.xavier_normal_(module.weight)
            nn.init.zeros_(module.bias)  # type: ignore[arg-type]


def _stage(in_channels: int, out_channels: int, convolutions: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for position in range(convolutions):
        layers += [
            nn.Conv2d(out_channels if position else in_channels, out_channels, 3, padding=1),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)
