from functools import partial

import pytest
import torch

from rdc_sweeps.contrast import region_contrast
from rdc_sweeps.contrast.arithmetic import Draw
from rdc_sweeps.data.noise import step_noise
from rdc_sweeps.specs.contrast import ContrastSpec, GaussianContrast, PixelContrast, VectorContrast

contrast = partial(region_contrast, min_pixels=2)


def numbers(seed: int) -> Draw:
    return partial(torch.rand, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def items() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    regions = torch.arange(6).repeat_interleave(4)[None, :, None].expand(2, -1, 6)
    return torch.randn(2, 3, 24, 6), torch.randn(2, 3, 24, 6), regions


@pytest.mark.parametrize("spec", [GaussianContrast, VectorContrast])
def test_a_negative_count_of_all_negatives_uses_all_of_them(spec: type[GaussianContrast | VectorContrast]) -> None:
    one, other, regions = items()
    everything = contrast(one, other, regions, spec()).losses
    torch.testing.assert_close(contrast(one, other, regions, spec(negative_count=10)).losses, everything)
    torch.testing.assert_close(contrast(one, other, regions, spec(negative_count=99)).losses, everything)


def test_fewer_negatives_are_drawn_anew_and_make_the_task_easier() -> None:
    one, other, regions = items()
    losses = []
    for seed in range(20):
        spec = GaussianContrast(negative_count=2)
        losses.append(contrast(one, other, regions, spec, draw=numbers(seed)).loss)
    assert len({loss.item() for loss in losses}) > 10
    assert max(losses) < contrast(one, other, regions, GaussianContrast()).loss


@pytest.mark.parametrize(
    "spec", [GaussianContrast(negative_count=2), VectorContrast(negative_count=2), PixelContrast(pixels_per_region=3)]
)
def test_draws_of_an_item_do_not_depend_on_its_neighbours(spec: ContrastSpec) -> None:
    """Nor on how many regions these have, if the item's random numbers do not."""
    one, other, few = items()
    many = torch.arange(24)[None, :, None].expand(1, -1, 6)
    noise = step_noise(0, 0, 0, range(2))
    for regions in (few, torch.cat([few[:1], many]), torch.cat([many, few[:1]])):
        together = contrast(one, other, regions, spec, draw=noise.uniform).losses
        for item in range(2):
            chosen = torch.tensor([item])
            alone = contrast(one[chosen], other[chosen], regions[chosen], spec, draw=noise.select(chosen).uniform)
            torch.testing.assert_close(alone.losses[0], together[item])
