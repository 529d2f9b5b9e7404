"""From the spec of a contrast to the strategy that `rdc_sweeps.contrast` takes."""

from rdc_sweeps.contrast import GaussianContrast, PixelContrast, Strategy, VectorContrast
from rdc_sweeps.specs.method import RegionContrast


def contrast_strategy(spec: RegionContrast) -> Strategy:
    """The strategy of a method's spec."""
    contrast, smallest = spec.contrast, spec.min_pixels
    match contrast.name:
        case "vector":
            return VectorContrast(
                distance=contrast.distance,
                temperature=contrast.temperature,
                negatives=contrast.negatives,
                negative_count=contrast.negative_count,
                min_pixels=smallest,
            )
        case "pixel":
            return PixelContrast(
                distance=contrast.distance,
                temperature=contrast.temperature,
                negatives=contrast.negatives,
                min_pixels=smallest,
                pixels_per_region=contrast.pixels_per_region,
            )
        case "gaussian":
            return GaussianContrast(
                distance=contrast.distance,
                temperature=contrast.temperature,
                negatives=contrast.negatives,
                negative_count=contrast.negative_count,
                min_pixels=smallest,
                shrinkage=contrast.covariance.shrinkage,
                ridge=contrast.covariance.ridge,
                direction=contrast.direction,
                diagonal=contrast.diagonal,
                method=contrast.root,
            )
