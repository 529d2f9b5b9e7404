"""The result of a contrast: the loss, the losses of the items, and diagnostics."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Diagnostics:
    """Detached scalars about one batch, over its items with at least two valid regions; NaN if there are none.

    Attributes:
        positive_distance: Mean distance of the positives.
        negative_distance: Mean distance of the negatives.
        accuracy: Share of anchors whose positive is nearer than every negative.
        regions: Mean number of valid regions per item, over all items.
    """

    positive_distance: Tensor
    negative_distance: Tensor
    accuracy: Tensor
    regions: Tensor


@dataclasses.dataclass(frozen=True)
class ContrastOutcome:
    """The region contrast of N items.

    Attributes:
        loss: Tensor (), mean of `losses` over all N items; 0 if N is 0.
        losses: Tensor (N,), eq. 6 of each item; 0 for an item with fewer than two valid regions.
        used: Tensor (N,) bool, the items with at least two valid regions, of which the diagnostics are means.
        diagnostics: Detached scalars.
    """

    loss: Tensor
    losses: Tensor
    used: Tensor
    diagnostics: Diagnostics

    @staticmethod
    def of(losses: Tensor, regions: Tensor, positive: Tensor, negative: Tensor, nearest: Tensor) -> ContrastOutcome:
        """Reduce per-item losses (N,), region numbers (N,) and means (N,) of distances and accuracy."""
        used = regions >= 2
        losses = torch.where(used, losses, 0.0)
        loss = losses.sum() / max(losses.shape[0], 1)
        share = used / used.sum().clamp_min(1)

        def mean(values: Tensor) -> Tensor:
            known = torch.where(used, values.detach(), 0.0)
            return torch.where(used.any(), (known * share).sum(), torch.nan)

        diagnostics = Diagnostics(mean(positive), mean(negative), mean(nearest), regions.to(losses.dtype).mean())
        return ContrastOutcome(loss, losses, used, diagnostics)
