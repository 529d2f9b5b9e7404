"""Resampling of images and label maps, compiled with Numba: each pixel of a view is computed in one pass.

With NumPy, it took a pass over memory for each gather, difference, product and sum. The order of these operations is
the same, and none is fused, so results are equal bit for bit. Compiled code is kept in a cache of Numba, and runs
without Python's interpreter lock, so that loading in a thread does not hold up the training.
"""

from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.compiled import compiled

Value = TypeVar("Value", bound=np.generic)
Indices = NDArray[np.int64]
_Unsigned = NDArray[np.uint32]
"""Numba tests signed indices, since negative ones would count from the end."""


class Places(NamedTuple):
    """Places along an axis of an image.

    Attributes:
        before, after: (n,) uint32, the pixels between whose centres each place is.
        share: (n,) float32, how far from the first to the second it is.
    """

    before: _Unsigned
    after: _Unsigned
    share: NDArray[np.float32]


def places(coordinates: NDArray[np.float64], length: int) -> Places:
    """Places (n,), counted from pixel centres, among `length` pixels; beyond the outermost centres they are clamped."""
    middle = np.clip(coordinates, 0, length - 1)
    before = np.floor(middle).astype(np.uint32)
    return Places(before, np.minimum(before + 1, length - 1, dtype=np.uint32), (middle - before).astype(np.float32))


def linear(image: NDArray[Value], rows: Places, columns: Places, seen: NDArray[Value]) -> None:
    """Interpolate an image linearly, first along the rows, then along the columns.

    Args:
        image: (H, W, C).
        rows: Where the rows of the view lie.
        columns: Where its columns lie.
        seen: (rows, columns, C), the view, which is written.
    """
    _linear(image, rows, columns, bool(rows.share.any()), bool(columns.share.any()), seen.transpose(2, 0, 1))


def nearest(values: NDArray[Any], rows: Indices, columns: Indices, seen: NDArray[Any]) -> None:
    """Take rows and columns of a map (H, W) or (H, W, C), and write them to `seen`, which may have a wider type."""
    if values.ndim == 2:
        values, seen = values[..., None], seen[..., None]
    # In order in memory: axes in either direction need only one compilation.
    down, across = np.ascontiguousarray(rows, np.uint32), np.ascontiguousarray(columns, np.uint32)
    _nearest(values, down, across, seen.transpose(2, 0, 1))


@compiled()
def _linear(
    image: NDArray[Any],
    rows: Places,
    columns: Places,
    smooth_down: bool,
    smooth_across: bool,
    seen: NDArray[Any],
) -> None:
    line = np.empty(image.shape[1], image.dtype)
    for channel in range(seen.shape[0]):
        for y in range(seen.shape[1]):
            above, below = image[rows.before[y], :, channel], image[rows.after[y], :, channel]
            down = rows.share[y]
            for x in range(len(line)):
                # Adding nothing would turn -0 into 0.
                line[x] = above[x] + (below[x] - above[x]) * down if smooth_down else above[x]
            for x in range(seen.shape[2]):
                value = line[columns.before[x]]
                seen[channel, y, x] = (
                    value + (line[columns.after[x]] - value) * columns.share[x] if smooth_across else value
                )


@compiled()
def _nearest(values: NDArray[Any], rows: _Unsigned, columns: _Unsigned, seen: NDArray[Any]) -> None:
    for channel in range(seen.shape[0]):
        for y in range(seen.shape[1]):
            row = values[rows[y], :, channel]
            for x in range(seen.shape[2]):
                seen[channel, y, x] = row[columns[x]]
