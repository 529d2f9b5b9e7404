"""The mapping network a_theta: predictions and labels of any task into one feature space."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdc_sweeps.models.film import normalise
from rdc_sweeps.models.network import task_channels
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.method import MappingSpec


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
        entered = {name: torch.cat(list(task.maps)) for name, task in inputs.items()}
        groups = [size for task in inputs.values() for size in task.groups]
        # Items stay in the order of the groups up to the end, where they are smallest.
        items = torch.cat([task.items for task in inputs.values()])
        pairs = pairs[items]
        levels: list[_Level] = list(self.levels)  # type: ignore[arg-type]
        if self._compiles(entered, groups):
            features = self._enter_compiled(inputs, entered)
            for number, level in enumerate(levels):
                if number and self.spec.padding == "reflect":
                    features = F.pad(features, (1, 1, 1, 1), mode="reflect")
                features = level.compiled(features, pairs, groups)
        else:
            features = torch.cat([self.inputs[name](maps, inputs[name].groups) for name, maps in entered.items()])
            features = features.relu_()
            for level in levels:
                features = level(features, pairs, groups)
        return features[items.argsort()]

    def _compiles(self, entered: Mapping[Task, Tensor], groups: Sequence[int]) -> bool:
        """Whether `film.normalise` may take the place of single operations: on a CPU, with statistics of its own."""
        # `share_batch_norms` replaces the forward method of a layer; hooks want to see its output.
        own = not any(
            "forward" in vars(module) or module._forward_hooks or getattr(module, "track_running_stats", False)
            for module in self.modules()
        )
        kinds = all(maps.device.type == "cpu" and maps.dtype.itemsize >= 4 for maps in entered.values())
        return own and kinds and all(groups) and not torch.is_autocast_enabled("cpu")

    def _enter_compiled(self, inputs: Mapping[Task, TaskMaps], entered: Mapping[Task, Tensor]) -> Tensor:
        """What comes after the tasks' own convolutions, with its border."""
        convolved, weights, biases, groups = [], [], [], []
        for name, maps in entered.items():
            layer: _Convolution = self.inputs[name]  # type: ignore[assignment]
            convolved.append(layer.conv(maps))
            weights.append(layer.norm.weight.expand(len(maps), -1))
            biases.append(layer.norm.bias.expand(len(maps), -1))
            groups += layer.normalised_together(inputs[name].groups)
        return normalise(convolved, groups, torch.cat(weights), torch.cat(biases), layer.norm.eps, border=layer.border)

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
        self.spec = spec
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
        parts = features.split(groups) if self.spec.norm == "apart" else [features]
        return torch.cat([self.norm(part) for part in parts])

    def normalised_together(self, groups: list[int]) -> list[int]:
        """Numbers of consecutive items with common statistics."""
        match self.spec.norm:
            case "apart":
                return groups
            case "single":
                return [1] * sum(groups)
            case "pooled":
                return [sum(groups)]

    @property
    def border(self) -> bool:
        """Whether maps are surrounded by reflected pixels before they are convolved."""
        return self.spec.padding == "reflect"

    def convolved(self, features: Tensor) -> Tensor:
        """The convolution alone, of maps that have their border, if they get one."""
        return F.conv2d(features, self.conv.weight, self.conv.bias, padding=0 if self.border else 1)


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

    def compiled(self, features: Tensor, pairs: Tensor, groups: list[int], *, last: bool) -> Tensor:
        """The same with `film.normalise`, of features with their border; the result has one unless it is the last."""
        layer, gamma, beta = self.convolution, self.gamma[pairs], self.beta[pairs]
        scale, shift = gamma * layer.norm.weight, gamma * layer.norm.bias + beta
        together, border = layer.normalised_together(groups), layer.border and not last
        return normalise([layer.convolved(features)], together, scale, shift, layer.norm.eps, border=border)


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

    def compiled(self, features: Tensor, pairs: Tensor, groups: list[int]) -> Tensor:
        """The same with `FilmConv.compiled`, of features with their border; the result has none."""
        layers: list[FilmConv] = list(self.layers)  # type: ignore[arg-type]
        *_, last = layers
        for layer in layers:
            features = layer.compiled(features, pairs, groups, last=layer is last)
        return F.max_pool2d(features, 2)


def build_mapping(spec: MappingSpec, tasks: Sequence[Task], classes: int) -> MappingNetwork:
    """The mapping network of a spec, initialised from torch's global generator."""
    # A quarter to a third faster on CPUs, and the layout that tensor cores need.
    return MappingNetwork(task_channels(tasks, classes), spec).to(memory_format=torch.channels_last)
