"""Resampling of images and label maps, compiled: each pixel of a view is computed in one pass.

With NumPy, it took a pass over memory for each gather, difference, product and sum. The order of these operations is
the same, so results are equal bit for bit.
"""

from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.compiled import compiled
from rdc_sweeps.data.scene import VOID, Scene

Value = TypeVar("Value", bound=np.generic)
Indices = NDArray[np.int64]
_Unsigned = NDArray[np.uint32]
"""Numba tests signed indices, since negative ones would count from the end."""

_ZERO = np.float32(0)
"""A number without a type would make double precision of single."""


class Places(NamedTuple):
    """Places along an axis of an image.

    Attributes:
        before, after: (n,) uint32, the pixels between whose centres each place is.
        share: (n,) float32, how far from the first to the second it is.
    """

    before: _Unsigned
    after: _Unsigned
    share: NDArray[np.float32]


class Labels(NamedTuple):
    """The labels and regions of an image, or those that are written of a view. Those that there are not are empty.

    Attributes:
        semantic: (H, W) integers.
        depth: (H, W) float32.
        normal: (H, W, 3) float32.
        regions: (H, W) int32.
    """

    semantic: NDArray[Any]
    depth: NDArray[np.float32]
    normal: NDArray[np.float32]
    regions: NDArray[np.int32]


class Change(NamedTuple):
    """How labels of a view are different from those of the image.

    Attributes:
        zoom: What depth is divided by.
        multiplied: Whether it is multiplied instead.
        mirrored: Whether the x component of normals has the other sign.
        interpolated: Whether the view has its normals already, interpolated, but not mirrored.
    """

    zoom: np.float32
    multiplied: bool
    mirrored: bool
    interpolated: bool


def labels_of(scene: Scene, regions: NDArray[np.int32] | None) -> Labels:
    """The labels of a scene or of a view, and its regions."""
    return Labels(
        np.empty((0, 0), np.int16) if scene.semantic is None else scene.semantic,
        np.empty((0, 0), np.float32) if scene.depth is None else scene.depth,
        np.empty((0, 0, 3), np.float32) if scene.normal is None else scene.normal,
        np.empty((0, 0), np.int32) if regions is None else regions,
    )


def places(coordinates: NDArray[np.float64], length: int) -> Places:
    """Places (n,), counted from pixel centres, among `length` pixels; beyond the outermost centres they are clamped."""
    return Places(*_places(np.ascontiguousarray(coordinates), length))


@compiled(error_model="numpy")
def _places(coordinates: NDArray[np.float64], length: int) -> tuple[_Unsigned, _Unsigned, NDArray[np.float32]]:
    count = len(coordinates)
    before, after, share = np.empty(count, np.uint32), np.empty(count, np.uint32), np.empty(count, np.float32)
    for at in range(count):
        middle = min(max(coordinates[at], 0.0), length - 1.0)
        first = int(middle)
        before[at], after[at], share[at] = first, min(first + 1, length - 1), middle - first
    return before, after, share


def linear(image: NDArray[Value], rows: Places, columns: Places, seen: NDArray[Value]) -> None:
    """Interpolate an image linearly, first along the rows, then along the columns.

    Args:
        image: (H, W, 3).
        rows: Where the rows of the view lie.
        columns: Where its columns lie.
        seen: (rows, columns, 3), the view, which is written.
    """
    smooth = bool(rows.share.any()), bool(columns.share.any())
    among = Places(_components(columns.before), _components(columns.after), columns.share)
    _linear(_lines(image), rows, among, smooth, seen.transpose(2, 0, 1))


def nearest(
    of: Labels, rows: Indices, columns: Indices, change: Change, into: Labels, valid: NDArray[np.bool_]
) -> None:
    """Take rows and columns of labels and regions.

    Args:
        of: Those of an image.
        rows: The row of the image that each row of the view is.
        columns: The column that each column is.
        change: How labels change.
        into: Those of the view, which are written; `semantic` may have a wider type.
        valid: (rows, columns), becomes False where a label of the view is void, and True elsewhere.
    """
    # In order in memory: axes in either direction need only one compilation.
    down, across = np.ascontiguousarray(rows, np.uint32), np.ascontiguousarray(columns, np.uint32)
    source = of._replace(normal=_lines(of.normal[:1] if change.interpolated else of.normal))
    _nearest(
        source, down, across, _components(across), change, into._replace(normal=into.normal.transpose(2, 0, 1)), valid
    )


def _lines(values: NDArray[Value]) -> NDArray[Value]:
    """A map (H, W, 3) as (H, 3 W)."""
    height, width, _ = values.shape
    return np.ascontiguousarray(values.reshape(height, 3 * width))


