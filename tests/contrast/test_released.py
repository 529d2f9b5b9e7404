"""The released value against a loop that scores one region at a time."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.fidelity.references.released_contrast import ReleasedContrast as Reference
from rdc_sweeps.contrast.index import index_regions
from rdc_sweeps.contrast.released import ReleasedBank
from rdc_sweeps.specs.contrast import ReleasedContrast

SIZE, CHANNELS = (18, 24), 4


def batch(images: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sides = torch.randn(2, images, CHANNELS, *SIZE, generator=generator, dtype=torch.float64)
    regions = torch.randint(0, 5, (images, 3, 4), generator=generator).repeat_interleave(6, 1).repeat_interleave(6, 2)
    return sides[0], 0.5 * sides[0] + sides[1], regions


@given(seed=st.integers(0, 10**6), bank=st.integers(2, 40), sizes=st.lists(st.integers(1, 4), min_size=1, max_size=3))
@settings(max_examples=20)
def test_the_value_is_that_of_a_loop_over_regions_with_a_bank(seed: int, bank: int, sizes: list[int]) -> None:
    ours = ReleasedBank(ReleasedContrast(temperature=2.0, bank=bank), CHANNELS)
    reference = Reference(temperature=2.0, capacity=bank)
    for number, images in enumerate(sizes):
        source, target, regions = batch(images, seed + number)
        found = ours(source, target, index_regions(regions), min_pixels=10)
        expected = [
            reference(source[image].numpy(), target[image].numpy(), regions[image].numpy()) for image in range(images)
        ]
        assert found.tolist() == pytest.approx(expected, rel=1e-9)
    assert int(ours.filled) == len(reference.bank)
    np.testing.assert_allclose(ours.means[: int(ours.filled)], np.stack([mean for mean, _ in reference.bank]))


def test_the_bank_is_part_of_the_state() -> None:
    one, other = (ReleasedBank(ReleasedContrast(bank=8), CHANNELS) for _ in range(2))
    source, target, regions = batch(2, 0)
    one(source, target, index_regions(regions), min_pixels=10)
    other.load_state_dict(one.state_dict())
    found = [bank(target, source, index_regions(regions), min_pixels=10) for bank in (one, other)]
    assert torch.equal(*found)


def test_an_item_without_regions_is_0_and_leaves_the_bank_as_it_is() -> None:
    bank = ReleasedBank(ReleasedContrast(), CHANNELS)
    source, target, regions = batch(2, 0)
    assert bank(source, target, index_regions(torch.full_like(regions, -1)), min_pixels=10).tolist() == [0, 0]
    assert int(bank.filled) == 0
    regions[1] = -1
    losses = bank(source, target, index_regions(regions), min_pixels=10)
    assert losses[0] != 0
    assert losses[1] == 0


def test_divergence_shows() -> None:
    bank = ReleasedBank(ReleasedContrast(), CHANNELS)
    source, target, regions = batch(2, 0)
    source[1, 2, 3, 4] = torch.nan
    losses = bank(source, target, index_regions(regions), min_pixels=10)
    assert losses[0].isfinite()
    assert losses[1].isnan()


def test_nothing_has_a_gradient_and_the_positive_does_not_matter() -> None:
    source, target, regions = batch(1, 0)
    first, second = (ReleasedBank(ReleasedContrast(), CHANNELS) for _ in range(2))
    index = index_regions(regions)
    found = first(source.requires_grad_(), target, index, min_pixels=10)
    assert not found.requires_grad
    # The two oldest regions are of the prediction.
    torch.testing.assert_close(second(source, torch.randn_like(target), index, min_pixels=10), found)
