"""Regions of a bilinearly resampled map, as weights on the cells of the coarse map.

A resampled pixel mixes four neighbouring cells. For the pixels of a region that mix the same four, the sum of features
and the sum of their outer products follow from the sums of the interpolation weights and of their outer products: 4 and
4 x 4 numbers that do not depend on features. The moments are exact, and their cost is that of the coarse map.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from rdc_sweeps.contrast.blocks import block_layout

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

GAIN = 16
"""Pixels per cell above which building the weights saves time."""
BLOCK = 8
"""Quadruples of cells per block: 32 cells, like the pixels of a block."""
SMALL = 9
"""Cells of a small region: those that a patch touches that is as large as a cell."""


@dataclasses.dataclass(frozen=True)
class SmallRegions:
    """The cells of B x R regions that touch few: their covariances have a low rank.

    Attributes:
        known: Tensor (B, R) bool, whether a region has 1 to 9 cells with weight.
        cells: Tensor (B, R, 9) int64, those cells among h * w; 0 in empty places.
        roots: Tensor (B, R, 9, 8) float64, E such that the covariance of a region (denominator n - 1) is X^T E E^T X
            with the features X (9, d) of its cells; 0 in empty places.
    """

    known: Tensor
    cells: Tensor
    roots: Tensor


@dataclasses.dataclass(frozen=True)
class RegionCells:
    """The weights of B region maps on the cells of an h x w feature map, in K blocks of one region each.

    Attributes:
        corners: Tensor (B, K, 8, 4) int64, four neighbouring cells among h * w.
        first: Tensor (B, K, 8, 4) float64, the sum of their weights over the region's pixels; 0 in empty places.
        second: Tensor (B, K, 8, 4, 4) float64, the sum of the weights' outer products.
        block_slots: Tensor (B, K) int64, the slot of each block, R for an unused block.
        size: h and w.
        small: The cells of small regions.
    """

    corners: Tensor
    first: Tensor
    second: Tensor
    block_slots: Tensor
    size: tuple[int, int]
    small: SmallRegions


Record = TypeVar("Record", bound="DataclassInstance")


def map_tensors(record: Record, change: Callable[[Tensor], Tensor]) -> Record:
    """The same record with changed tensors, also those of records in it."""
    changed: dict[str, Any] = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if isinstance(value, Tensor):
            changed[field.name] = change(value)
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            changed[field.name] = map_tensors(value, change)
    return dataclasses.replace(record, **changed)


def tensors(record: DataclassInstance) -> Iterator[Tensor]:
    """All tensors of a record, also those of records in it."""
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if isinstance(value, Tensor):
            yield value
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            yield from tensors(value)


def region_cells(slots: Tensor, capacity: int, size: tuple[int, int]) -> RegionCells:
    """The weights of region slots (B, H, W; -1 for none) on a map of `size`. Reads the data, so it waits for a GPU."""
    batch, height, width = slots.shape
    (top, y), (left, x) = _neighbours(height, size[0], slots), _neighbours(width, size[1], slots)
    cells = size[0] * size[1]
    weights = torch.stack(
        [
            torch.outer(1 - y, 1 - x).flatten(),
            torch.outer(1 - y, x).flatten(),
            torch.outer(y, 1 - x).flatten(),
            torch.outer(y, x).flatten(),
        ],
        1,
    )
    products = torch.cat([weights, (weights[:, :, None] * weights[:, None]).flatten(1)], 1)  # (H * W, 4 + 16)

    quad = (top[:, None] * size[1] + left).flatten()
    flat = slots.flatten(1)
    sink = batch * capacity * cells
    image = torch.arange(batch, device=slots.device)[:, None]
    key = torch.where(flat < 0, sink, (image * capacity + flat) * cells + quad).flatten()
    found, entry = key.unique(return_inverse=True)
    sums = products.new_zeros(len(found), 20).index_add_(0, entry, products.repeat(batch, 1))
    known = found < sink
    found, sums = found[known], sums[known]

    owner, start = found // cells, found % cells
    small = _small_regions(owner, _corners(start, size), sums, batch * capacity, cells)
    numbers = torch.bincount(owner // capacity, minlength=batch)
    largest = max(numbers.tolist(), default=0) or 1  # one empty place even if no image, or none of them, has a region
    place = torch.arange(len(found), device=slots.device) - (numbers.cumsum(0) - numbers)[owner // capacity]
    member_slots = torch.full((batch, largest), capacity, device=slots.device)
    member_slots[owner // capacity, place] = owner % capacity
    which = torch.full((batch, largest + 1), len(found), device=slots.device)
    which[owner // capacity, place] = torch.arange(len(found), device=slots.device)
    counts = torch.bincount(owner, minlength=batch * capacity).reshape(batch, capacity)
    members, block_slots = block_layout(member_slots, counts, BLOCK)
    entries = which.gather(1, members.flatten(1)).reshape(members.shape)

    sums = torch.cat([sums, sums.new_zeros(1, 20)])[entries]  # the last row is for empty places
    corners = _corners(torch.cat([start, start.new_zeros(1)])[entries], size)
    small = map_tensors(small, lambda values: values.unflatten(0, (batch, capacity)))
    return RegionCells(corners, sums[..., :4], sums[..., 4:].unflatten(-1, (4, 4)), block_slots, size, small)


def _corners(start: Tensor, size: tuple[int, int]) -> Tensor:
    """The four neighbouring cells (..., 4) whose upper left one is `start`."""
    y0, x0 = start // size[1], start % size[1]
    y1, x1 = (y0 + 1).clamp_max(size[0] - 1), (x0 + 1).clamp_max(size[1] - 1)
    return torch.stack([y * size[1] + x for y, x in ((y0, x0), (y0, x1), (y1, x0), (y1, x1))], -1)


def _small_regions(owner: Tensor, corners: Tensor, sums: Tensor, regions: int, cells: int) -> SmallRegions:
    """Those of quadruples of cells: their regions (n,), corners (n, 4), and sums (n, 20) of weights and products."""
    touched = sums[:, :4] > 0
    key = torch.where(touched, owner[:, None] * cells + corners, regions * cells)
    found, entry = key.unique(return_inverse=True)
    region = found // cells  # `regions` for what is not touched
    numbers = torch.bincount(region, minlength=regions + 1)
    nth = torch.arange(len(found), device=found.device) - (numbers.cumsum(0) - numbers)[region]
    known = (numbers[:regions] > 0) & (numbers[:regions] <= SMALL)

    members = found.new_zeros(regions, SMALL)
    inside = torch.cat([known, known.new_zeros(1)])[region]
    members[region[inside], nth[inside]] = found[inside] % cells

    part = known[owner]
    place = torch.where(touched, nth[entry], 0)[part]  # weights of corners that are not touched are 0
    target = owner[part] * SMALL**2
    products = (target[:, None, None] + place[:, :, None] * SMALL + place[:, None]).flatten()
    second = sums.new_zeros(regions * SMALL**2).index_add_(0, products, sums[part, 4:].flatten())
    second = second.unflatten(0, (regions, SMALL, SMALL))
    first = second.sum(2)  # the weights of a pixel are 1 together
    number = first.sum(1)
    centred = second - first[:, :, None] * first[:, None] / number.clamp_min(1)[:, None, None]
    variances, directions = torch.linalg.eigh(centred)  # one of them belongs to the mean, and is 0
    scales = (variances[:, 1:].clamp_min(0) / (number - 1).clamp_min(1)[:, None]).sqrt()
    return SmallRegions(known, members, directions[:, :, 1:] * scales[:, None])


def _neighbours(fine: int, coarse: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """The lower neighbour, and the weight of the next one, of every fine coordinate (align_corners=False)."""
    position = (torch.arange(fine, device=like.device, dtype=torch.float64) + 0.5) * (coarse / fine) - 0.5
    position = position.clamp(0, coarse - 1)
    lower = position.floor().long()
    return lower, position - lower
