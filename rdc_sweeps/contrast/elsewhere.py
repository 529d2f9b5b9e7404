"""Negatives of other images: the same place in their maps.

Whatever tells regions of one image apart without their content, such as their place, size or shape, is the same for a
region and these negatives.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from rdc_sweeps.contrast.gaussians import Gaussians
from rdc_sweeps.contrast.index import RegionIndex

Regions = TypeVar("Regions", Tensor, Gaussians)
"""Means (..., R, d) of regions, or their Gaussians."""


@dataclasses.dataclass(frozen=True)
class OtherImages:
    """Maps of M items, perhaps of several processes or earlier steps, among which N items find those of other images.

    Attributes:
        sides: Features (M, d, h, w) of predictions and of labels, which get no gradient.
        items: Tensor (N, C) int64, for each of N items those among the M that have the same two tasks; -1 for none.
    """

    sides: tuple[Tensor, Tensor]
    items: Tensor

    @property
    def known(self) -> Tensor:
        """Tensor (N, C) bool, False where there is no item."""
        return self.items >= 0


def distances_to_same_place(
    own: Sequence[Regions],
    others: OtherImages,
    index: RegionIndex,
    represent: Callable[[Tensor, RegionIndex], Regions],
    compare: Callable[[Regions, Regions], Tensor],
) -> Tensor:
    """Distances (N, 2R, 1 + C) of the regions of the first and then the second task.

    The first candidate is the same region of the item's other task, the further ones the same place in that task's maps
    of other images.

    Args:
        own: The R regions of N items, of the predictions and of the labels.
        others: Where other images are found.
        index: The regions of the N items.
        represent: From features and regions to what is compared.
        compare: All distances (..., Ra, Rb) of two of these.
    """
    items, count = others.items.shape
    device = index.slots.device
    repeated = index.select(torch.arange(items, device=device).repeat_interleave(count))
    chosen = others.items.clamp_min(0).flatten().to(device, non_blocking=True)
    found = []
    for anchors, positives, features in zip(own, reversed(own), reversed(others.sides), strict=True):
        maps = represent(features.detach()[chosen], repeated)
        elsewhere = _each(maps, lambda value: value.unflatten(0, (items, count)).transpose(1, 2))
        candidates = _joined(_each(positives, lambda value: value[:, :, None]), elsewhere)
        found.append(compare(_each(anchors, lambda value: value[:, :, None]), candidates)[:, :, 0])
    return torch.cat(found, 1)


def _each(regions: Regions, change: Callable[[Tensor], Tensor]) -> Regions:
    if isinstance(regions, Tensor):
        return change(regions)
    # Too few pairs of an anchor for what speeds up those of low rank.
    return dataclasses.replace(regions, low_rank=None).map(change)


def _joined(one: Regions, other: Regions) -> Regions:
    if isinstance(one, Tensor):
        return torch.cat([one, other], 2)
    return Gaussians.joined([one, other], 2)
