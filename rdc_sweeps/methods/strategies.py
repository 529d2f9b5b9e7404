"""From the spec of a contrast to the strategy that `rdc_sweeps.contrast` takes."""

from typing import Any

from rdc_sweeps.contrast import GaussianContrast, PixelContrast, Strategy, VectorContrast
from rdc_sweeps.specs.method import RegionContrast


def contrast_strategy(spec: RegionContrast) -> Strategy:
    """The strategy of a method's spec; fields of one name mean the same in both."""
    contrast = spec.contrast
    fields: dict[str, Any] = contrast.model_dump(exclude={"name", "covariance", "root"}) | {
        "min_pixels": spec.min_pixels
    }
    match contrast.name:
        case "vector":
            return VectorContrast(**fields)
        case "pixel":
            return PixelContrast(**fields)
        case "gaussian":
            return GaussianContrast(**fields, **contrast.covariance.model_dump(), method=contrast.root)
