"""Regions of different sizes as blocks of equal length, so that sums over regions are batched products."""

from __future__ import annotations

import torch
from torch import Tensor


def block_layout(slots: Tensor, counts: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Arrange members, sorted by slot, in blocks of `length` that belong to one slot each.

    Args:
        slots: Tensor (B, n) int64, the slot of each member, ascending; R for members of no slot, also at the start.
        counts: Tensor (B, R) int64, members of each slot.
        length: Members per block.

    Returns:
        Members (B, K, length), n for an empty place, and the slot (B, K) of each block, R for an unused block. K, about
        n / length + R, does not depend on the data.
    """
    (batch, number), capacity, device = slots.shape, counts.shape[1], slots.device
    blocks = -(-number // length) + capacity
    lengths = (counts + length - 1) // length
    ends = lengths.cumsum(1)
    member = torch.arange(number, device=device)
    placed = slots < capacity
    slot = slots.clamp_max(capacity - 1)
    # Members of no slot come first or last, so the members of a slot are consecutive.
    start = torch.full_like(counts, number).scatter_reduce(
        1, slot, torch.where(placed, member, number), "amin", include_self=True
    )
    nth = member - start.gather(1, slot)
    target = torch.where(placed, (ends - lengths).gather(1, slot) * length + nth, blocks * length)
    members = torch.full((batch, blocks * length + 1), number, dtype=torch.long, device=device)
    members = members.scatter(1, target, member.expand(batch, -1))[:, :-1].reshape(batch, blocks, length)
    which = torch.arange(blocks, device=device).expand(batch, -1).contiguous()
    return members, torch.searchsorted(ends, which, right=True)


def sum_blocks(blockwise: Tensor, block_slots: Tensor, capacity: int) -> Tensor:
    """Sums (B, R, ...) over the blocks (B, K, ...) of each slot."""
    batch = block_slots.shape[0]
    target = block_slots + torch.arange(batch, device=blockwise.device)[:, None] * (capacity + 1)
    total = blockwise.new_zeros(batch * (capacity + 1), *blockwise.shape[2:])
    total = total.index_add(0, target.flatten(), blockwise.flatten(0, 1))
    return total.reshape(batch, capacity + 1, *blockwise.shape[2:])[:, :capacity]


def of_slots(values: Tensor, block_slots: Tensor) -> Tensor:
    """Values (B, R, d) of the slots as values (B, K, d) of their blocks; 0 for an unused block."""
    padded = torch.cat([values, torch.zeros_like(values[:, :1])], 1)
    return padded.gather(1, block_slots[..., None].expand(-1, -1, values.shape[-1]))
