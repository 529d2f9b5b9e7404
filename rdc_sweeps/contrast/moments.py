"""Means and covariances of the features of every region at once."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from rdc_sweeps.contrast.precision import full_precision, promote
from rdc_sweeps.contrast.regions import RegionIndex
from rdc_sweeps.errors import UsageError


def check_features(features: Tensor, index: RegionIndex) -> None:
    """Raise UsageError unless `features` is a floating (B, d, h, w) of as many images as the index."""
    if features.dim() != 4 or not features.is_floating_point():
        raise UsageError(
            f"features must be a floating tensor (B, d, H, W), not {tuple(features.shape)} of {features.dtype}"
        )
    if features.shape[0] != index.rows.shape[0]:
        raise UsageError(
            f"features hold {features.shape[0]} images, the regions {index.rows.shape[0]}; "
            "for several task pairs of one image use RegionIndex.select"
        )


def at_region_size(features: Tensor, index: RegionIndex) -> Tensor:
    """Features (B, d, h, w) resampled bilinearly (align_corners=False) to the size of the region map."""
    size = index.rows.shape[-2:]
    if features.shape[-2:] == size:
        return features
    pixelwise = features.contiguous(memory_format=torch.channels_last)  # whole pixels are gathered afterwards
    return F.interpolate(pixelwise, size=size, mode="bilinear", align_corners=False)


def region_means(features: Tensor, index: RegionIndex) -> Tensor:
    """Mean feature (B, R, d) of every region of features (B, d, h, w); 0 for padding. Float32 or better."""
    check_features(features, index)
    with full_precision(features):
        values, _ = _blocks(promote(features)[0], index)
        return _block_means(values, index)


def region_moments(features: Tensor, index: RegionIndex) -> tuple[Tensor, Tensor]:
    """Mean (B, R, d) and covariance (B, R, d, d; denominator n - 1) of the regions of features (B, d, h, w).

    Pixels are gathered into blocks of one region each. The outer products of a block are one small matrix product, so
    memory is linear in pixels x channels and no term of pixels x channels^2 exists. Products are of centred values: raw
    moments would cancel where a region lies far off the origin.
    """
    values, empty = _blocks(features, index)
    mean = _block_means(values, index)
    padded = F.pad(mean, (0, 0, 0, 1))
    own = padded.gather(1, index.block_rows[..., None].expand(-1, -1, mean.shape[-1]))
    centred = (values - own[:, :, None]).masked_fill(empty, 0.0)
    scatter = _sum_blocks(centred.mT @ centred, index)
    return mean, scatter / (index.counts - 1).clamp_min(1)[..., None, None]


def _blocks(features: Tensor, index: RegionIndex) -> tuple[Tensor, Tensor]:
    """Features of the sorted pixels (B, K, S, d), 0 in empty slots, and the mask (B, K, S, 1) of these."""
    pixels = at_region_size(features, index).flatten(2).mT
    batch, number, channels = pixels.shape
    empty = index.slots == number
    source = index.slots + torch.arange(batch, device=pixels.device)[:, None, None] * number
    # index_select, not indexing: its gradient is a plain sum over rows instead of a sorted accumulation.
    values = pixels.reshape(-1, channels).index_select(0, source.masked_fill(empty, 0).flatten())
    return values.reshape(*source.shape, channels).masked_fill(empty[..., None], 0.0), empty[..., None]


def _block_means(values: Tensor, index: RegionIndex) -> Tensor:
    return _sum_blocks(values.sum(2), index) / index.counts.clamp_min(1)[..., None]


def _sum_blocks(blockwise: Tensor, index: RegionIndex) -> Tensor:
    """Sums (B, R, ...) over the blocks (B, K, ...) of each region."""
    batch, rows = index.counts.shape
    target = index.block_rows + torch.arange(batch, device=blockwise.device)[:, None] * (rows + 1)
    total = blockwise.new_zeros(batch * (rows + 1), *blockwise.shape[2:])
    total = total.index_add(0, target.flatten(), blockwise.flatten(0, 1))
    return total.reshape(batch, rows + 1, *blockwise.shape[2:])[:, :rows]
