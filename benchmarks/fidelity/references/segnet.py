"""SegNet for several tasks, as the code of Li et al. (CVPR 2022) builds it after MTAN (Liu et al., CVPR 2019)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.fidelity.references.layers import Weights, batch_norm, below, convolution

CONVOLUTIONS = (2, 2, 3, 3, 3)
"""Convolutions of the encoder's stages; the decoder has them in reverse."""


def predictions(image: Tensor, weights: Weights, *, training: bool) -> tuple[dict[str, Tensor], Tensor]:
    """Predictions of all tasks of images (B, 3, H, W), and the encoder's feature at stride 32.

    Semantic predictions are logarithms of probabilities, normals have length 1.
    """
    maps, places = image, []
    for stage, count in enumerate(CONVOLUTIONS):
        maps = _convolutions(maps, below(weights, f"encoder.stages.{stage}."), count, training)
        maps, where = F.max_pool2d(maps, kernel_size=2, stride=2, return_indices=True)
        places.append(where)
    feature = maps
    for stage, count in enumerate(reversed(CONVOLUTIONS)):
        maps = F.max_unpool2d(maps, places.pop(), kernel_size=[2, 2], stride=[2, 2])
        maps = _convolutions(maps, below(weights, f"decoder.{stage}."), count, training)
    found = {}
    for task in dict.fromkeys(name.split(".")[1] for name in weights if name.startswith("heads.")):
        head = below(weights, f"heads.{task}.")
        found[task] = convolution(convolution(maps, head, "0"), head, "1")
    found["semantic"] = F.log_softmax(found["semantic"], dim=1)
    if "normal" in found:
        found["normal"] = found["normal"] / torch.norm(found["normal"], p=2, dim=1, keepdim=True)
    return found, feature


def _convolutions(maps: Tensor, stage: Weights, count: int, training: bool) -> Tensor:
    for layer in range(count):
        maps = convolution(maps, stage, str(3 * layer))
        maps = batch_norm(maps, stage, str(3 * layer + 1), training=training).relu()
    return maps
