"""Id maps: their conventions, and the maps that need no image: patches and semantic labels."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

NO_REGION = -1
"""Id of pixels that belong to no region."""

IdMap = NDArray[np.int32]
"""Region ids (H, W): 0..n-1, or `NO_REGION`."""


def contiguous(ids: NDArray[np.integer[Any]]) -> IdMap:
    """Renumber an id map (H, W) to 0..n-1 in order of first appearance, row by row; negative ids mean no region."""
    values, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    regions = values >= 0
    numbers = np.full(values.shape, NO_REGION, np.int32)
    order = np.argsort(np.where(regions, first, ids.size), kind="stable")[: regions.sum()]
    numbers[order] = np.arange(order.size, dtype=np.int32)
    return numbers[inverse].reshape(ids.shape)


def patch_regions(height: int, width: int, size: int, device: torch.device | str = "cpu") -> Tensor:
    """Id map of a grid of square windows, numbered row by row; `size` is their side and stride in pixels.

    If `size` does not divide the height or width, the last windows are cut off at the edge.

    Returns:
        Tensor (H, W), int32.
    """
    rows = torch.arange(height, dtype=torch.int32, device=device) // size
    columns = torch.arange(width, dtype=torch.int32, device=device) // size
    return rows[:, None] * -(-width // size) + columns


def semantic_regions(label: Tensor) -> Tensor:
    """Id map of a view's semantic label (Table 4). It is cropped and scaled with the view, so it is never stored.

    Args:
        label: Tensor (..., H, W) of class numbers; negative is void.

    Returns:
        Tensor (..., H, W), int32: the class number, `NO_REGION` on void.
    """
    return label.clamp(min=NO_REGION).to(torch.int32)
