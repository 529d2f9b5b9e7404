"""One pass for normalisation, scale, shift and ReLU, against single operations."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from rdc_sweeps.models.film import normalise
from rdc_sweeps.models.mapping import MappingNetwork, TaskMaps, build_mapping
from rdc_sweeps.models.network import task_channels
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.method import MappingSpec

TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-10}
EPS = 1e-5


def single_operations(parts: list[Tensor], groups: list[int], scale: Tensor, shift: Tensor, border: bool) -> Tensor:
    normalised = [F.batch_norm(maps, None, None, training=True, eps=EPS) for maps in torch.cat(parts).split(groups)]
    maps = torch.addcmul(shift[..., None, None], scale[..., None, None], torch.cat(normalised)).relu()
    return F.pad(maps, (1, 1, 1, 1), mode="reflect") if border else maps


def in_one_pass(parts: list[Tensor], groups: list[int], scale: Tensor, shift: Tensor, border: bool) -> Tensor:
    return normalise(parts, groups, scale, shift, EPS, border=border)


def values_and_gradients(way: Any, parts: list[Tensor], groups: list[int], border: bool) -> list[Tensor]:
    count, channels = sum(map(len, parts)), parts[0].shape[1]
    generator = torch.Generator().manual_seed(1)
    scale, shift = torch.randn(2, count, channels, generator=generator, dtype=parts[0].dtype).unbind()
    leaves = [leaf.detach().clone().requires_grad_() for leaf in (*parts, scale, shift)]
    maps = way(leaves[:-2], groups, *leaves[-2:], border)
    weights = torch.randn(maps.shape, generator=generator, dtype=maps.dtype)
    return [maps.detach(), *torch.autograd.grad((maps * weights).sum(), leaves)]


def assert_near(found: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert (one - other).norm() <= tolerance * other.norm()


@pytest.mark.parametrize("border", [False, True])
@pytest.mark.parametrize("size", [(12, 10), (2, 3), (3, 2), (40, 5)], ids=str)
@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
def test_values_and_gradients_are_those_of_single_operations(
    dtype: torch.dtype, size: tuple[int, int], border: bool, threads: int
) -> None:
    torch.manual_seed(0)
    # One part as convolutions leave it, one with channels first; its mean is far from 0.
    parts = [torch.randn(3, 6, *size, dtype=dtype), torch.randn(2, 6, *size, dtype=dtype) + 5]
    parts[0] = parts[0].to(memory_format=torch.channels_last)
    groups = [1, 2, 2]
    expected = values_and_gradients(single_operations, parts, groups, border)
    assert_near(values_and_gradients(in_one_pass, parts, groups, border), expected, TOLERANCES[dtype])


def test_statistics_in_single_precision_are_as_exact_as_the_numbers() -> None:
    torch.manual_seed(0)
    maps = torch.randn(2, 3, 96, 128) + 100
    maps[:, :, 0, 0] = 1000.0
    scale = torch.ones(2, 3)
    exact = in_one_pass([maps.double()], [2], scale.double(), scale.double(), False)
    found = in_one_pass([maps], [2], scale, scale, False)
    assert (found - exact).abs().max() < 1e-3 * exact.std()


def test_not_a_number_stays_so() -> None:
    maps = torch.zeros(2, 1, 4, 4)
    maps[0, 0, 1, 1] = torch.nan
    found = in_one_pass([maps], [1, 1], torch.ones(2, 1), torch.zeros(2, 1), False)
    assert found[0].isnan().all()
    assert not found[1].isnan().any()


def mapped(network: MappingNetwork, dtype: torch.dtype) -> list[Tensor]:
    """Features of two predictions and a label of each task, and gradients of parameters and inputs."""
    torch.manual_seed(3)
    inputs: dict[Task, TaskMaps] = {}
    leaves: list[Tensor] = list(network.parameters())
    for number, (task, channels) in enumerate(task_channels(("semantic", "depth", "normal"), 5).items()):
        maps = [torch.rand(count, channels, 16, 24, dtype=dtype, requires_grad=True) for count in (2, 1)]
        inputs[task] = TaskMaps(maps, torch.tensor([8, 5, 2]) - number)
        leaves += maps
    features = network(inputs, torch.arange(9) % 6)
    weights = torch.linspace(-1, 1, features.numel(), dtype=dtype).view_as(features)
    return [features.detach(), *torch.autograd.grad((features * weights).sum(), leaves)]


def in_single_operations(network: MappingNetwork, dtype: torch.dtype) -> list[Tensor]:
    # Whoever looks at single layers gets single operations.
    seen: list[Tensor] = []
    handles = [module.register_forward_hook(lambda _, __, out: seen.append(out)) for module in network.modules()]
    found = mapped(network, dtype)
    assert len(seen) > 20
    for handle in handles:
        handle.remove()
    return found


def perturbed_mapping(norm: Any, padding: Any) -> MappingNetwork:
    torch.manual_seed(0)
    spec = MappingSpec(channels=(4, 6, 8), norm=norm, padding=padding)
    network = build_mapping(spec, ("semantic", "depth", "normal"), 5).double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return network


def errors(found: list[Tensor], exact: list[Tensor], network: MappingNetwork) -> dict[str, float]:
    """Relative errors of features and gradients; a convolution's bias is normalised away, its gradient is rounding."""
    names = ["features", *(name for name, _ in network.named_parameters()), *(f"input {n}" for n in range(6))]
    each = zip(names, found, exact, strict=True)
    return {name: float((a - b).norm() / b.norm()) for name, a, b in each if not name.endswith("conv.bias")}


@pytest.mark.parametrize("padding", ["reflect", "zeros"])
@pytest.mark.parametrize("norm", ["apart", "single", "pooled"])
def test_the_mapping_network_is_the_same_in_single_operations(norm: Any, padding: Any) -> None:
    network = perturbed_mapping(norm, padding)
    exact = in_single_operations(network, torch.float64)
    found = errors(mapped(network, torch.float64), exact, network)
    assert max(found.values()) < 1e-10, found
    network.float()
    single = errors(in_single_operations(network, torch.float32), exact, network)
    for name, error in errors(mapped(network, torch.float32), exact, network).items():
        assert error < 1e-5 + 3 * single[name], name
