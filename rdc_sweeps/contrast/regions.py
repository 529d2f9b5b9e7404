"""Region maps to rows: which pixels belong to which region, indexed once per image and shared by every task."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from rdc_sweeps.errors import UsageError

BLOCK = 32
"""Pixels per block of the sorted layout; about as many as channels, so that block products stay linear in pixels."""


@dataclasses.dataclass(frozen=True)
class RegionIndex:
    """The regions of B images of H x W pixels, as R rows each.

    Row r of an image is its r-th smallest region id; absent ids take no row. The same index must be used for every
    task of an image: it is what makes row i of one task the region of row i of another.

    Attributes:
        ids: Tensor (B, R) int64, the region id of each row, -1 for padding.
        counts: Tensor (B, R) int64, pixels per row, 0 for padding.
        rows: Tensor (B, H, W) int64, the row of each pixel, -1 for no region.
        slots: Tensor (B, K, 32) int64, pixels sorted by region in blocks of one region each; H * W marks an empty slot.
        block_rows: Tensor (B, K) int64, the row of each block, R for an unused block.
        dropped: Tensor (B,) int64, regions without a row because `max_regions` was smaller than their number.
    """

    ids: Tensor
    counts: Tensor
    rows: Tensor
    slots: Tensor
    block_rows: Tensor
    dropped: Tensor

    def select(self, images: Tensor) -> RegionIndex:
        """The index of a batch of items, `images` (N,) int64 naming the image of each (an image may occur often)."""
        return self._map(lambda value: value.index_select(0, images.to(value.device)))

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> RegionIndex:
        """The same index on another device, so that a data worker may build it on the CPU."""
        return self._map(lambda value: value.to(device, non_blocking=non_blocking))

    def _map(self, change: Callable[[Tensor], Tensor]) -> RegionIndex:
        return RegionIndex(**{f.name: change(getattr(self, f.name)) for f in dataclasses.fields(self)})


def index_regions(regions: Tensor, max_regions: int | None = None) -> RegionIndex:
    """Assign a row to every region id of every image and lay the pixels out by region.

    Args:
        regions: Tensor (B, H, W) of any integer type. Non-negative ids of any size, possibly sparse; a negative id
            marks a pixel without region.
        max_regions: The number of rows R. Without it R is the largest number of regions in the batch, which on a GPU
            costs one host synchronisation; pass it (or index on the CPU in a data worker) to have none. Regions beyond
            it, those with the largest ids, are left out and counted in `dropped`.

    Raises:
        UsageError: The map is not a (B, H, W) integer tensor, or max_regions is below 1.
    """
    if regions.dim() != 3 or regions.is_floating_point() or regions.is_complex() or regions.dtype == torch.bool:
        raise UsageError(
            f"regions must be an integer tensor (B, H, W) of region ids, not {tuple(regions.shape)} of "
            f"{regions.dtype}; a single map needs a leading dimension: regions[None]"
        )
    if max_regions is not None and max_regions < 1:
        raise UsageError(f"max_regions must be at least 1, not {max_regions}")
    batch, height, width = regions.shape
    pixels = height * width
    device = regions.device
    ids, order = regions.reshape(batch, pixels).long().sort(dim=1)

    first = ids >= 0
    first[:, 1:] &= ids[:, 1:] != ids[:, :-1]
    sorted_rows = first.cumsum(1) - 1  # negative ids sort to the front and so keep row -1
    found = first.sum(1)
    capacity = max_regions if max_regions is not None else max(int(found.max()) if batch else 0, 1)
    kept = (sorted_rows >= 0) & (sorted_rows < capacity)
    sink = torch.where(kept, sorted_rows, capacity)  # one extra row takes every pixel without region

    counts = torch.zeros(batch, capacity + 1, dtype=torch.long, device=device).scatter_add_(1, sink, kept.long())
    row_ids = torch.full((batch, capacity + 1), -1, dtype=torch.long, device=device).scatter_(1, sink, ids)
    rows = torch.empty_like(sink).scatter_(1, order, torch.where(kept, sorted_rows, -1))

    # Every region takes ceil(count / BLOCK) blocks; the total has a bound that needs no look at the data.
    blocks = -(-pixels // BLOCK) + capacity
    region_blocks = (counts + BLOCK - 1) // BLOCK
    block_start = region_blocks.cumsum(1) - region_blocks
    pixel_start = counts.cumsum(1) - counts + (ids < 0).sum(1, keepdim=True)
    rank = torch.arange(pixels, device=device) - pixel_start.gather(1, sink)
    slot = torch.where(kept, block_start.gather(1, sink) * BLOCK + rank, blocks * BLOCK)
    slots = torch.full((batch, blocks * BLOCK + 1), pixels, dtype=torch.long, device=device).scatter_(1, slot, order)
    ends = (block_start + region_blocks)[:, :capacity].contiguous()
    block_rows = torch.searchsorted(
        ends, torch.arange(blocks, device=device).expand(batch, -1).contiguous(), right=True
    )
    return RegionIndex(
        ids=row_ids[:, :capacity],
        counts=counts[:, :capacity],
        rows=rows.reshape(batch, height, width),
        slots=slots[:, :-1].reshape(batch, blocks, BLOCK),
        block_rows=block_rows,
        dropped=(found - capacity).clamp_min(0),
    )
