"""Images with part of their structure removed, for a regeneration module to restore (Borse et al., CVPR 2023)."""

import math
from functools import lru_cache

import torch
from torch import Tensor

from rdc_sweeps.contrast.arithmetic import full_precision
from rdc_sweeps.specs.method import CheckerboardRedaction, RedactionSpec


def redact(image: Tensor, spec: RedactionSpec) -> Tensor:
    """An image without what the spec removes; both Tensor (B, C, H, W)."""
    if isinstance(spec, CheckerboardRedaction):
        return checkerboard(image, spec.block)
    return without_band(image, spec.lower, spec.upper)


def checkerboard(image: Tensor, block: int) -> Tensor:
    """Every other block zero, like the black fields of a board; the block at the top left stays.

    Args:
        image: Tensor (B, C, H, W); blocks at the right and bottom edge may be cut.
        block: Side of a block, pixels.
    """
    rows, columns = (torch.arange(length, device=image.device) // block for length in image.shape[-2:])
    kept = (rows[:, None] + columns) % 2 == 0
    return image * kept


def without_band(image: Tensor, lower: float, upper: float | None) -> Tensor:
    """A band of frequencies removed: the orthogonal projection of each channel onto the other cosines.

    The frequency of the coefficient (u, v) of the orthonormal discrete cosine transform (DCT-II) is the length of
    (u / H, v / W): 1 is half a cycle per pixel along an axis, 0 the mean.

    Args:
        image: Tensor (B, C, H, W).
        lower: Frequencies from this on are removed,
        upper: up to this one, exclusively; None: all.
    """
    height, width = image.shape[-2:]
    with full_precision(image):
        over_rows, over_columns = (_cosines(length).to(image) for length in (height, width))
        frequency = torch.hypot(
            (torch.arange(height, device=image.device) / height)[:, None],
            torch.arange(width, device=image.device) / width,
        )
        kept = (frequency < lower) | (frequency >= (math.inf if upper is None else upper))
        spectrum = over_rows @ image @ over_columns.T
        return over_rows.T @ (spectrum * kept) @ over_columns


@lru_cache
def _cosines(length: int) -> Tensor:
    """The orthonormal DCT-II as a matrix (frequency, place), float64."""
    frequency = torch.arange(length, dtype=torch.float64)[:, None]
    place = torch.arange(length, dtype=torch.float64) + 0.5
    matrix = torch.cos(math.pi / length * frequency * place) * math.sqrt(2 / length)
    matrix[0] /= math.sqrt(2)
    return matrix
