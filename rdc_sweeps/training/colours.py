"""Converts maps of tasks to colours. Pictures are uint8 (H, W, 3)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.data.arrays import AnyArray

Picture = NDArray[np.uint8]

BLACK = (0, 0, 0)

PALETTE: NDArray[np.uint8] = np.array(
    [
        (228, 87, 86),
        (245, 166, 35),
        (190, 228, 244),
        (155, 89, 182),
        (139, 101, 66),
        (46, 134, 171),
        (250, 218, 94),
        (255, 138, 190),
        (39, 153, 94),
        (160, 200, 80),
        (40, 50, 140),
        (176, 176, 170),
        (80, 210, 200),
        (120, 20, 60),
        (70, 80, 10),
        (190, 150, 255),
        (255, 200, 170),
        (0, 90, 80),
        (210, 60, 210),
        (100, 100, 125),
    ],
    dtype=np.uint8,
)
"""Colours of class 0, 1, ...; further classes reuse them, darkened."""


def class_colour(index: int) -> tuple[int, int, int]:
    """The colour of a class; black for void."""
    if index < 0:
        return BLACK
    repeat, place = divmod(index, len(PALETTE))
    red, green, blue = (int(channel * 0.65**repeat) for channel in PALETTE[place])
    return red, green, blue


def semantic_colours(labels: AnyArray) -> Picture:
    """Draw class labels (H, W); negative is void."""
    labels = labels.astype(np.int64)
    table = np.array([class_colour(index) for index in range(-1, int(labels.max(initial=0)) + 1)], dtype=np.uint8)
    picture: Picture = table[np.maximum(labels, -1) + 1]
    return picture


def depth_range(maps: Sequence[AnyArray]) -> tuple[float, float]:
    """The 2nd and 98th percentile of the first map (H, W) that has valid depth.

    Percentiles, since single outliers would reduce the contrast.
    """
    for depth in maps:
        valid = depth[_valid_depth(depth)]
        if valid.size:
            low, high = (float(value) for value in np.percentile(valid, (2, 98)))
            return low, max(high, low + 1e-6)
    return 0.0, 1.0


def depth_colours(depth: AnyArray, low: float, high: float) -> Picture:
    """Draw depth (H, W) from `low` (dark) to `high` (bright) in viridis; black where not positive or not finite."""
    from matplotlib import colormaps

    valid = _valid_depth(depth)
    scaled = np.clip((np.where(valid, depth, low) - low) / (high - low), 0, 1)
    picture: Picture = colormaps["viridis"](scaled, bytes=True)[..., :3].copy()
    picture[~valid] = BLACK
    return picture


def normal_colours(normal: AnyArray) -> Picture:
    """Draw surface normals (3, H, W), normalised, as (n + 1) / 2; invalid ones (zero or not finite) are black."""
    finite = np.isfinite(normal).all(axis=0)
    length = np.linalg.norm(np.where(finite, normal, 0), axis=0)
    valid = length > 1e-8
    unit = np.where(valid, normal, 0) / np.where(valid, length, 1)
    picture = np.rint((unit + 1) * 127.5).astype(np.uint8).transpose(1, 2, 0)
    picture[~valid] = BLACK
    return picture


def image_colours(image: AnyArray) -> Picture:
    """Draw an image (3, H, W) in [0, 1]."""
    clipped = np.clip(np.nan_to_num(image), 0, 1)
    picture: Picture = np.rint(clipped * 255).astype(np.uint8).transpose(1, 2, 0)
    return picture


def hatching(height: int, width: int) -> Picture:
    """Draw diagonal grey stripes, for missing maps."""
    rows, columns = np.mgrid[:height, :width]
    stripes = ((rows + columns) // 6) % 2 == 0
    return np.where(stripes[..., None], np.uint8(214), np.uint8(232)).repeat(3, axis=2)


def _valid_depth(depth: AnyArray) -> NDArray[np.bool_]:
    valid: NDArray[np.bool_] = np.isfinite(depth) & (depth > 0)
    return valid
