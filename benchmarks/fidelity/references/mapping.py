"""a_theta and its inputs, as in the released code and that of Li et al. (CVPR 2022): one map at a time."""

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.fidelity.references.layers import Weights, below, convolution

CONVOLUTIONS = (2, 2, 3, 3, 3)
"""Convolutions of each level; the released a_theta has the first four levels."""


def pair_number(source: int, target: int, tasks: int) -> int:
    """The place of (source, target) among all ordered pairs: the matrix of pairs by rows, without its diagonal."""
    chosen = torch.zeros(tasks, tasks)
    chosen[source, target] = 1.0
    off_diagonal = [chosen[row, column] for row in range(tasks) for column in range(tasks) if row != column]
    return int(torch.stack(off_diagonal).argmax())


def features(maps: Tensor, task: str, pair: int, weights: Weights, *, reflect: bool = False) -> Tensor:
    """Features (1, d, h, w) of one map (1, C, H, W) of a task, mapped for one ordered pair of tasks.

    With `reflect`, unlike in the authors' codes, the borders of convolutions are reflected pixels in place of zeros.
    """
    maps = _normalised(maps, below(weights, f"inputs.{task}."), reflect).relu()
    levels = len({name.split(".")[1] for name in weights if name.startswith("levels.")})
    for level in range(levels):
        for layer in range(CONVOLUTIONS[level]):
            film = below(weights, f"levels.{level}.layers.{layer}.")
            maps = _normalised(maps, below(film, "convolution."), reflect)
            scale, shift = film["gamma"][pair].view(1, -1, 1, 1), film["beta"][pair].view(1, -1, 1, 1)
            maps = (maps * scale + shift).relu()
        maps = F.max_pool2d(maps, kernel_size=2, stride=2)
    return maps


def _normalised(maps: Tensor, weights: Weights, reflect: bool) -> Tensor:
    """A convolution whose output is normalised by its own mean and variance: a_theta is used in training only."""
    maps = convolution(maps, weights, "conv", reflect=reflect)
    return F.batch_norm(maps, None, None, weights["norm.weight"], weights["norm.bias"], training=True)


def prediction_input(task: str, prediction: Tensor, uniform: Tensor | None) -> Tensor:
    """The prediction (1, C, H, W) of one image as a_theta sees it.

    Args:
        task: What is predicted.
        prediction: Logits, depth, or the components of a normal.
        uniform: For logits, random numbers in (0, 1) of the same shape: -log(-log(u)) has the Gumbel distribution.
    """
    if task == "depth":
        return prediction / (prediction.max() + 1e-12)
    if task == "normal":
        return (prediction + 1.0) / 2.0
    assert uniform is not None
    soft = F.softmax(prediction - torch.log(-torch.log(uniform)), dim=1)
    hard = torch.zeros_like(soft)
    hard.scatter_(1, soft.argmax(dim=1, keepdim=True), 1.0)
    return hard - soft.detach() + soft


def label_input(task: str, label: Tensor, classes: int) -> Tensor:
    """The label (1, H, W) or (1, C, H, W) of one image as a_theta sees it; a void pixel is zero in every class."""
    if task == "depth":
        return label / (label.max() + 1e-12)
    if task == "normal":
        return (label + 1.0) / 2.0
    void = label == -1
    one_hot = F.one_hot(torch.where(void, 0, label), classes).movedim(-1, 1)
    return one_hot * (~void).unsqueeze(1)
