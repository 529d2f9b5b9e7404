"""Maps of earlier steps, as further images among which a region finds its negatives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from rdc_sweeps.contrast.elsewhere import OtherImages


class EarlierMaps(nn.Module):
    """A bank of the latest maps of each ordered pair of tasks, the features of predictions and of labels.

    In training mode the maps of a step enter after it has seen the earlier ones; the oldest leave a full bank. In
    evaluation mode the bank is only read. It is part of the module's state, and the same in each of several processes
    that share a batch, since the maps of all of them enter everywhere. Nothing here waits for the device.

    Args:
        pairs: P, the number of ordered pairs of tasks.
        size: n, the number of maps that are kept of each.
        channels: Channels d of the features.
    """

    maps: Tensor
    entered: Tensor

    def __init__(self, pairs: int, size: int, channels: int) -> None:
        super().__init__()
        # The size h x w of the maps is known from the first step on.
        self.register_buffer("maps", torch.zeros(2, pairs, size, channels, 1, 1))
        self.register_buffer("entered", torch.zeros(pairs, dtype=torch.int64))

    @torch.no_grad()
    def forward(self, others: OtherImages, kinds: Tensor, everyones: Tensor) -> OtherImages:
        """The other images of a batch and, after them, those of earlier steps.

        Args:
            others: Those of the batch: M items.
            kinds: LongTensor (N,), the pair of tasks of each item of this process.
            everyones: LongTensor (M,), that of the items of all processes.
        """
        found = self._with_earlier(others, kinds.to(self.maps.device, non_blocking=True))
        if self.training and len(everyones):
            self._enter(others.sides, everyones)
        return found

    def _with_earlier(self, others: OtherImages, kinds: Tensor) -> OtherImages:
        number, shape = len(others.sides[0]), others.sides[0].shape[1:]
        if self.maps.shape[3:] != shape:
            return others
        size = self.maps.shape[2]
        place = torch.arange(size, device=kinds.device)
        known = place < self.entered[kinds, None]
        items = torch.where(known, number + kinds[:, None] * size + place, -1)
        predicted, labelled = (
            torch.cat([side, maps.flatten(0, 1).to(side)]) for side, maps in zip(others.sides, self.maps, strict=True)
        )
        return OtherImages((predicted, labelled), torch.cat([others.items.to(items.device), items], 1))

    def _enter(self, sides: tuple[Tensor, Tensor], kinds: Tensor) -> None:
        maps = torch.stack(sides).to(self.maps)
        if self.maps.shape[3:] != maps.shape[2:]:
            self.maps = self.maps.new_zeros(*self.maps.shape[:3], *maps.shape[2:])
        pairs, size = self.maps.shape[1:3]
        same = kinds[:, None] == kinds
        nth, total = same.tril(-1).sum(1), same.sum(1)
        # Of more maps than the bank has places, the last ones.
        kept = (nth >= total - size).nonzero().flatten()
        counts = torch.bincount(kinds, minlength=pairs)
        kinds, nth, kept, counts = (
            each.to(self.maps.device, non_blocking=True) for each in (kinds[kept], nth[kept], kept, counts)
        )
        self.maps[:, kinds, (self.entered[kinds] + nth) % size] = maps[:, kept]
        self.entered += counts

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *others: Any) -> None:
        stored = state_dict.get(f"{prefix}maps")
        if isinstance(stored, Tensor) and stored.shape[:4] == self.maps.shape[:4]:
            self.maps = self.maps.new_zeros(stored.shape)
        super()._load_from_state_dict(state_dict, prefix, *others)
