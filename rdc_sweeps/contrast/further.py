"""Negatives from tasks that are not of an item's pair ("any task" in eq. 3)."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class FurtherNegatives:
    """Feature maps whose regions are negatives of an item, besides those of the item's own two maps.

    N items have 2N maps: map n is the prediction of item n, map N + n its label. Further maps must be of the same image
    as the item and indexed with the same slots, so that a region is not a negative of itself.

    Attributes:
        maps: Tensor (N, C) int64, maps in 0 to 2N - 1; -1 for none.
        weights: Tensor (N, C) floating, the factor of a map's similarities in the sum over k- of eq. 3: with 1 / n for
            each of n maps of one task, the task counts once.
    """

    maps: Tensor
    weights: Tensor

    def to(self, device: torch.device | str) -> FurtherNegatives:
        """The same maps on another device."""
        return FurtherNegatives(self.maps.to(device, non_blocking=True), self.weights.to(device, non_blocking=True))

    def rows(self, values: Tensor) -> Tensor:
        """The values (2N, ...) of all maps as those (N, C, ...) of the further maps; arbitrary where there is none."""
        return values[self.maps.clamp_min(0)]

    def known(self, values: Tensor) -> Tensor:
        """`rows` of bool values (2N, ...), False where there is no map."""
        rows = self.rows(values)
        return rows & (self.maps >= 0).view(*self.maps.shape, *(1 for _ in rows.shape[2:]))
