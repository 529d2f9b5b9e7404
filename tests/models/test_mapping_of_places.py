"""With reflection padding, features of a_theta depend on what maps show, not on where it is; with zeros they do not."""

from collections.abc import Sequence
from typing import NamedTuple

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from rdc_sweeps.models.mapping import MappingNetwork, TaskMaps
from rdc_sweeps.models.network import task_channels
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.method import MappingSpec

TASKS: tuple[Task, ...] = ("semantic", "depth", "normal")
CLASSES = 5
CHANNELS = task_channels(TASKS, CLASSES)
LAYERS = (2, 2, 3, 3)
"""Convolutions of each level."""

SAME = 1e-6
"""Features that differ by less are the same but for rounding."""

some = settings(max_examples=25, deadline=None)


class Case(NamedTuple):
    """A mapping network, and the size of its maps."""

    channels: tuple[int, ...]
    norm: str
    task: Task
    size: tuple[int, int]
    seed: int

    @property
    def stride(self) -> int:
        return 1 << len(self.channels)

    def network(self, padding: str) -> MappingNetwork:
        """With scales and shifts that differ from the identity, as after training."""
        torch.manual_seed(self.seed)
        spec = MappingSpec.model_validate({"channels": self.channels, "norm": self.norm, "padding": padding})
        network = MappingNetwork(CHANNELS, spec).double()
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                if not name.endswith("conv.weight"):
                    parameter.add_(0.3 * torch.randn_like(parameter))
        return network


@st.composite
def cases(draw: st.DrawFn, *, cells: int = 1, levels: int = 4, narrowest: int = 1) -> Case:
    """Maps of at least this many cells of the features a side, also of sizes that are no multiples of the stride.

    Narrow networks may be dead: where a level's only channels are negative everywhere, what follows is constant.
    """
    channels = tuple(draw(st.lists(st.integers(narrowest, 6), min_size=1, max_size=levels)))
    stride = 2 ** len(channels)
    side = st.integers(cells * stride, (cells + 2) * stride)
    size = (draw(side), draw(side))
    assume(stride >= 2)
    norm = draw(st.sampled_from(["apart", "single", "pooled"]))
    return Case(channels, norm, draw(st.sampled_from(TASKS)), size, draw(st.integers(0, 2**16)))


def mapped(network: MappingNetwork, task: Task, *groups: Tensor, pairs: Tensor | None = None) -> Tensor:
    """Features of groups of maps; without pairs, each map is for another pair of tasks."""
    count = sum(len(maps) for maps in groups)
    pairs = torch.arange(count) % 6 if pairs is None else pairs
    with torch.no_grad():
        features: Tensor = network({task: TaskMaps(list(groups), torch.arange(count))}, pairs)
    return features


def constants(case: Case, count: int = 2) -> Tensor:
    """Maps (count, C, H, W) that are the same everywhere, each with its own value."""
    torch.manual_seed(case.seed + 1)
    return torch.rand(count, CHANNELS[case.task], 1, 1).double().expand(-1, -1, *case.size)


def maps(case: Case, count: int) -> Tensor:
    torch.manual_seed(case.seed + 2)
    return torch.rand(count, CHANNELS[case.task], *case.size).double()


def spread(features: Tensor) -> float:
    """How far features (N, C, H, W) of any map and channel are from being the same everywhere."""
    return float((features.amax((2, 3)) - features.amin((2, 3))).max())


def layers(network: MappingNetwork) -> list[Tensor]:
    """A list that receives the output of every convolution and of every level when the network is used."""
    outputs: list[Tensor] = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d) or module in list(network.levels):
            module.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    return outputs


