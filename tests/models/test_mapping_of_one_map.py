"""a_theta with `norm: single` and zero padding is that of the authors' codes, which sees one map at a time."""

import pytest
import torch
from torch import nn

from benchmarks.fidelity.references import mapping
from rdc_sweeps.models.mapping import MappingNetwork, TaskMaps
from rdc_sweeps.models.network import task_channels
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.method import MappingSpec

SETTINGS: dict[str, tuple[tuple[Task, ...], int, tuple[int, ...]]] = {
    "NYU-V2, channels of the release": (("semantic", "depth", "normal"), 13, (16, 24, 32, 32)),
    "Cityscapes, five levels as in Li et al.": (("semantic", "depth"), 7, (8, 12, 16, 20, 20)),
}


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
                expected = mapping.features(
                    one[None], task, int(pairs[item]), network.state_dict(), reflect=padding == "reflect"
                )
                torch.testing.assert_close(found[item], expected[0], rtol=0, atol=1e-12)


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
