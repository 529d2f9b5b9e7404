"""Patches: a grid of square windows as regions."""

import torch
from torch import Tensor


def patch_regions(height: int, width: int, size: int, device: torch.device | str = "cpu") -> Tensor:
    """Id map of windows of `size` pixels, side and stride, numbered row by row.

    Where `size` does not divide the map, the last windows of a row or column are cut at its edge.

    Returns:
        Tensor (H, W), int32.
    """
    rows = torch.arange(height, dtype=torch.int32, device=device) // size
    columns = torch.arange(width, dtype=torch.int32, device=device) // size
    return rows[:, None] * -(-width // size) + columns
