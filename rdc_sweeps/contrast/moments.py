"""Means and covariances of the features of every region at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor

from rdc_sweeps.contrast.arithmetic import full_precision, promote
from rdc_sweeps.contrast.blocks import of_slots, sum_blocks
from rdc_sweeps.contrast.cells import RegionCells
from rdc_sweeps.contrast.index import RegionIndex
from rdc_sweeps.errors import UsageError


def check_features(features: Tensor, index: RegionIndex) -> None:
    """Raise UsageError unless `features` is a floating (B, d, h, w) of as many images as the index."""
    if features.dim() != 4 or not features.is_floating_point():
        raise UsageError(
            f"features must be a floating tensor (B, d, H, W), not {tuple(features.shape)} of {features.dtype}"
        )
    if features.shape[0] != index.slots.shape[0]:
        raise UsageError(
            f"features hold {features.shape[0]} images, the regions {index.slots.shape[0]}; "
            "for several task pairs of one image use RegionIndex.select"
        )


def at_region_size(features: Tensor, index: RegionIndex) -> Tensor:
    """Features (B, d, h, w) resampled bilinearly (align_corners=False) to the size of the region map."""
    size = index.slots.shape[-2:]
    if features.shape[-2:] == size:
        return features
    pixelwise = features.contiguous(memory_format=torch.channels_last)  # whole pixels are gathered afterwards
    return F.interpolate(pixelwise, size=size, mode="bilinear", align_corners=False)


def region_means(features: Tensor, index: RegionIndex) -> Tensor:
    """Mean feature (B, R, d) of every region of features (B, d, h, w); 0 for padding. Float32 or better."""
    check_features(features, index)
    with full_precision(features):
        (features,) = promote(features)
        members = _cells(features, index.cells) if _fits(index.cells, features) else _pixels(features, index)
        return _means(members, index)


def region_moments(features: Tensor, index: RegionIndex) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (B, R, d) and covariance (B, R, d, d; denominator n - 1) of the regions of features (B, d, h, w).

    The third result (B, R), without gradient, is by how much rounding may lower the covariances' eigenvalues. Those of
    pixels are rounded relative to themselves: 0. Those of cells are sums of products of weights and features, which
    cancel where cells differ and the region's pixels do not.

    Pixels are gathered into blocks of one region each. The outer products of a block are one small matrix product, so
    memory is linear in pixels x channels and no term of pixels x channels^2 exists. If the index has weights on the
    features' cells, cells are used instead of pixels. Products are of centred values: raw moments would cancel for a
    region whose mean is far from the origin.
    """
    members = _cells(features, index.cells) if _fits(index.cells, features) else _pixels(features, index)
    mean, degrees = _means(members, index), (index.counts - 1).clamp_min(1)
    centred = members.values - of_slots(mean, members.block_slots)[:, :, None]
    weighted = members.weigh(centred)
    scatter = sum_blocks(centred.mT @ weighted, members.block_slots, index.counts.shape[1])
    rounding = torch.zeros_like(mean[..., 0])
    if _fits(index.cells, features):
        with torch.no_grad():
            squares = centred.square().mean(-1) * index.cells.first.to(mean.dtype).flatten(2)
            total = sum_blocks(squares.sum(-1), members.block_slots, index.counts.shape[1])
            # Errors of entries are about eps of these squares, the largest eigenvalue of d x d of them sqrt(d) times.
            rounding = torch.finfo(mean.dtype).eps * features.shape[1] ** 0.5 * total / degrees
    return mean, scatter / degrees[..., None, None], rounding


def small_region_roots(features: Tensor, mean: Tensor, index: RegionIndex) -> tuple[Tensor, Tensor] | None:
    """Roots U (B, R, d, 8) of the covariances U U^T of small regions, and which regions (B, R) are small.

    Args:
        features: Tensor (B, d, h, w).
        mean: Tensor (B, R, d), their means; subtracted first, since roots of uncentred values would cancel.
        index: Their regions; None is returned unless it has weights on the features' cells.
    """
    if not _fits(index.cells, features):
        return None
    small = index.cells.small
    values = _gather(features.flatten(2).mT, small.cells) - mean[:, :, None]
    return values.mT @ small.roots.to(values.dtype), small.known


@dataclasses.dataclass(frozen=True)
class _Members:
    """Vectors (B, K, S, d) whose weighted sums are those of the regions' pixels, in blocks of one region each."""

    values: Tensor
    sums: Tensor  # (B, K, d)
    weigh: Callable[[Tensor], Tensor]
    block_slots: Tensor


def _means(members: _Members, index: RegionIndex) -> Tensor:
    total = sum_blocks(members.sums, members.block_slots, index.counts.shape[1])
    return total / index.counts.clamp_min(1)[..., None]


def _pixels(features: Tensor, index: RegionIndex) -> _Members:
    pixels = at_region_size(features, index).flatten(2).mT
    empty = (index.members == pixels.shape[1])[..., None]
    values = _gather(pixels, index.members.masked_fill(empty[..., 0], 0)).masked_fill(empty, 0.0)
    return _Members(values, values.sum(2), lambda centred: centred.masked_fill(empty, 0.0), index.block_slots)


def _fits(cells: RegionCells | None, features: Tensor) -> TypeGuard[RegionCells]:
    return cells is not None and cells.size == tuple(features.shape[2:])


def _cells(features: Tensor, cells: RegionCells) -> _Members:
    values = _gather(features.flatten(2).mT, cells.corners.flatten(2))
    first, second = cells.first.to(values.dtype), cells.second.to(values.dtype)
    sums = (first.flatten(2)[:, :, None] @ values)[:, :, 0]

    def weigh(centred: Tensor) -> Tensor:
        weighed: Tensor = (second @ centred.unflatten(2, cells.corners.shape[2:])).flatten(2, 3)
        return weighed

    return _Members(values, sums, weigh, cells.block_slots)


def _gather(pixels: Tensor, places: Tensor) -> Tensor:
    """Features (B, K, S, d) of pixels (B, n, d) at positions (B, K, S)."""
    batch, number, channels = pixels.shape
    source = places + torch.arange(batch, device=pixels.device)[:, None, None] * number
    # index_select, not indexing: its gradient is a plain sum instead of a sorted accumulation.
    return pixels.reshape(-1, channels).index_select(0, source.flatten()).reshape(*places.shape, channels)
