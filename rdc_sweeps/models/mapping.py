"""The mapping network a_theta: predictions and labels of any task into one feature space."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdc_sweeps.models.network import at_least_float32, task_channels
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.method import MappingSpec

SMALLEST_MAXIMUM = 1e-3
"""Depth maps that nowhere exceed this are not divided by their maximum: its inverse would blow up gradients. The code
of Li et al. and the release divide by any maximum, also a negative one."""
RELEASED_EPSILON = 1e-12
"""Added to the maximum, as in both codes."""

DEFAULT = MappingSpec()
"""How maps are shown if nothing else is said."""


def pair_index(predicted: Tensor, labelled: Tensor, tasks: int) -> Tensor:
    """Index of ordered pairs (predicted task, labelled task): row by row, without the diagonal.

    Args:
        predicted: LongTensor (N,), position of the task that is predicted.
        labelled: LongTensor (N,), position of the task that is labelled, another one.
        tasks: Number of tasks K; there are K (K - 1) pairs.
    """
    return predicted * (tasks - 1) + labelled - (labelled > predicted).long()


class TaskMaps(NamedTuple):
    """All maps of one task in a batch of items.

    Attributes:
        maps: Tensors (M_i, C, H, W): the predictions, see `prediction_input`, and the labels, see `label_input`. Each
            is a group of its own for `MappingSpec.norm: apart`; a side that does not occur is left out.
        items: LongTensor (sum of M_i,), the item of each map.
    """

    maps: Sequence[Tensor]
    items: Tensor

    @property
    def groups(self) -> list[int]:
        """Number of maps in each group."""
        return [len(maps) for maps in self.maps]


class MappingNetwork(nn.Module):
    """a_theta: a convolution per task, then a shared encoder conditioned on the ordered task pair by FiLM.

    Level 0 and 1 have two FiLM convolutions, later ones three; each level ends in a 2x2 max-pool. With the defaults and
    NYU-V2's three tasks it has 72,912 parameters and maps 288x384 to 32 x 18 x 24. It normalises with the statistics of
    what it is given, in evaluation mode too, and keeps no running ones: it serves training only.

    Args:
        input_channels: Channels of each task's maps, in task order, see `task_channels`.
        spec: Channels of the levels, padding, and which maps are normalised together.
    """

    def __init__(self, input_channels: Mapping[Task, int], spec: MappingSpec) -> None:
        super().__init__()
        widths = (spec.channels[0], *spec.channels)
        self.inputs = nn.ModuleDict(
            {task: _Convolution(count, widths[0], spec) for task, count in input_channels.items()}
        )
        pairs = len(input_channels) * (len(input_channels) - 1)
        self.levels = nn.ModuleList(
            _Level(widths[level], width, 2 if level < 2 else 3, pairs, spec)
            for level, width in enumerate(spec.channels)
        )
        self.spec = spec
        self.out_channels = spec.channels[-1]
        self.stride = 2 ** len(spec.channels)

    def forward(self, inputs: Mapping[Task, TaskMaps], pairs: Tensor) -> Tensor:
        """Features of a whole batch of items at once; an item is one map and the pair it is mapped for.

        Args:
            inputs: The maps of each task that occurs; their items together are a permutation of 0..N-1. If several
                processes share the batch, all of them give the same groups, some perhaps without maps.
            pairs: LongTensor (N,), each item's `pair_index`.

        Returns:
            Tensor (N, out_channels, H / stride, W / stride).
        """
        entered = [self.inputs[name](torch.cat(list(task.maps)), task.groups) for name, task in inputs.items()]
        features = torch.cat(entered).relu_()
        # Items stay in the order of the groups up to the end, where they are smallest.
        items = torch.cat([task.items for task in inputs.values()])
        pairs = pairs[items]
        groups = [size for task in inputs.values() for size in task.groups]
        for level in self.levels:
            features = level(features, pairs, groups)
        return features[items.argsort()]

    def film_parameters(self) -> list[nn.Parameter]:
        """The FiLM scales and shifts, which have an optimiser group of their own."""
        return [parameter for name, parameter in self.named_parameters() if name.endswith((".gamma", ".beta"))]


class _MapNorm(nn.InstanceNorm2d):
    """Normalises each map by itself, as a batch norm does that sees one map at a time; no maps stay none."""

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(features) if len(features) else features


class _Convolution(nn.Module):
    """3x3 convolution and normalisation."""

    def __init__(self, in_channels: int, out_channels: int, spec: MappingSpec) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, padding_mode=spec.padding)
        nn.init.xavier_normal_(self.conv.weight)
        nn.init.zeros_(self.conv.bias)  # type: ignore[arg-type]
        self.apart = spec.norm == "apart"
        self.norm = (
            _MapNorm(out_channels, affine=True)
            if spec.norm == "single"
            else nn.BatchNorm2d(out_channels, track_running_stats=False)
        )

    def forward(self, features: Tensor, groups: list[int]) -> Tensor:
        """Tensor (N, in_channels, H, W) to Tensor (N, out_channels, H, W).

        Args:
            features: Of all items, group by group.
            groups: Number of items in each group.
        """
        features = self.conv(features)
        parts = features.split(groups) if self.apart else [features]
        return torch.cat([self.norm(part) for part in parts])


class FilmConv(nn.Module):
    """3x3 convolution, normalisation, FiLM (a scale and shift per channel and task pair, Perez et al. 2018), ReLU."""

    def __init__(self, in_channels: int, out_channels: int, pairs: int, spec: MappingSpec) -> None:
        super().__init__()
        self.convolution = _Convolution(in_channels, out_channels, spec)
        self.gamma = nn.Parameter(torch.ones(pairs, out_channels))
        self.beta = nn.Parameter(torch.zeros(pairs, out_channels))

    def forward(self, features: Tensor, pairs: Tensor, groups: list[int]) -> Tensor:
        """Tensor (N, in_channels, H, W) and pair indices (N,), group by group, to Tensor (N, out_channels, H, W)."""
        features = self.convolution(features, groups)
        gamma, beta = (film[pairs, :, None, None].to(features.dtype) for film in (self.gamma, self.beta))
        return torch.addcmul(beta, gamma, features).relu_()


class _Level(nn.Module):
    """FiLM convolutions at one resolution, the first of which changes the width, and a 2x2 max-pool."""

    def __init__(self, in_channels: int, out_channels: int, layers: int, pairs: int, spec: MappingSpec) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            FilmConv(out_channels if layer else in_channels, out_channels, pairs, spec) for layer in range(layers)
        )

    def forward(self, features: Tensor, pairs: Tensor, groups: list[int]) -> Tensor:
        for layer in self.layers:
            features = layer(features, pairs, groups)
        return F.max_pool2d(features, 2)


def build_mapping(spec: MappingSpec, tasks: Sequence[Task], classes: int) -> MappingNetwork:
    """The mapping network of a spec, initialised from torch's global generator."""
    # A quarter to a third faster on CPUs, and the layout that tensor cores need.
    return MappingNetwork(task_channels(tasks, classes), spec).to(memory_format=torch.channels_last)


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
