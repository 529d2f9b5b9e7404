import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from rdc_sweeps.models.pointwise import PointwiseConvolution, speed_up_pointwise
from rdc_sweeps.models.registry import build_network
from rdc_sweeps.specs.backbone import EfficientNetLite0Spec, Hrnet18Spec, NoWeights


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def values_and_gradients(convolution: nn.Conv2d, maps: Tensor) -> list[Tensor]:
    maps = maps.detach().requires_grad_()
    values = convolution(maps)
    weights = torch.linspace(-1, 1, values.numel(), dtype=values.dtype).view_as(values)
    return [values.detach(), *torch.autograd.grad((values * weights).sum(), [maps, *convolution.parameters()])]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("shape", [(2, 6, 12, 10), (1, 6, 3, 5), (20, 6, 3, 5), (0, 6, 12, 10)], ids=str)
@pytest.mark.parametrize("bias", [True, False])
def test_values_and_gradients_are_those_of_the_plain_convolution(
    dtype: torch.dtype, tolerance: float, layout: torch.memory_format, shape: tuple[int, ...], bias: bool
) -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(6, 9, 1, bias=bias).to(dtype)
    fast = copy.deepcopy(plain)
    speed_up_pointwise(fast)
    assert isinstance(fast, PointwiseConvolution)
    maps = torch.randn(shape, dtype=dtype).to(memory_format=layout)
    expected, found = values_and_gradients(plain, maps), values_and_gradients(fast, maps)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


def test_small_batches_of_one_thread_are_counted_as_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []
    real = nn.Conv2d.forward

    def watched(self: nn.Conv2d, maps: Tensor) -> Tensor:
        seen.append(tuple(maps.shape))
        return real(self, maps)

    monkeypatch.setattr(nn.Conv2d, "forward", watched)
    convolution = nn.Conv2d(6, 9, 1)
    speed_up_pointwise(convolution)
    maps = torch.randn(2, 6, 12, 10)
    convolution(maps)
    torch.set_num_threads(2)
    convolution(maps)
    assert seen == [(24, 6, 1, 10), (2, 6, 12, 10)]


@pytest.mark.parametrize("spec", [Hrnet18Spec(pretrained=NoWeights()), EfficientNetLite0Spec(pretrained=NoWeights())])
def test_a_network_is_the_same_with_plain_convolutions(spec: Hrnet18Spec | EfficientNetLite0Spec) -> None:
    torch.manual_seed(0)
    network = build_network(spec, ("semantic", "depth"), 5, weights_root=None)
    plain = copy.deepcopy(network)
    fast = [module for module in plain.modules() if isinstance(module, PointwiseConvolution)]
    assert fast
    for module in fast:
        module.__class__ = nn.Conv2d  # type: ignore[assignment]
    assert list(plain.state_dict()) == list(network.state_dict())
    image = torch.rand(2, 3, 64, 96)
    for task, maps in network.double()(image.double()).items():
        torch.testing.assert_close(maps, plain.double()(image.double())[task], rtol=1e-10, atol=1e-10)


def test_other_convolutions_stay() -> None:
    others = nn.Sequential(
        nn.Conv2d(4, 4, 1, stride=2), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 1, groups=2), nn.Conv2d(4, 4, 1, padding=1)
    )
    speed_up_pointwise(others)
    assert all(type(convolution) is nn.Conv2d for convolution in others)
