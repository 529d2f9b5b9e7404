"""What a_theta sees of a prediction or a label."""

import torch
from torch import Tensor

from rdc_sweeps.parallel.draws import Share, drawn
from rdc_sweeps.specs.base import Task

SMALLEST_MAXIMUM = 1e-3
"""Depth maps that nowhere exceed this are not divided by their maximum: its inverse would blow up gradients."""


def prediction_input(task: Task, prediction: Tensor, share: Share | None = None) -> Tensor:
    """A prediction as a_theta sees it, differentiable with respect to it.

    Semantic logits become a hard Gumbel one-hot with a straight-through gradient at temperature 1 (Jang et al. 2017);
    its noise comes from torch's global generator, which the caller seeds. Depth is divided by its maximum, a normal n
    becomes (n + 1) / 2.

    Args:
        task: What is predicted.
        prediction: Tensor (B, C, H, W) as `MultiTaskNetwork` returns it.
        share: Which maps these are of those that several processes have; None: all.

    Returns:
        Tensor (B, C, H, W), float32 or better.
    """
    prediction = prediction.float() if prediction.dtype.itemsize < 4 else prediction
    if task == "semantic":
        return _gumbel_one_hot(prediction, share)
    return _depth(prediction) if task == "depth" else _normal(prediction)


def _gumbel_one_hot(logits: Tensor, share: Share | None) -> Tensor:
    def draw(shape: tuple[int, ...]) -> Tensor:
        return torch.empty(shape, dtype=logits.dtype, device=logits.device).exponential_()

    soft = (logits - drawn(draw, tuple(logits.shape), share).log()).softmax(dim=1)
    hard = torch.zeros(logits.shape, dtype=logits.dtype, device=logits.device)
    return hard.scatter_(1, soft.max(dim=1, keepdim=True).indices, 1.0) - soft.detach() + soft


def label_input(task: Task, label: Tensor, classes: int) -> Tensor:
    """A label as a_theta sees it.

    Args:
        task: What is labelled.
        label: Semantic LongTensor (B, H, W) with void below 0, depth Tensor (B, 1, H, W) or normal Tensor (B, 3, H, W).
        classes: Number of semantic classes.

    Returns:
        Tensor (B, C, H, W): semantic labels as a one-hot that is all zero on void; depth and normals as in
        `prediction_input`.
    """
    if task == "semantic":
        ids = torch.arange(classes, device=label.device).view(-1, 1, 1)
        return (label.unsqueeze(1) == ids).float()
    return _depth(label) if task == "depth" else _normal(label)


def _depth(depth: Tensor) -> Tensor:
    maximum = depth.amax((1, 2, 3), keepdim=True)
    return depth / torch.where(maximum > SMALLEST_MAXIMUM, maximum, torch.ones_like(maximum))


def _normal(normal: Tensor) -> Tensor:
    return (normal + 1) / 2
