"""The mapping network a_theta: predictions and labels of any task into one feature space."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdc_sweeps.models.network import task_channels
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.method import MappingSpec

SMALLEST_MAXIMUM = 1e-3
"""Depth maps that nowhere exceed this are not divided by their maximum: its inverse would blow up gradients."""


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
        maps: Tensor (M, C, H, W), see `prediction_input` and `label_input`.
        items: LongTensor (M,), the item of each map.
    """

    maps: Tensor
    items: Tensor


class MappingNetwork(nn.Module):
    """a_theta: a convolution per task, then a shared encoder conditioned on the ordered task pair by FiLM.

    Level 0 and 1 have two FiLM convolutions, later ones three; each level ends in a 2x2 max-pool. With the defaults and
    NYU-V2's three tasks it has 72,912 parameters and maps 288x384 to 32 x 18 x 24.

    Args:
        input_channels: Channels of each task's maps, in task order, see `task_channels`.
        channels: Channels of the levels.
    """

    def __init__(self, input_channels: Mapping[Task, int], channels: Sequence[int] = (16, 24, 32, 32)) -> None:
        super().__init__()
        self.inputs = nn.ModuleDict({task: _input_layer(count, channels[0]) for task, count in input_channels.items()})
        pairs = len(input_channels) * (len(input_channels) - 1)
        widths = (channels[0], *channels)
        self.levels = nn.ModuleList(
            _Level(widths[level], width, 2 if level < 2 else 3, pairs) for level, width in enumerate(channels)
        )
        self.out_channels = channels[-1]
        self.stride = 2 ** len(channels)

    def forward(self, inputs: Mapping[Task, TaskMaps], pairs: Tensor) -> Tensor:
        """Features of a whole batch of items at once; an item is one map and the pair it is mapped for.

        Args:
            inputs: The maps of each task that occurs; their items together are a permutation of 0..N-1.
            pairs: LongTensor (N,), each item's `pair_index`.

        Returns:
            Tensor (N, out_channels, H / stride, W / stride).
        """
        items = torch.cat([task.items for task in inputs.values()])
        entered = torch.cat([self.inputs[name](task.maps) for name, task in inputs.items()])
        features = entered[items.argsort()]
        for level in self.levels:
            features = level(features, pairs)
        return features

    def film_parameters(self) -> list[nn.Parameter]:
        """The FiLM scales and shifts, which have an optimiser group of their own."""
        return [parameter for name, parameter in self.named_parameters() if name.endswith((".gamma", ".beta"))]


class FilmConv(nn.Module):
    """3x3 convolution, BN, a scale and shift per channel chosen by the task pair (FiLM, Perez et al. 2018), ReLU."""

    def __init__(self, in_channels: int, out_channels: int, pairs: int) -> None:
        super().__init__()
        self.conv = _conv(in_channels, out_channels)
        self.norm = nn.BatchNorm2d(out_channels)
        self.gamma = nn.Parameter(torch.ones(pairs, out_channels))
        self.beta = nn.Parameter(torch.zeros(pairs, out_channels))

    def forward(self, features: Tensor, pairs: Tensor) -> Tensor:
        """Tensor (N, in_channels, H, W) and pair indices (N,) to Tensor (N, out_channels, H, W)."""
        features = self.norm(self.conv(features))
        gamma, beta = (film[pairs, :, None, None].to(features.dtype) for film in (self.gamma, self.beta))
        return torch.addcmul(beta, gamma, features).relu_()


class _Level(nn.Module):
    """FiLM convolutions at one resolution, the first of which changes the width, and a 2x2 max-pool."""

    def __init__(self, in_channels: int, out_channels: int, layers: int, pairs: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            FilmConv(out_channels if layer else in_channels, out_channels, pairs) for layer in range(layers)
        )

    def forward(self, features: Tensor, pairs: Tensor) -> Tensor:
        for layer in self.layers:
            features = layer(features, pairs)
        return F.max_pool2d(features, 2)


def build_mapping(spec: MappingSpec, tasks: Sequence[Task], classes: int) -> MappingNetwork:
    """The mapping network of a spec, initialised from torch's global generator."""
    # A quarter to a third faster on CPUs, and the layout that tensor cores need.
    return MappingNetwork(task_channels(tasks, classes), spec.channels).to(memory_format=torch.channels_last)


def _input_layer(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(_conv(in_channels, out_channels), nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))


def _conv(in_channels: int, out_channels: int) -> nn.Conv2d:
    conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)
    nn.init.xavier_normal_(conv.weight)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


def prediction_input(task: Task, prediction: Tensor, uniform: Callable[[torch.Size], Tensor]) -> Tensor:
    """A prediction as a_theta sees it, differentiable with respect to it.

    Semantic logits become a hard Gumbel one-hot with a straight-through gradient at temperature 1 (Jang et al. 2017),
    depth is divided by its maximum, a normal n becomes (n + 1) / 2.

    Args:
        task: What is predicted.
        prediction: Tensor (B, C, H, W) as `MultiTaskNetwork` returns it.
        uniform: Gives random numbers in (0, 1) of a shape (B, C, H, W); asked for semantic predictions only.

    Returns:
        Tensor (B, C, H, W), float32 or better.
    """
    prediction = prediction.float() if prediction.dtype.itemsize < 4 else prediction
    match task:
        case "semantic":
            return _gumbel_one_hot(prediction, uniform(prediction.shape).to(prediction.dtype))
        case "depth":
            return relative_depth(prediction)
        case "normal":
            return shifted_normal(prediction)


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
    match task:
        case "semantic":
            ids = torch.arange(classes, device=label.device).view(-1, 1, 1)
            return (label.unsqueeze(1) == ids).float()
        case "depth":
            return relative_depth(label)
        case "normal":
            return shifted_normal(label)


def relative_depth(depth: Tensor) -> Tensor:
    """Depth maps (B, 1, H, W), each divided by its maximum."""
    maximum = depth.amax((1, 2, 3), keepdim=True)
    return depth / torch.where(maximum > SMALLEST_MAXIMUM, maximum, torch.ones_like(maximum))


def shifted_normal(normal: Tensor) -> Tensor:
    """Normals (B, 3, H, W), unit vectors moved from [-1, 1] to [0, 1]."""
    return (normal + 1) / 2


def _gumbel_one_hot(logits: Tensor, uniform: Tensor) -> Tensor:
    soft = (logits - (-uniform.log()).log()).softmax(dim=1)
    hard = torch.zeros(logits.shape, dtype=logits.dtype, device=logits.device)
    return hard.scatter_(1, soft.max(dim=1, keepdim=True).indices, 1.0) - soft.detach() + soft
