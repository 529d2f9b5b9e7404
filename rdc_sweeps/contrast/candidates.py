"""The candidates of anchors, their positives and negatives among them, and the losses that follow (eq. 3, 4 and 6)."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from rdc_sweeps.contrast.arithmetic import Draw
from rdc_sweeps.contrast.cells import map_tensors
from rdc_sweeps.contrast.further import FurtherNegatives
from rdc_sweeps.contrast.infonce import info_nce
from rdc_sweeps.contrast.outcome import ItemOutcomes
from rdc_sweeps.specs.contrast import GaussianContrast, VectorContrast


@dataclasses.dataclass(frozen=True)
class Candidates:
    """What N items compare within an image.

    Anchors are the regions of the first and then of the second task; candidates are the same, then those of C further
    maps.

    Attributes:
        valid: Tensor (N, R) bool.
        usable: Tensor (N, (2 + C) R) bool.
        weights: Tensor (N, 2 + C) of the maps, or None if they count alike.
        order: Tensor (N, 2R, (2 + C) R) of numbers, whose largest choose the negatives of an anchor; None for all.
    """

    valid: Tensor
    usable: Tensor
    weights: Tensor | None
    order: Tensor | None

    @staticmethod
    def of(
        valid: Tensor, spec: GaussianContrast | VectorContrast, draw: Draw, further: FurtherNegatives | None
    ) -> Candidates:
        """Of items with valid slots (N, R); see `region_contrast`."""
        items, slots = valid.shape
        usable, weights, order = valid.repeat(1, 2), None, None
        if further is not None:
            usable = torch.cat([usable, further.known(valid.repeat(2, 1)).flatten(1)], 1)
            weights = torch.cat([further.weights.new_ones(items, 2), further.weights], 1)
        if spec.negative_count is not None:
            # By task and region, so that an item's numbers do not depend on the number of slots that other images need.
            order = draw((items, 2, slots, usable.shape[1] // slots, slots)).reshape(items, 2 * slots, usable.shape[1])
        return Candidates(valid, usable, weights, order)

    def of_items(self, items: slice) -> Candidates:
        """Those of some items."""
        return map_tensors(self, lambda values: values[items])

    def compared(self, distances: Tensor, spec: GaussianContrast | VectorContrast) -> ItemOutcomes:
        """Eq. 3, 4 and 6 of distances (N, 2R, (2 + C) R)."""
        slots = self.valid.shape[1]
        candidate = torch.arange(distances.shape[2], device=distances.device)
        slot, task = candidate % slots, candidate // slots  # 0 and 1 are the item's own two tasks
        anchor = candidate[: 2 * slots, None]
        same_region = anchor % slots == slot
        other_task = anchor // slots != task
        pairs = self.valid.repeat(1, 2)[:, :, None] & self.usable[:, None, :]
        positives = pairs & (same_region & other_task & (task < 2))
        negatives = pairs & ~same_region & (other_task if spec.negatives == "other" else True)
        if self.order is not None and spec.negative_count is not None:
            negatives = _highest(negatives, self.order, spec.negative_count)
        log_weights = None
        if self.weights is not None:
            log_weights = self.weights.to(distances.dtype).log().repeat_interleave(slots, 1)[:, None]
        return item_outcomes(distances, positives, negatives, self.valid, spec, log_weights)


def item_outcomes(
    distances: Tensor,
    positives: Tensor,
    negatives: Tensor,
    valid: Tensor,
    spec: GaussianContrast | VectorContrast,
    log_weights: Tensor | None = None,
) -> ItemOutcomes:
    """The losses of distances (N, 2R, candidates) and their diagnostics; the masks have the same shape."""
    per_anchor = info_nce(distances, positives, negatives, spec.temperature, log_weights)
    anchors = (2 * valid.sum(1)).clamp_min(1)
    known = distances.detach()
    positive = torch.where(positives, known, 0.0).sum(2)
    nearest = positive < torch.where(negatives, known, torch.inf).amin(2)
    counts = negatives.sum(2)
    slots = (2, valid.shape[1])
    return ItemOutcomes(
        losses=per_anchor.sum(1) / anchors,
        positive=positive.sum(1) / anchors,
        negative=torch.where(negatives, known, 0.0).sum((1, 2)) / counts.sum(1).clamp_min(1),
        nearest=(nearest & valid.repeat(1, 2)).sum(1) / anchors,
        hits=nearest.to(known.dtype).unflatten(1, slots).mean(1),
        chance=(1 / (1 + counts)).to(known.dtype).unflatten(1, slots).mean(1),
    )


def _highest(pairs: Tensor, order: Tensor, count: int) -> Tensor:
    """At most `count` of the true entries of each anchor, those of the highest numbers from 0 on in `order`."""
    chosen = order.masked_fill(~pairs, -1.0).topk(min(count, pairs.shape[2]), dim=-1).indices
    return torch.zeros_like(pairs).scatter_(-1, chosen, True) & pairs