@some
@given(cases())
def test_a_constant_map_has_constant_features_in_every_layer(case: Case) -> None:
    network = case.network("reflect")
    # Where all maps of a group are alike, normalisation divides rounding errors by the root of this, layer after layer.
    for module in network.modules():
        if isinstance(norm := getattr(module, "norm", None), nn.BatchNorm2d | nn.InstanceNorm2d):
            norm.eps = 1.0
    assert spread(mapped(network, case.task, constants(case), constants(case, 1))) < SAME
    outputs = layers(network)
    features = mapped(network, case.task, constants(case), constants(case, 1))
    assert len(outputs) == 1 + sum(LAYERS[: len(case.channels)]) + len(case.channels)
    assert features.shape[2:] == (case.size[0] // case.stride, case.size[1] // case.stride)
    for output in [*outputs, features]:
        assert spread(output) < SAME


@some
@given(cases(cells=3, narrowest=4))
def test_with_zeros_a_constant_map_has_features_that_tell_the_place(case: Case) -> None:
    network = case.network("zeros")
    outputs = layers(network)
    features = mapped(network, case.task, constants(case))
    assert spread(outputs[0]) > SAME
    assert spread(features) > SAME


@some
@given(cases(cells=2, narrowest=4))
def test_features_follow_their_maps_when_images_are_swapped(case: Case) -> None:
    network = case.network("reflect")
    predictions, labels = maps(case, 3), maps(case, 5)[3:]

    def features(shown: Tensor) -> Tensor:
        return mapped(network, case.task, shown, labels, pairs=torch.full((5,), 2))

    before = features(predictions)
    order = torch.tensor([1, 2, 0])
    swapped = features(predictions[order])
    torch.testing.assert_close(swapped[:3], before[order], rtol=0, atol=1e-9)
    torch.testing.assert_close(swapped[3:], before[3:], rtol=0, atol=1e-9)
    assert (swapped[:3] - before[:3]).abs().max() > 1e-4


def margin(levels: int) -> int:
    """Cells of the features whose receptive field may reach over the border of the map."""
    radius = 1 + sum((convolutions + 1) << level for level, convolutions in enumerate(LAYERS[:levels]))
    return -(-radius >> levels)


def freeze(network: MappingNetwork) -> None:
    """Give every normalisation fixed statistics: those of a crop differ from those of the whole map."""
    for module in list(network.modules()):
        if isinstance(norm := getattr(module, "norm", None), nn.BatchNorm2d | nn.InstanceNorm2d):
            channels = norm.num_features
            module.norm = nn.BatchNorm2d(channels, dtype=torch.float64).eval()
            assert module.norm.running_mean is not None
            module.norm.running_mean.copy_(0.2 * torch.rand(channels))


def inner(features: Tensor, cells: int) -> Tensor:
    return features[..., cells:-cells, cells:-cells]


@settings(max_examples=15, deadline=None)
@given(cases(cells=11, levels=3), st.tuples(st.integers(0, 2), st.integers(0, 2)))
def test_a_crop_has_the_features_of_its_place_away_from_its_border(case: Case, corner: Sequence[int]) -> None:
    network = case.network("reflect")
    freeze(network)
    whole = maps(case, 2)
    top, left = corner
    cropped = whole[..., top * case.stride :, left * case.stride :]
    cells = margin(len(case.channels))
    expected = mapped(network, case.task, whole)[..., top:, left:]
    found = mapped(network, case.task, cropped)
    torch.testing.assert_close(inner(found, cells), inner(expected, cells), rtol=0, atol=1e-9)


@pytest.mark.parametrize("padding", ["reflect", "zeros"])
def test_features_shift_with_their_map_and_zeros_differ_within_the_margin_only(padding: str) -> None:
    case = Case((6, 6), "apart", "normal", (48, 64), 3)
    network = case.network(padding)
    freeze(network)
    wide = torch.rand(2, 3, 48, 64 + 2 * case.stride).double()
    left, right = mapped(network, "normal", wide[..., :64]), mapped(network, "normal", wide[..., -64:])
    cells = margin(2)
    torch.testing.assert_close(inner(left[..., 2:], cells), inner(right[..., :-2], cells), rtol=0, atol=1e-9)
    assert spread(inner(left, cells)) > 1e-2
    # The border of one map is inside the other.
    assert (left[..., -1] - right[..., -3]).abs().max() > 1e-3
