from typing import Any

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn

from rdc_sweeps.parallel.batch_norm import share_batch_norms
from rdc_sweeps.parallel.world import world
from tests.devices import TWO_GPUS

from .processes import in_group

LAYERS: dict[str, Any] = {
    "2d": lambda: nn.BatchNorm2d(3),
    "with activation": lambda: BatchNormAct2d(3, act_layer=nn.SiLU),
    "without parameters": lambda: nn.BatchNorm2d(3, affine=False),
    "cumulative": lambda: nn.BatchNorm2d(3, momentum=None),
}
SHARES = {2: [(0, 5), (5, 6)], 3: [(0, 2), (2, 2), (2, 6)]}
"""Unequal ones, and one without any image."""


def layer(name: str) -> nn.Module:
    torch.manual_seed(0)
    built: nn.Module = LAYERS[name]().double()
    for parameter in built.parameters():
        nn.init.normal_(parameter, 1.0)
    return built


def features() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    scale, offset = torch.tensor([1.0, 1e-3, 50.0]), torch.tensor([0.0, 10.0, -1e3])
    values = torch.randn(6, 3, 4, 5, generator=generator) * scale[:, None, None] + offset[:, None, None]
    return values.double()


def passed(name: str, values: Tensor, device: str = "cpu") -> dict[str, Tensor]:
    """Two passes through a layer and the gradients of a loss that tells all elements apart."""
    norm = layer(name).to(device)
    share_batch_norms(norm, world())
    first, end = (0, 6) if world().size == 1 else SHARES[world().size][world().rank]
    own = values[first:end].to(device).requires_grad_()
    for _ in range(2):
        output = norm(own)
    weights = torch.randn(6, 3, 4, 5, generator=torch.Generator().manual_seed(2)).double()[first:end]
    (output * weights.to(device)).sum().backward()
    world().sum_gradients(list(norm.parameters()))
    norm.eval()
    assert own.grad is not None
    gradients = {f"gradient of {key}": value.grad for key, value in norm.named_parameters() if value.grad is not None}
    found = {
        "output": output.detach(),
        "gradient": own.grad,
        "evaluated": norm(own).detach(),
        **{key: value.clone() for key, value in norm.state_dict().items()},
        **gradients,
    }
    return {key: value.cpu() for key, value in found.items()}


@pytest.mark.parametrize(("size", "device"), [(2, "cpu"), (3, "cpu"), pytest.param(2, "cuda", marks=TWO_GPUS.marks)])
@pytest.mark.parametrize("name", LAYERS)
def test_shares_of_a_batch_are_normalised_like_the_batch(name: str, size: int, device: str) -> None:
    expected = passed(name, features())
    parts = in_group(size, passed, name, features(), device, on_gpus=device == "cuda")
    for key in ("output", "gradient", "evaluated"):
        torch.testing.assert_close(torch.cat([part[key] for part in parts]), expected[key], rtol=1e-9, atol=1e-9)
    for part in parts:
        assert part.keys() == expected.keys()
        for key in part.keys() - {"output", "gradient", "evaluated"}:
            torch.testing.assert_close(part[key], expected[key], rtol=1e-9, atol=1e-9)


def half(values: Tensor) -> Tensor:
    norm = nn.BatchNorm2d(3)
    share_batch_norms(norm, world())
    own: Tensor = norm(values.chunk(world().size)[world().rank])
    return own.detach()


def test_half_precision_features_have_precise_statistics() -> None:
    values = features().to(torch.bfloat16)
    expected = nn.BatchNorm2d(3)(values).detach()
    output = torch.cat(in_group(2, half, values))
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output, expected, rtol=0.02, atol=0.02)
