"""Every contrast on a GPU, or as on one: the values of the CPU in double precision, and nothing that waits."""

from functools import partial
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor

from rdc_sweeps.contrast import index_regions, loss, region_contrast
from rdc_sweeps.contrast.elsewhere import OtherImages
from rdc_sweeps.contrast.released import ReleasedBank
from rdc_sweeps.specs.contrast import ContrastSpec, GaussianContrast, ReleasedContrast, VectorContrast
from tests.contrast.test_loss import EVERY, FURTHER, scene
from tests.devices import CUDA, as_on_a_gpu, without_waiting

IMAGES: list[ContrastSpec] = [
    GaussianContrast(negatives="images"),
    GaussianContrast(negatives="images", distance="kl", direction="symmetric"),
    VectorContrast(negatives="images"),
]
CASES = [(spec, which) for spec in EVERY for which in ("two maps", "further maps")]
CASES += [(spec, "other images") for spec in IMAGES]
CASES += [(GaussianContrast(), "further maps, in turns")]

VALUES, GRADIENTS = 1e-4, 1e-3
"""Largest errors of single precision, relative to the loss and to the norm of its gradient."""


def loss_and_gradients(
    spec: ContrastSpec, which: str, device: str, dtype: torch.dtype, *, waits: bool = True
) -> list[Tensor]:
    """The losses of two images, one of which has fewer regions, and the gradients of both sides."""
    prediction, near, regions = scene(3, d=8, number=6, size=(18, 24))
    label = near - 0.7 * prediction  # far enough for losses that are not near 0
    regions[1] = torch.where(regions[1] < 3000, regions[1], -1)
    index = index_regions(regions, 8).to(device)
    sides = [side.to(device, dtype).requires_grad_() for side in (prediction, label)]
    others = OtherImages((sides[0], sides[1]), torch.tensor([[1], [0]])) if which == "other images" else None
    further = FURTHER if which.startswith("further maps") else None
    turn_bytes = 1 if which.endswith("in turns") else loss.TURN_BYTES
    pixels = torch.rand(2, 2 * 18 * 24, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).to(device)

    def step() -> list[Tensor]:
        draw = partial(_drawn, pixels)
        with mock.patch.object(loss, "TURN_BYTES", turn_bytes):
            found = region_contrast(
                sides[0], sides[1], index, spec, min_pixels=2, draw=draw, further=further, others=others
            )
        gradients = torch.autograd.grad(found.losses.sum(), sides)
        return [found.losses.detach(), *gradients]

    if waits:
        return step()
    if device == "cuda":
        step()  # the first call makes handles of libraries
    with without_waiting(device):
        return step()


def _drawn(numbers: Tensor, shape: tuple[int, ...]) -> Tensor:
    return numbers[: shape[0], : torch.Size(shape[1:]).numel()].reshape(shape)


@pytest.mark.parametrize("device", ["cpu", CUDA])
@pytest.mark.parametrize(("spec", "which"), CASES, ids=str)
def test_values_and_gradients_are_those_of_double_precision_on_the_cpu(
    spec: ContrastSpec, which: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = loss_and_gradients(spec, which, "cpu", torch.float64)
    as_on_a_gpu(monkeypatch)
    found = loss_and_gradients(spec, which, device, torch.float32)
    assert expected[0].min() > 0.01
    torch.testing.assert_close(found[0].cpu().double(), expected[0], rtol=VALUES, atol=0)
    for one, other in zip(found[1:], expected[1:], strict=True):
        assert (one.cpu().double() - other).norm() <= GRADIENTS * other.norm()


@pytest.mark.parametrize("device", ["meta", CUDA])
@pytest.mark.parametrize(("spec", "which"), CASES, ids=str)
def test_the_host_never_waits_if_regions_are_indexed(spec: ContrastSpec, which: str, device: str) -> None:
    if getattr(spec, "root", "polar") != "polar":
        pytest.skip("decompositions wait for the device, which is why polar is the default")
    found = loss_and_gradients(spec, which, device, torch.float32, waits=False)
    assert {one.device.type for one in found} == {device}


@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_the_released_contrast_has_one_bank_on_every_device(device: str) -> None:
    prediction, label, regions = scene(3, d=8, number=6, size=(18, 24))
    losses, banks = [], []
    for where in ("cpu", device):
        bank = ReleasedBank(ReleasedContrast(bank=30), 8).to(where)
        index = index_regions(regions).to(where)
        sides: list[Any] = [side.float().to(where) for side in (prediction, label)]
        losses.append([bank(*sides, index, min_pixels=2, gather_rows=_alone).cpu() for _ in range(3)])
        banks.append({name: value.cpu() for name, value in bank.state_dict().items()})
    torch.testing.assert_close(losses[1], losses[0], rtol=VALUES, atol=0)
    torch.testing.assert_close(banks[1], banks[0], rtol=VALUES, atol=1e-6)


def _alone(rows: Tensor) -> tuple[Tensor, slice]:
    return rows, slice(None)
