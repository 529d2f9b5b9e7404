"""What a region is to the contrast, as plain settings: a Gaussian, a vector, or its pixels."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, get_args, get_type_hints

from rdc_sweeps.contrast.gaussians import Shrinkage, check_regularisation
from rdc_sweeps.contrast.infonce import check_temperature
from rdc_sweeps.contrast.kl import Direction
from rdc_sweeps.contrast.wasserstein import RootMethod
from rdc_sweeps.errors import UsageError

Negatives = Literal["both", "other"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class GaussianContrast:
    """Regions as Gaussians (eq. 2), compared by Wasserstein distance (eq. 5) or KL divergence.

    Attributes:
        distance: "wasserstein" (squared 2-Wasserstein) or "kl".
        temperature: tau of eq. 4.
        negatives: The other regions of "both" tasks, or of the "other" task only.
        negative_count: Draw this many negatives of each anchor, anew in each call; None takes all.
        shrinkage: Covariance shrinkage alpha in [0, 1], or "oas"; see `region_gaussians`.
        ridge: Diagonal added to the covariance, relative to its mean variance.
        pooled_ridge: Diagonal added, relative to the mean variance of all regions of the image.
        min_pixels: Regions with fewer pixels are left out.
        direction: For "kl", from anchor a to candidate b, the reverse, or the symmetric sum.
        diagonal: For "kl", use the variance of each channel only.
        method: For "wasserstein", how the root is found; see `wasserstein2_squared`.

    Raises:
        UsageError: A field is out of range.
    """

    distance: Literal["wasserstein", "kl"] = "wasserstein"
    temperature: float = 5.4
    negatives: Negatives = "both"
    negative_count: int | None = None
    shrinkage: Shrinkage = 0.1
    ridge: float = 1e-3
    pooled_ridge: float = 0.0
    min_pixels: int = 2
    direction: Direction = "a_to_b"
    diagonal: bool = False
    method: RootMethod = "polar"

    def __post_init__(self) -> None:
        _check_choices(self, "distance", "negatives", "direction", "method")
        _check_count(self.negative_count)
        check_temperature(self.temperature)
        check_regularisation(self.shrinkage, self.ridge, self.min_pixels, self.pooled_ridge)


@dataclasses.dataclass(frozen=True, kw_only=True)
class VectorContrast:
    """Regions as the mean of their features.

    Attributes:
        distance: "cosine" (1 - cos) or "squared_euclidean", the limit of the Wasserstein distance without covariance.
        temperature: tau of eq. 4.
        negatives: The other regions of "both" tasks, or of the "other" task only.
        negative_count: Draw this many negatives of each anchor, anew in each call; None takes all.
        min_pixels: Regions with fewer pixels are left out.

    Raises:
        UsageError: A field is out of range.
    """

    distance: Literal["cosine", "squared_euclidean"] = "cosine"
    temperature: float = 0.1
    negatives: Negatives = "both"
    negative_count: int | None = None
    min_pixels: int = 2

    def __post_init__(self) -> None:
        _check_choices(self, "distance", "negatives")
        _check_count(self.negative_count)
        check_temperature(self.temperature)
        check_regularisation(0.0, 0.0, self.min_pixels)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PixelContrast:
    """Regions as their pixels: the same pixel of the other task is the positive, pixels of other regions the negatives.

    Attributes:
        distance: "cosine" (1 - cos), "squared_euclidean", or "dot" (the negative dot product).
        temperature: tau of eq. 4.
        negatives: Pixels of the other regions of "both" tasks, or of the "other" task only.
        min_pixels: Regions with fewer pixels are left out.
        pixels_per_region: Draw this many pixels of each region, the same in both tasks; None takes all, exactly.

    Raises:
        UsageError: A field is out of range.
    """

    distance: Literal["cosine", "squared_euclidean", "dot"] = "cosine"
    temperature: float = 0.1
    negatives: Negatives = "both"
    min_pixels: int = 2
    pixels_per_region: int | None = None

    def __post_init__(self) -> None:
        _check_choices(self, "distance", "negatives")
        check_temperature(self.temperature)
        check_regularisation(0.0, 0.0, self.min_pixels)
        if self.pixels_per_region is not None and self.pixels_per_region < 1:
            raise UsageError(f"pixels_per_region must be at least 1, or None for all, not {self.pixels_per_region}")


Strategy = GaussianContrast | VectorContrast | PixelContrast


def _check_count(count: int | None) -> None:
    if count is not None and count < 1:
        raise UsageError(f"negative_count must be at least 1, or None for all, not {count}")


def _check_choices(strategy: Any, *fields: str) -> None:
    hints = get_type_hints(type(strategy))
    for field in fields:
        choices, found = get_args(hints[field]), getattr(strategy, field)
        if found not in choices:
            raise UsageError(f"{type(strategy).__name__}.{field} must be one of {', '.join(choices)}, not {found!r}")
