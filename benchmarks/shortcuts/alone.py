"""The contrast alone: features of both sides are independent noise, or constant."""

from collections.abc import Iterator, Mapping

import torch

from benchmarks.shortcuts.maps import even_regions, noise, thinned, uneven_regions
from benchmarks.shortcuts.measure import ACROSS, CONTRASTS, MIN_PIXELS, Measured, measured
from rdc_sweeps.specs.contrast import ContrastSpec, CovarianceSpec, GaussianContrast

CHANNELS = 16
SCALES = {
    "profile cpu": ((48, 64), (24, 32), 40, 8),
    "profile paper": ((144, 192), (18, 24), 60, 16),
    "without resampling": ((48, 64), (48, 64), 40, 8),
}
"""Size of the region map, size of the features, uneven regions, and side of even ones."""

SHRINKAGES: Mapping[str, ContrastSpec] = {
    f"Gaussian, W2, shrinkage {alpha}": GaussianContrast(covariance=CovarianceSpec.model_validate({"shrinkage": alpha}))
    for alpha in (0.0, "oas", 1.0)
}

LEAST_PIXELS = (64, 128, 256)
"""One, two and four cells at paper scale."""


def run(images: int) -> Iterator[Measured]:
    """Noise on uneven and even regions at each scale, and constant maps."""
    for name, (region_size, size, number, side) in SCALES.items():
        generator = torch.Generator().manual_seed(0)
        uneven = uneven_regions(generator, images, region_size, number)
        even = even_regions(images, region_size, side)
        first, second = (noise(generator, images, CHANNELS, size) for _ in range(2))
        border = torch.ones(region_size, dtype=torch.bool)
        border[side:-side, side:-side] = False
        at_border = [("at the border", border.expand(images, -1, -1))]
        yield from measured(
            f"noise, {name}, uneven regions", first, second, uneven, {**CONTRASTS, **ACROSS, **SHRINKAGES}
        )
        for least in LEAST_PIXELS:
            what = f"noise, {name}, uneven regions of {least} pixels or more"
            yield from measured(what, first, second, uneven, ACROSS, min_pixels=least)
        few = thinned(generator, uneven, MIN_PIXELS)
        yield from measured(f"noise, {name}, uneven regions, {MIN_PIXELS} pixels of each", first, second, few)
        yield from measured(f"noise, {name}, even regions", first, second, even, among=at_border)
        values = torch.randn(2, images, CHANNELS, 1, 1, generator=generator)
        first, second = values.expand(-1, -1, -1, *size)
        yield from measured(f"constant, {name}, uneven regions", first, second, uneven)
