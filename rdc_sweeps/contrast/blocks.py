"""A ragged set of members per region as blocks of equal length: what makes sums over regions batched products."""

from __future__ import annotations

import torch
from torch import Tensor


def block_layout(rows: Tensor, counts: Tensor, length: int) -> tuple[Tensor, Tensor]:
    """Place members that are sorted by row into blocks of `length`, each of one row.

    Args:
        rows: Tensor (B, n) int64, ascending, R for a member of no row; these may stand anywhere.
        counts: Tensor (B, R) int64, members of each row.
        length: Members per block.

    Returns:
        Members (B, K, length), n marking an empty place, and the row (B, K) of each block, R for an unused one. K has a
        bound that needs no look at the data: n / length + R.
    """
    (batch, number), capacity, device = rows.shape, counts.shape[1], rows.device
    blocks = -(-number // length) + capacity
    lengths = (counts + length - 1) // length
    ends = lengths.cumsum(1)
    member = torch.arange(number, device=device)
    placed = rows < capacity
    row = rows.clamp_max(capacity - 1)
    # Members of no row come first or last, so a row's members are consecutive and rank by position.
    start = torch.full_like(counts, number).scatter_reduce(
        1, row, torch.where(placed, member, number), "amin", include_self=True
    )
    rank = member - start.gather(1, row)
    slot = torch.where(placed, (ends - lengths).gather(1, row) * length + rank, blocks * length)
    members = torch.full((batch, blocks * length + 1), number, dtype=torch.long, device=device)
    members = members.scatter(1, slot, member.expand(batch, -1))[:, :-1].reshape(batch, blocks, length)
    which = torch.arange(blocks, device=device).expand(batch, -1).contiguous()
    return members, torch.searchsorted(ends, which, right=True)


def sum_blocks(blockwise: Tensor, block_rows: Tensor, capacity: int) -> Tensor:
    """Sums (B, R, ...) over the blocks (B, K, ...) of each row."""
    batch = block_rows.shape[0]
    target = block_rows + torch.arange(batch, device=blockwise.device)[:, None] * (capacity + 1)
    total = blockwise.new_zeros(batch * (capacity + 1), *blockwise.shape[2:])
    total = total.index_add(0, target.flatten(), blockwise.flatten(0, 1))
    return total.reshape(batch, capacity + 1, *blockwise.shape[2:])[:, :capacity]


def of_rows(values: Tensor, block_rows: Tensor) -> Tensor:
    """The value (B, K, d) of each block's row from values (B, R, d); 0 for an unused block."""
    padded = torch.cat([values, torch.zeros_like(values[:, :1])], 1)
    return padded.gather(1, block_rows[..., None].expand(-1, -1, values.shape[-1]))
