"""a_theta with `norm: single` and zero padding is the map network of the authors' codes, which sees one map at a time.

The map network is written here a second time, from sums over windows and plain formulas, without layers.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdc_sweeps.models.mapping import MappingNetwork, TaskMaps
from rdc_sweeps.models.network import task_channels
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.method import MappingSpec

SETTINGS: dict[str, tuple[tuple[Task, ...], int, tuple[int, ...]]] = {
    "NYU-V2, channels of the release": (("semantic", "depth", "normal"), 13, (16, 24, 32, 32)),
    "Cityscapes, five levels as in Li et al.": (("semantic", "depth"), 7, (8, 12, 16, 20, 20)),
}


def normalised(values: Tensor) -> Tensor:
    """A map (C, H, W) with mean 0 and (nearly) variance 1 in every channel."""
    mean = values.mean((1, 2), keepdim=True)
    return (values - mean) / ((values - mean).square().mean((1, 2), keepdim=True) + 1e-5).sqrt()


def convolved(values: Tensor, weight: Tensor, bias: Tensor, padding: str) -> Tensor:
    """A map (C, H, W) to (D, H, W), window by window."""
    height, width = values.shape[1:]
    if padding == "zeros":
        framed = F.pad(values, (1, 1, 1, 1))
    else:
        rows = [1, *range(height), height - 2]
        columns = [1, *range(width), width - 2]
        framed = values[:, rows][:, :, columns]
    summed = bias[:, None, None].expand(-1, height, width)
    for down in range(3):
        for right in range(3):
            window = framed[:, down : down + height, right : right + width]
            summed = summed + torch.einsum("dc,chw->dhw", weight[:, :, down, right], window)
    return summed


def mapped(
    network: MappingNetwork, padding: str, tasks: tuple[Task, ...], task: Task, pair: int, map_: Tensor
) -> Tensor:
    """The map network on one map (C, H, W)."""
    own = dict(network.named_parameters())

    def block(values: Tensor, name: str) -> Tensor:
        values = normalised(convolved(values, own[f"{name}.conv.weight"], own[f"{name}.conv.bias"], padding))
        return values * own[f"{name}.norm.weight"][:, None, None] + own[f"{name}.norm.bias"][:, None, None]

    values = block(map_, f"inputs.{task}").clamp_min(0)
    for level, layers in enumerate((2, 2, 3, 3, 3)[: len(network.levels)]):
        for layer in range(layers):
            name = f"levels.{level}.layers.{layer}"
            film = [own[f"{name}.{parameter}"][pair][:, None, None] for parameter in ("gamma", "beta")]
            values = (block(values, f"{name}.convolution") * film[0] + film[1]).clamp_min(0)
        channels, height, width = values.shape
        values = values.view(channels, height // 2, 2, width // 2, 2).amax((2, 4))
    return values


@pytest.mark.parametrize("padding", ["zeros", "reflect"])
@pytest.mark.parametrize("setting", SETTINGS)
def test_each_map_is_mapped_as_if_it_were_alone(setting: str, padding: str) -> None:
    tasks, classes, channels = SETTINGS[setting]
    torch.manual_seed(0)
    spec = MappingSpec.model_validate({"channels": channels, "norm": "single", "padding": padding})
    network = MappingNetwork(task_channels(tasks, classes), spec).double()
    for name, parameter in network.named_parameters():
        if not name.endswith("conv.weight"):
            nn.init.normal_(parameter, 1.0, 0.3)
    order = torch.randperm(2 * len(tasks))
    sides = {task: torch.randn(2, count, 64, 96).double() for task, count in task_channels(tasks, classes).items()}
    inputs = {task: TaskMaps(maps.split(1), order[2 * i : 2 * i + 2]) for i, (task, maps) in enumerate(sides.items())}
    pairs = torch.randint(len(tasks) * (len(tasks) - 1), (2 * len(tasks),))
    with torch.no_grad():
        found = network(inputs, pairs)
        for task, maps in sides.items():
            for item, one in zip(inputs[task].items.tolist(), maps, strict=True):
                expected = mapped(network, padding, tasks, task, int(pairs[item]), one)
                torch.testing.assert_close(found[item], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("channels", [1, 5])
def test_one_map_is_normalised_as_a_batch_norm_does_that_sees_it_alone(channels: int) -> None:
    torch.manual_seed(1)
    network = MappingNetwork({"depth": 1, "normal": 3}, MappingSpec(channels=(channels,), norm="single")).double()
    norm = network.inputs["depth"].norm
    alone = nn.BatchNorm2d(channels).double()
    for parameter, same in zip(norm.parameters(), alone.parameters(), strict=True):  # type: ignore[union-attr]
        nn.init.normal_(parameter, 1.0)
        same.data.copy_(parameter)
    maps = torch.randn(4, channels, 7, 9).double() * 3 + 2
    expected = torch.cat([alone(one) for one in maps.split(1)])
    torch.testing.assert_close(norm(maps), expected, rtol=0, atol=1e-12)  # type: ignore[operator]
