"""Region features to Gaussians (eq. 2): moments per region, regularised covariance."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from rdc_sweeps.contrast.arithmetic import full_precision, promote, readable
from rdc_sweeps.contrast.cells import Record, map_tensors
from rdc_sweeps.contrast.factors import safe_root
from rdc_sweeps.contrast.index import RegionIndex, as_index
from rdc_sweeps.contrast.moments import check_features, region_moments, small_region_roots
from rdc_sweeps.errors import UsageError
from rdc_sweeps.specs.contrast import CovarianceSpec, Shrinkage


@dataclasses.dataclass(frozen=True)
class LowRank:
    """Covariances c I + U U^T of regions whose pixels span few directions.

    Attributes:
        known: Tensor (..., R) bool, which of the R covariances have this form.
        factor: Tensor (..., R, d, r), U; arbitrary for the others.
        floor: Tensor (..., R), c, positive.
    """

    known: Tensor
    factor: Tensor
    floor: Tensor


@dataclasses.dataclass(frozen=True)
class Gaussians:
    """A batch of R Gaussians in d dimensions.

    Attributes:
        mean: Tensor (..., R, d).
        covariance: Tensor (..., R, d, d), symmetric positive semi-definite.
        counts: Tensor (..., R), pixels behind each; all 1 if not given.
        valid: Tensor (..., R) bool, False for padding and regions left out; all True if not given.
        low_rank: The covariances once more, as far as they have a low rank and this is faster; None otherwise.
    """

    mean: Tensor
    covariance: Tensor
    counts: Tensor = None  # type: ignore[assignment]
    valid: Tensor = None  # type: ignore[assignment]
    low_rank: LowRank | None = None

    def __post_init__(self) -> None:
        if self.mean.dim() < 2 or self.covariance.shape != (*self.mean.shape, self.mean.shape[-1]):
            raise UsageError(
                f"Gaussians need mean (..., R, d) and covariance (..., R, d, d), "
                f"not {tuple(self.mean.shape)} and {tuple(self.covariance.shape)}"
            )
        shape = self.mean.shape[:-1]
        for name, fill in (("counts", 1), ("valid", True)):
            value = getattr(self, name)
            if value is None:
                object.__setattr__(self, name, torch.full(shape, fill, device=self.mean.device))
            elif value.shape != shape:
                raise UsageError(f"Gaussians need {name} {tuple(shape)}, not {tuple(value.shape)}")

    @staticmethod
    def joined(parts: Sequence[Gaussians], dim: int) -> Gaussians:
        """Several batches as one, along a dimension that is not the last of `mean`."""
        return _joined(parts, dim)

    def map(self, change: Callable[[Tensor], Tensor]) -> Gaussians:
        """Change all tensors alike in their dimensions up to R."""
        return map_tensors(self, change)

    @property
    def channels(self) -> int:
        """The dimension d."""
        return self.mean.shape[-1]


def _joined(parts: Sequence[Record], dim: int) -> Record:
    """Records as one; a field that one of them lacks is None."""
    joined: dict[str, Any] = {}
    for field in dataclasses.fields(parts[0]):
        values = [getattr(part, field.name) for part in parts]
        if any(value is None for value in values):
            joined[field.name] = None
        else:
            joined[field.name] = torch.cat(values, dim) if isinstance(values[0], Tensor) else _joined(values, dim)
    return dataclasses.replace(parts[0], **joined)


def check_pair(a: Gaussians, b: Gaussians) -> None:
    """Raise UsageError unless two batches of Gaussians can be compared."""
    if a.channels != b.channels or a.mean.shape[:-2] != b.mean.shape[:-2]:
        raise UsageError(
            f"the Gaussians to compare must agree in batch shape and channels, "
            f"not {tuple(a.mean.shape)} and {tuple(b.mean.shape)}"
        )


def region_gaussians(
    features: Tensor,
    regions: Tensor | RegionIndex,
    spec: CovarianceSpec,
    *,
    min_pixels: int,
    max_regions: int | None = None,
) -> Gaussians:
    """Model the features of every region as a Gaussian (eq. 2), without a loop over regions.

    The covariance S (denominator n - 1) is regularised to (1 - alpha) S + (alpha + ridge) (tr S / d) I, plus a floor at
    the rounding error of the moments themselves, so that a constant region keeps a finite gradient.

    Args:
        features: Tensor (B, d, h, w), floating. A map coarser than the regions is resampled bilinearly to their size.
        regions: Tensor (B, H, W) of region ids, negative for no region; or a RegionIndex, to index an image once.
        spec: Shrinkage alpha, and what is added to the diagonal: `ridge` relative to the region's own mean variance,
            `pooled_ridge` relative to the mean variance of all valid regions of the image. The KL divergence needs the
            latter for constant regions, whose own variance is zero.
        min_pixels: Regions with fewer pixels are not valid.
        max_regions: See `index_regions`; ignored for a RegionIndex.

    Returns:
        Gaussians with mean (B, R, d) and covariance (B, R, d, d) in float32, or float64 for float64 features.
        Slots that are not valid hold the standard normal and pass no gradient.

    Raises:
        UsageError: A shape does not fit or `min_pixels` is below 1.
    """
    index = as_index(regions, features, max_regions)
    check_features(features, index)
    with full_precision(features):
        (features,) = promote(features)
        mean, moments, rounding = region_moments(features, index)
        keep, floor = regularisation(mean, moments, index.counts, spec.shrinkage, spec.ridge)
        floor = floor + rounding
        valid = index.valid(min_pixels)
        identity = torch.eye(features.shape[1], dtype=mean.dtype, device=mean.device)
        if spec.pooled_ridge:
            variance = torch.where(valid, moments.diagonal(dim1=-2, dim2=-1).mean(-1), 0.0)
            pooled = variance.sum(1) / valid.sum(1).clamp_min(1)
            floor = floor + spec.pooled_ridge * pooled[:, None]
        covariance = keep[..., None, None] * moments + floor[..., None, None] * identity
        low_rank = None
        if readable(features) and (roots := small_region_roots(features, mean, index)) is not None:
            factor, small = roots
            low_rank = LowRank(known=valid & small, factor=safe_root(keep)[..., None, None] * factor, floor=floor)
        return Gaussians(
            mean=torch.where(valid[..., None], mean, 0.0),
            covariance=torch.where(valid[..., None, None], covariance, identity),
            counts=index.counts,
            valid=valid,
            low_rank=low_rank,
        )


def regularisation(
    mean: Tensor, covariance: Tensor, counts: Tensor, shrinkage: Shrinkage, ridge: float
) -> tuple[Tensor, Tensor]:
    """Factor (..., R) of each covariance and multiple (..., R) of the identity that is added.

    They shrink it to its mean variance and add a relative ridge and a floor at rounding error.
    """
    limits = torch.finfo(covariance.dtype)
    variance = covariance.diagonal(dim1=-2, dim2=-1).mean(-1).clamp_min(0.0)  # rounding may have made it negative
    alpha = oas_shrinkage(covariance, counts) if isinstance(shrinkage, str) else torch.full_like(variance, shrinkage)
    floor = limits.eps * variance + (limits.eps * mean).square().mean(-1) + limits.tiny**0.5
    return 1 - alpha, (alpha + ridge) * variance + floor


def oas_shrinkage(covariance: Tensor, counts: Tensor) -> Tensor:
    """Oracle approximating shrinkage (..., R) in closed form (Chen, Wiesel, Eldar, Hero 2010), differentiable.

    Uses the ratio tr(S^2) / tr(S)^2 only, so it does not depend on the scale; a constant region gets 1.
    """
    channels = covariance.shape[-1]
    samples = counts.to(covariance.dtype).clamp_min(1)
    trace = covariance.diagonal(dim1=-2, dim2=-1).sum(-1)
    known = trace > torch.finfo(covariance.dtype).tiny ** 0.5
    unit = covariance / torch.where(known, trace, 1.0)[..., None, None]
    purity = unit.square().sum((-2, -1))
    numerator = (1 - 2 / channels) * purity + 1
    denominator = (samples + 1 - 2 / channels) * (purity - 1 / channels)
    # The ratio exceeds 1, and has a pole, where the covariance is nearly a multiple of the identity.
    inside = known & (denominator > numerator)
    return torch.where(inside, numerator / torch.where(inside, denominator, 1.0), 1.0)
