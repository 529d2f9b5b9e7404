"""What the contrast alone can tell of maps that know nothing of each other: no places, and little of sizes."""

import pytest
import torch

from benchmarks.shortcuts.maps import even_regions, noise, thinned, uneven_regions
from benchmarks.shortcuts.measure import ACROSS, CONTRASTS, MIN_PIXELS, Measured, measured

IMAGES, CHANNELS, SIZE = 60, 8, (24, 32)


@pytest.fixture(scope="module")
def even() -> dict[str, Measured]:
    """Independent noise on squares."""
    generator = torch.Generator().manual_seed(0)
    sides = [noise(generator, IMAGES, CHANNELS, SIZE) for _ in range(2)]
    regions = even_regions(IMAGES, SIZE, 8)
    return {one.contrast: one for one in measured("", sides[0], sides[1], regions)}


@pytest.fixture(scope="module")
def uneven() -> dict[str, Measured]:
    """Independent noise on regions of very different size."""
    return on_uneven_regions(None)


@pytest.fixture(scope="module")
def few() -> dict[str, Measured]:
    """The same, with as many pixels of each region."""
    return on_uneven_regions(MIN_PIXELS)


def on_uneven_regions(pixels: int | None) -> dict[str, Measured]:
    generator = torch.Generator().manual_seed(0)
    regions = uneven_regions(generator, IMAGES, SIZE, 20)
    sides = [noise(generator, IMAGES, CHANNELS, SIZE) for _ in range(2)]
    chosen = regions if pixels is None else thinned(generator, regions, pixels)
    return {one.contrast: one for one in measured("", sides[0], sides[1], chosen, {**CONTRASTS, **ACROSS})}


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_noise_on_regions_of_one_size_is_told_apart_by_chance_only(even: dict[str, Measured], contrast: str) -> None:
    found = even[contrast]
    assert found.accuracy > 0
    assert abs(found.accuracy - found.chance) < 3.5 * found.error


@pytest.mark.parametrize("contrast", ["vector", "pixel", "Gaussian, W2, across", "Gaussian, KL, across"])
def test_the_size_of_a_region_says_nothing_to_directions_and_pixels_nor_to_gaussians_across_sides(
    uneven: dict[str, Measured], contrast: str
) -> None:
    found = uneven[contrast]
    assert abs(found.accuracy - found.chance) < 3.5 * found.error


@pytest.mark.parametrize("contrast", ["vector, squared", "Gaussian, W2", "Gaussian, KL"])
def test_where_moments_are_compared_the_largest_regions_find_each_other(
    uneven: dict[str, Measured], contrast: str
) -> None:
    # The moments of most pixels scatter least, so the largest region is nearest to all others: it alone is told apart,
    # on both sides, which is as good as the double of chance.
    found = uneven[contrast]
    assert found.chance + 2 * found.error < found.accuracy < 2.5 * found.chance
    assert found.largest > 0.4


@pytest.mark.parametrize("contrast", ["vector, squared", "Gaussian, W2", "Gaussian, KL"])
def test_it_says_nothing_if_as_many_pixels_of_each_region_count(few: dict[str, Measured], contrast: str) -> None:
    found = few[contrast]
    assert abs(found.accuracy - found.chance) < 3.5 * found.error


@pytest.mark.parametrize("contrast", CONTRASTS)
def test_constant_maps_are_never_told_apart(contrast: str) -> None:
    generator = torch.Generator().manual_seed(1)
    regions = uneven_regions(generator, 10, SIZE, 20)
    first, second = torch.randn(2, 10, CHANNELS, 1, 1, generator=generator).expand(-1, -1, -1, *SIZE)
    (found,) = measured("", first, second, regions, {contrast: CONTRASTS[contrast]})
    assert found.accuracy == 0
    assert found.chance > 0


def test_a_region_that_is_marked_is_told_apart() -> None:
    generator = torch.Generator().manual_seed(2)
    regions = uneven_regions(generator, 10, SIZE, 20)
    marks = torch.randn(10, 20, CHANNELS, generator=generator)
    shown = marks[torch.arange(10)[:, None, None], regions].movedim(-1, 1)
    first, second = (shown + 0.1 * torch.randn(shown.shape, generator=generator) for _ in range(2))
    for one in measured("", first, second, regions):
        assert one.accuracy > 0.8, one.contrast
