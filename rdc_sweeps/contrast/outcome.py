"""The result of a contrast: the loss, the losses of the items, and diagnostics."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

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


class ItemOutcomes(NamedTuple):
    """What the comparisons of N items gave, each by itself; see `ContrastOutcome`.

    Attributes:
        losses: Tensor (N,).
        positive: Tensor (N,), mean distance of the positives.
        negative: Tensor (N,), mean distance of the negatives.
        nearest: Tensor (N,), share of anchors whose positive is nearer than every negative.
        hits: Tensor (N, R).
        chance: Tensor (N, R).
    """

    losses: Tensor
    positive: Tensor
    negative: Tensor
    nearest: Tensor
    hits: Tensor
    chance: Tensor


@dataclasses.dataclass(frozen=True)
class ContrastOutcome:
    """The region contrast of N items.

    Attributes:
        loss: Tensor (), mean of `losses` over all N items; 0 if N is 0.
        losses: Tensor (N,), eq. 6 of each item; 0 for an item with fewer than two valid regions.
        used: Tensor (N,) bool, the items with at least two valid regions, of which the diagnostics are means.
        diagnostics: Detached scalars.
        hits: Tensor (N, R), per slot the share of its anchors whose positive is nearer than every negative.
        chance: Tensor (N, R), that share if distances said nothing: the mean over anchors of 1 / (1 + negatives).
            Both are NaN where a slot is not valid, or the only one.
    """

    loss: Tensor
    losses: Tensor
    used: Tensor
    diagnostics: Diagnostics
    hits: Tensor
    chance: Tensor

    @staticmethod
    def of(valid: Tensor, items: ItemOutcomes) -> ContrastOutcome:
        """Reduce the outcomes of N items with valid slots (N, R)."""
        regions = valid.sum(1)
        used = regions >= 2
        losses = torch.where(used, items.losses, 0.0)
        loss = losses.sum() / max(losses.shape[0], 1)
        share = used / used.sum().clamp_min(1)

        def mean(values: Tensor) -> Tensor:
            known = torch.where(used, values.detach(), 0.0)
            return torch.where(used.any(), (known * share).sum(), torch.nan)

        diagnostics = Diagnostics(
            mean(items.positive), mean(items.negative), mean(items.nearest), regions.to(losses.dtype).mean()
        )
        compared = valid & used[:, None]
        hits, chance = (torch.where(compared, each.detach(), torch.nan) for each in (items.hits, items.chance))
        return ContrastOutcome(loss, losses, used, diagnostics, hits, chance)
