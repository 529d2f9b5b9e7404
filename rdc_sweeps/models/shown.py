"""Predictions and labels as a_theta sees them."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from rdc_sweeps.models.network import at_least_float32
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.method import MappingSpec

SMALLEST_MAXIMUM = 1e-3
"""Depth maps that nowhere exceed this are not divided by their maximum: its inverse would blow up gradients. The code
of Li et al. and the release divide by any maximum, also a negative one."""
RELEASED_EPSILON = 1e-12
"""Added to the maximum, as in both codes."""

DEFAULT = MappingSpec()
"""How maps are shown if nothing else is said."""


def prediction_input(
    task: Task, prediction: Tensor, uniform: Callable[[torch.Size], Tensor], spec: MappingSpec = DEFAULT
) -> Tensor:
    """A prediction as a_theta sees it, differentiable with respect to it.

    Semantic logits become a hard Gumbel one-hot with a straight-through gradient at temperature 1 (Jang et al. 2017),
    or their softmax; depth is scaled as in `scaled_depth`, a normal n becomes (n + 1) / 2.

    Args:
        task: What is predicted.
        prediction: Tensor (B, C, H, W) as `MultiTaskNetwork` returns it.
        uniform: Gives random numbers in (0, 1) of a shape (B, C, H, W); asked for by the Gumbel trick only.
        spec: How maps are shown.

    Returns:
        Tensor (B, C, H, W), float32 or better.
    """
    prediction = at_least_float32(prediction)
    match task:
        case "semantic" if spec.semantic_input == "probabilities":
            return prediction.softmax(dim=1)
        case "semantic":
            return _gumbel_one_hot(prediction, uniform(prediction.shape).to(prediction.dtype))
        case "depth":
            return scaled_depth(prediction, spec)
        case "normal":
            return shifted_normal(prediction)


def label_input(task: Task, label: Tensor, classes: int, spec: MappingSpec = DEFAULT) -> Tensor:
    """A label as a_theta sees it.

    Args:
        task: What is labelled.
        label: Semantic LongTensor (B, H, W) with void below 0, depth Tensor (B, 1, H, W) or normal Tensor (B, 3, H, W).
        classes: Number of semantic classes.
        spec: As in `prediction_input`.

    Returns:
        Tensor (B, C, H, W): semantic labels as a one-hot that is all zero on void; depth and normals as in
        `prediction_input`.
    """
    match task:
        case "semantic":
            ids = torch.arange(classes, device=label.device).view(-1, 1, 1)
            return (label.unsqueeze(1) == ids).float()
        case "depth":
            return scaled_depth(label, spec)
        case "normal":
            return shifted_normal(label)


def scaled_depth(depth: Tensor, spec: MappingSpec) -> Tensor:
    """Depth maps (B, 1, H, W), or the logarithms of 1 + depth, divided by the spec's divisor or by their maximum.

    Negative depth, which a network may predict, counts as 0 in a logarithm, and has its gradient there.
    """
    divisor = spec.depth_divisor
    if spec.depth_scale == "logarithmic":
        # max(d, 0) in value, with the slope of log(1 + d) at 0 below it.
        depth = depth.clamp_min(0).log1p() + depth.clamp_max(0) - depth.clamp_max(0).detach()
        divisor = None if divisor is None else math.log1p(divisor)
    return relative_depth(depth) if divisor is None else depth / divisor


def relative_depth(depth: Tensor) -> Tensor:
    """Depth maps (B, 1, H, W), each divided by its maximum."""
    maximum = depth.amax((1, 2, 3), keepdim=True)
    return depth / torch.where(maximum > SMALLEST_MAXIMUM, maximum + RELEASED_EPSILON, torch.ones_like(maximum))


def shifted_normal(normal: Tensor) -> Tensor:
    """Normals (B, 3, H, W), unit vectors moved from [-1, 1] to [0, 1]."""
    return (normal + 1) / 2


def _gumbel_one_hot(logits: Tensor, uniform: Tensor) -> Tensor:
    soft = (logits - (-uniform.log()).log()).softmax(dim=1)
    hard = torch.zeros(logits.shape, dtype=logits.dtype, device=logits.device)
    return hard.scatter_(1, soft.max(dim=1, keepdim=True).indices, 1.0) - soft.detach() + soft