def _components(columns: _Unsigned) -> _Unsigned:
    """The place of each column's first component in such a line."""
    return np.ascontiguousarray(columns * np.uint32(3))


@compiled(error_model="numpy")
def _linear(lines: NDArray[Any], rows: Places, columns: Places, smooth: tuple[bool, bool], seen: NDArray[Any]) -> None:
    smooth_down, smooth_across = smooth
    count = len(columns.share)
    line = np.empty(lines.shape[1] + 1, lines.dtype)
    left, right, share = (
        np.empty(3 * count + 1, lines.dtype),
        np.empty(3 * count + 1, lines.dtype),
        np.empty(3 * count, np.float32),
    )
    for x in range(count):
        share[3 * x] = share[3 * x + 1] = share[3 * x + 2] = columns.share[x]
    first, last = columns.before.min(), columns.after.max() + 3
    part = line[first:last]
    for y in range(len(rows.share)):
        above, below = lines[rows.before[y], first:last], lines[rows.after[y], first:last]
        down = rows.share[y]
        for x in range(len(part)):
            # Adding nothing would turn -0 into 0.
            part[x] = above[x] + (below[x] - above[x]) * down if smooth_down else above[x]
        _take(line, columns.before, left)
        if smooth_across:
            _take(line, columns.after, right)
            for x in range(len(share)):
                left[x] += (right[x] - left[x]) * share[x]
        _part(left, y, seen)


@compiled(error_model="numpy")
def _nearest(
    of: Labels,
    rows: _Unsigned,
    columns: _Unsigned,
    components: _Unsigned,
    change: Change,
    into: Labels,
    valid: NDArray[np.bool_],
) -> None:
    # One map after the other: written to by turns, they are in each other's way in the processor's cache.
    for y in range(len(rows)):
        for x in range(valid.shape[1]):
            valid[y, x] = True
    if len(of.regions) and len(into.regions):
        for y in range(len(rows)):
            _take_row(of.regions[rows[y]], columns, into.regions[y])
    if len(of.semantic) and len(into.semantic):
        for y in range(len(rows)):
            semantic, right = into.semantic[y], valid[y]
            _take_row(of.semantic[rows[y]], columns, semantic)
            for x in range(len(right)):
                right[x] &= semantic[x] != VOID
    if len(of.depth) and len(into.depth):
        for y in range(len(rows)):
            depth, right = into.depth[y], valid[y]
            _take_row(of.depth[rows[y]], columns, depth)
            for x in range(len(right)):
                depth[x] = depth[x] * change.zoom if change.multiplied else depth[x] / change.zoom
                right[x] &= depth[x] > _ZERO
    if len(of.normal) and into.normal.size:
        line, taken = np.empty(of.normal.shape[1] + 1, of.normal.dtype), np.empty(3 * len(columns) + 1, of.normal.dtype)
        for y in range(len(rows)):
            if not change.interpolated:
                vectors = of.normal[rows[y]]
                for x in range(len(vectors)):
                    line[x] = vectors[x]
                _take(line, components, taken)
                _part(taken, y, into.normal)
            one, two, three, right = into.normal[0, y], into.normal[1, y], into.normal[2, y], valid[y]
            if change.mirrored:
                for x in range(len(right)):
                    one[x] = -one[x]
            for x in range(len(right)):
                right[x] &= (one[x] != _ZERO) | (two[x] != _ZERO) | (three[x] != _ZERO)


@compiled(error_model="numpy")
def _take_row(row: NDArray[Any], columns: _Unsigned, taken: NDArray[Any]) -> None:
    for x in range(len(columns)):
        taken[x] = row[columns[x]]


# A pixel of three components is moved as four, in one instruction; the next pixel overwrites the fourth. All other
# loops are along memory, so that they become vector instructions, too.


@compiled(error_model="numpy")
def _take(line: NDArray[Any], columns: _Unsigned, taken: NDArray[Any]) -> None:
    for x in range(len(columns)):
        pixel, into = line[columns[x] :], taken[3 * x :]
        one, two, three, further = pixel[0], pixel[1], pixel[2], pixel[3]
        into[0], into[1], into[2], into[3] = one, two, three, further


@compiled(error_model="numpy")
def _part(line: NDArray[Any], y: int, seen: NDArray[Any]) -> None:
    one, two, three = seen[0, y], seen[1, y], seen[2, y]
    for x in range(len(one)):
        one[x], two[x], three[x] = line[3 * x], line[3 * x + 1], line[3 * x + 2]
