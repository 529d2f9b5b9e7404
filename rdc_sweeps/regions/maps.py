"""Id maps: their conventions, and the maps that need no image: patches and semantic labels."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.measure import label
from torch import Tensor

from rdc_sweeps.specs.sources import SemanticParts

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


def connected_parts(ids: NDArray[np.integer[Any]]) -> IdMap:
    """Number the connected parts of the ids of a map (H, W) from 0; negative ids mean no region.

    Pixels are connected if they share a side and an id.
    """
    parts: NDArray[np.integer[Any]] = label(np.maximum(ids, NO_REGION), background=NO_REGION, connectivity=1)
    return parts.astype(np.int32) - 1


def semantic_regions(classes: Tensor, parts: SemanticParts = "classes") -> Tensor:
    """Id map of a view's semantic label (Table 4). It is cropped and scaled with the view, so it is never stored.

    Args:
        classes: Tensor (..., H, W) of class numbers; negative is void. For components (B, H, W), on the CPU.
        parts: Whether a region is a class, whose number is its id, or a connected part of one.

    Returns:
        Tensor (..., H, W), int32, `NO_REGION` on void.
    """
    if parts == "classes" or not len(classes):
        return classes.clamp(min=NO_REGION).to(torch.int32)
    return torch.from_numpy(np.stack([connected_parts(one) for one in classes.numpy()]))
