"""The usual way to load: `np.load`, and `torch.nn.functional.interpolate` for two random scale crops, one of the other.

The steps are those of the code that publishes the data's layout: all labels of an image are loaded, the image and the
normals are interpolated, the label and the depth are taken from the nearest pixel.
"""

import random
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

SCALES = (1.0, 1.2, 1.5)
FOLDERS = ("image", "label", "depth", "normal")

Maps = dict[str, Tensor]
"""Tensors (C, H, W) by folder."""


class PublishedLoop:
    """Batches of two views."""

    def __init__(self, split: Path, seed: int = 0) -> None:
        self._split, self._random = split, random.Random(seed)

    def batch(self, indices: list[int]) -> tuple[Maps, Maps]:
        """Both views of some images."""
        views = [self._views(index) for index in indices]
        first, second = (
            {name: torch.stack([view[number][name] for view in views]) for name in FOLDERS} for number in (0, 1)
        )
        return first, second

    def _views(self, index: int) -> tuple[Maps, Maps]:
        maps = {}
        for folder in FOLDERS:
            array = np.load(self._split / folder / f"{index}.npy")
            array = array[..., None] if array.ndim == 2 else array
            maps[folder] = torch.from_numpy(np.moveaxis(array, -1, 0)).float()
        first = self._crop(maps)
        return first, self._crop(first)

    def _crop(self, maps: Maps) -> Maps:
        height, width = maps["image"].shape[-2:]
        scale = self._random.choice(SCALES)
        rows, columns = int(height / scale), int(width / scale)
        top, left = self._random.randint(0, height - rows), self._random.randint(0, width - columns)
        view = {}
        for name, values in maps.items():
            part = values[None, :, top : top + rows, left : left + columns]
            if name in ("image", "normal"):
                part = functional.interpolate(part, (height, width), mode="bilinear", align_corners=True)
            else:
                part = functional.interpolate(part, (height, width), mode="nearest")
            view[name] = part[0] / scale if name == "depth" else part[0]
        return view
