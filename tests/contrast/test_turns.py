"""Items that take turns have the losses and gradients of items that are compared at once."""

from dataclasses import asdict
from functools import partial
from weakref import WeakSet

import pytest
import torch
from torch import Tensor

from rdc_sweeps.contrast import ContrastOutcome, region_contrast
from rdc_sweeps.contrast.further import FurtherNegatives
from rdc_sweeps.specs.contrast import GaussianContrast

ITEMS, CHANNELS, SIZE = 5, 16, (18, 24)
SPECS = (
    GaussianContrast(),
    GaussianContrast(negatives="other", temperature=0.7),
    GaussianContrast(negative_count=3),
)
SOME = FurtherNegatives(
    maps=torch.tensor([[1, 6], [0, -1], [-1, -1], [9, 4], [3, 8]]),
    weights=torch.tensor([[0.5, 0.5], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [0.5, 0.25]]),
)


def scene() -> tuple[Tensor, Tensor, Tensor]:
    """Features of both sides and region ids, of which the last item has one only."""
    generator = torch.Generator().manual_seed(3)
    prediction, label = torch.randn(2, ITEMS, CHANNELS, *SIZE, generator=generator)
    regions = torch.randint(-1, 6, (ITEMS, *SIZE), generator=generator)
    regions[-1] = 4
    return prediction, label, regions


def compared(
    monkeypatch: pytest.MonkeyPatch, turn_bytes: int, spec: GaussianContrast, further: FurtherNegatives | None
) -> tuple[ContrastOutcome, list[Tensor]]:
    """The outcome, and the gradients of a sum of losses that count differently."""
    monkeypatch.setattr("rdc_sweeps.contrast.loss.TURN_BYTES", turn_bytes)
    prediction, label, regions = scene()
    prediction.requires_grad_()
    label.requires_grad_()
    draw = partial(torch.rand, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    outcome = region_contrast(prediction, label, regions, spec, min_pixels=2, draw=draw, further=further)
    weighted = outcome.losses @ torch.linspace(-1, 2, ITEMS)
    return outcome, list(torch.autograd.grad(weighted, [prediction, label]))


def polar_bytes(items: int) -> int:
    """The size of the polar factors of some items with two maps of six regions."""
    return items * 12 * 11 // 2 * CHANNELS**2 * 4


@pytest.mark.parametrize("further", [None, SOME], ids=["pair", "further"])
@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("turn_bytes", [1, polar_bytes(2)])
def test_the_same_outcome_and_gradients(
    monkeypatch: pytest.MonkeyPatch, spec: GaussianContrast, further: FurtherNegatives | None, turn_bytes: int
) -> None:
    expected, gradients = compared(monkeypatch, 2**40, spec, further)
    found, in_turns = compared(monkeypatch, turn_bytes, spec, further)
    torch.testing.assert_close(found.losses, expected.losses, rtol=1e-6, atol=0)
    torch.testing.assert_close(found.hits, expected.hits, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(found.chance, expected.chance, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(asdict(found.diagnostics), asdict(expected.diagnostics), rtol=1e-6, atol=0)
    torch.testing.assert_close(in_turns, gradients, rtol=1e-4, atol=1e-7)
    assert gradients[0].abs().amax((1, 2, 3))[:-1].min() > 1e-4
    assert found.losses[-1] == 0


@pytest.mark.parametrize("side", [0, 1])
def test_a_detached_side_has_no_gradient(monkeypatch: pytest.MonkeyPatch, side: int) -> None:
    monkeypatch.setattr("rdc_sweeps.contrast.loss.TURN_BYTES", 1)
    prediction, label, regions = scene()
    wanted, other = (prediction, label)[:: 1 - 2 * side]
    wanted.requires_grad_()
    region_contrast(prediction, label, regions, GaussianContrast(), min_pixels=2).loss.backward()
    assert wanted.grad is not None
    assert other.grad is None


class Held:
    """A tensor that a graph holds."""

    def __init__(self, values: Tensor) -> None:
        self.values = values


def test_the_graph_holds_less(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    for turn_bytes in (2**40, 1):
        monkeypatch.setattr("rdc_sweeps.contrast.loss.TURN_BYTES", turn_bytes)
        prediction, label, regions = scene()
        living = WeakSet[Held]()

        def hold(values: Tensor, living: WeakSet[Held] = living) -> Held:
            held = Held(values)
            living.add(held)
            return held

        with torch.autograd.graph.saved_tensors_hooks(hold, lambda held: held.values):
            prediction.requires_grad_()
            loss = region_contrast(prediction, label, regions, GaussianContrast(), min_pixels=2).loss
        storages = {held.values.data_ptr(): held.values.untyped_storage().nbytes() for held in living}
        sizes.append(sum(storages.values()))
        loss.backward()
    assert sizes[0] - sizes[1] > 0.5 * polar_bytes(ITEMS - 1)
