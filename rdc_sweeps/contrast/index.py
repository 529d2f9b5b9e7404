"""Which pixels belong to which region: an index that is built once per image and shared by every task."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from rdc_sweeps.contrast.blocks import block_layout
from rdc_sweeps.contrast.cells import GAIN, RegionCells, map_tensors, region_cells
from rdc_sweeps.errors import UsageError

BLOCK = 32
"""Pixels per block of the sorted layout; close to the number of channels, so block products stay linear in pixels."""


@dataclasses.dataclass(frozen=True)
class RegionIndex:
    """The regions of B images of H x W pixels, as R slots each.

    Slot r of an image holds its r-th smallest region id; ids that do not occur take no slot. Every task of an image
    must use the same index, so that slot i means the same region in all of them.

    Attributes:
        ids: Tensor (B, R) int64, the region id of each slot, -1 for padding.
        counts: Tensor (B, R) int64, pixels per slot, 0 for padding.
        slots: Tensor (B, H, W) int64, the slot of each pixel, -1 for no region.
        members: Tensor (B, K, 32) int64, pixels sorted by region in blocks of one region each; H * W where empty.
        block_slots: Tensor (B, K) int64, the slot of each block, R for an unused block.
        cells: The same regions as weights on a coarser feature map, if its size was given.
    """

    ids: Tensor
    counts: Tensor
    slots: Tensor
    members: Tensor
    block_slots: Tensor
    cells: RegionCells | None = None

    def valid(self, min_pixels: int) -> Tensor:
        """Tensor (B, R) bool, the slots of regions with at least `min_pixels` pixels.

        Raises:
            UsageError: `min_pixels` is below 1, so that padding would count.
        """
        if min_pixels < 1:
            raise UsageError(f"min_pixels must be at least 1, not {min_pixels}")
        return self.counts >= min_pixels

    def select(self, images: Tensor) -> RegionIndex:
        """The index of N items; `images` (N,) int64 holds the image of each item and may repeat one."""
        return map_tensors(self, lambda value: value.index_select(0, images.to(value.device, non_blocking=True)))

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> RegionIndex:
        """The same index on another device; data workers build it on the CPU."""
        return map_tensors(self, lambda value: value.to(device, non_blocking=non_blocking))


def index_regions(
    regions: Tensor, max_regions: int | None = None, *, feature_size: tuple[int, int] | None = None
) -> RegionIndex:
    """Assign a slot to every region id of every image and lay the pixels out by region.

    Args:
        regions: Tensor (B, H, W) of any integer type. Non-negative ids of any size, possibly sparse; a negative id
            marks a pixel without region.
        max_regions: The number of slots R. Without it R is the largest number of regions in the batch, which on a GPU
            costs one host synchronisation; pass it, or index on the CPU in a data worker, to avoid that. If there are
            more regions, those with the largest ids are left out.
        feature_size: Height and width of the features, if they are much coarser than the regions: their moments are
            then taken from the coarse map, exactly and faster. Building the weights reads the data: index on the CPU.

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
    sorted_slots = first.cumsum(1) - 1  # negative ids sort to the front and so keep slot -1
    capacity = max_regions if max_regions is not None else max(int(first.sum(1).max()) if batch else 0, 1)
    kept = (sorted_slots >= 0) & (sorted_slots < capacity)
    sink = torch.where(kept, sorted_slots, capacity)  # one extra slot takes every pixel without region

    counts = torch.zeros(batch, capacity + 1, dtype=torch.long, device=device).scatter_add_(1, sink, kept.long())
    slot_ids = torch.full((batch, capacity + 1), -1, dtype=torch.long, device=device).scatter_(1, sink, ids)
    slots = torch.empty_like(sink).scatter_(1, order, torch.where(kept, sorted_slots, -1))

    ordered, block_slots = block_layout(sink, counts[:, :capacity], BLOCK)
    members = torch.cat([order, torch.full_like(order[:, :1], pixels)], 1).gather(1, ordered.flatten(1))
    return RegionIndex(
        ids=slot_ids[:, :capacity],
        counts=counts[:, :capacity],
        slots=slots.reshape(batch, height, width),
        members=members.reshape(ordered.shape),
        block_slots=block_slots,
        cells=None if feature_size is None else region_cells(slots.reshape(regions.shape), capacity, feature_size),
    )


def as_index(regions: Tensor | RegionIndex, features: Tensor, max_regions: int | None) -> RegionIndex:
    """Index a region map, unless it is an index; on a CPU, with weights on the features' cells if that is faster."""
    if isinstance(regions, RegionIndex):
        return regions
    size = None
    if features.dim() == 4 and regions.dim() == 3 and regions.device.type == "cpu":
        height, width = features.shape[2:]
        size = (height, width) if regions.shape[1:].numel() >= GAIN * height * width else None
    return index_regions(regions, max_regions, feature_size=size)
