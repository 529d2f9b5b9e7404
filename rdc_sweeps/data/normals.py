"""Surface normals from a depth map: planes fitted in windows that do not cross the edges of surfaces.

A plane seen by a pinhole camera has an inverse depth that is linear in the ray (x, y, 1) of a pixel,
1/z = a x + b y + c, and the direction of (a, b, c) is that of its normal. A plane is therefore a linear least-squares
fit to inverse depth, whose sums over square windows cost the same for any size. Each pixel gets the mean of the normals
of windows of several sizes and positions that contain it, weighted by the inverse of their estimated variance: small
windows suffer from noise, which averages out in large ones, and windows across an edge do not fit. Taking windows that
do not have the pixel in their middle keeps edges sharp, as in Kuwahara et al. (1976).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import uniform_filter

from rdc_sweeps.data.scene import Floats
from rdc_sweeps.specs.base import Size

Doubles = NDArray[np.float64]

HEIGHT = 288
RADII = (2, 4, 8, 16)
"""Pixels that windows extend to each side of their middle, in an image of `HEIGHT`."""

STEPS = (-1.0, -0.5, 0.0, 0.5, 1.0)
"""Positions of a window around a pixel along each axis, in radii."""

FILLED = 0.25
"""Share of a window that must have depth; of one in a corner of the image, the corner is as much."""

FARTHEST = 3.0
"""Standard deviations between a pixel and the plane of its window up to which it is on the plane."""

WORST = np.deg2rad(20)
"""Standard deviation of a normal's direction from which on the pixel has none."""


@dataclass(frozen=True)
class Intrinsics:
    """Focal lengths and principal point of a camera in pixels; the middle of the first pixel is at (0.5, 0.5)."""

    fx: float
    fy: float
    cx: float
    cy: float

    def rays(self, rows: ArrayLike, columns: ArrayLike) -> "Rays":
        """The rays of a grid of points, such as 0.5, 1.5, ... for the middles of all pixels."""
        x, y = np.asarray(columns, np.float64), np.asarray(rows, np.float64)
        return Rays(((x - self.cx) / self.fx)[None, :], ((y - self.cy) / self.fy)[:, None])


class Rays(NamedTuple):
    """The rays (x, y, 1) of a grid of pixels: x is (1, W), and y is (H, 1)."""

    x: Doubles
    y: Doubles


@dataclass(frozen=True)
class _Planes:
    """The plane in the window around each pixel.

    Attributes:
        slope: (2, H, W), a and b.
        middle: (H, W), 1/z of the plane in the middle of the window.
        unit: (3, H, W), the direction of (a, b, c).
        certainty: (H, W), 1 / variance of that direction in radians; 0 without a plane.
        off: (H, W), largest difference between the 1/z of a pixel and that of the plane which it is on.
    """

    slope: Floats
    middle: Floats
    unit: Floats
    certainty: Floats
    off: Floats


def normals_from_depth(depth: Floats, rays: Rays, noise: Floats | float) -> Floats:
    """Normals of the surfaces in a depth map.

    Args:
        depth: (H, W) metres along the optical axis; 0 is invalid.
        rays: The ray of each pixel. They may be spaced unevenly, as those of pixels taken from a larger image are.
        noise: Standard deviation of 1/z in 1/m, a number or (H, W). It is part of the variance of every window, so that
            a small window without visible noise is not taken for a certain one.

    Returns:
        (H, W, 3) float32 unit vectors that face the camera (x right, y down, z forward); (0, 0, 0) where depth is
        invalid, or the estimated standard deviation is above 20 degrees.
    """
    height, width = depth.shape
    valid = depth > 0
    inverse = np.divide(1, depth, out=np.zeros(depth.shape, np.float32), where=valid)
    square = np.square(np.broadcast_to(np.asarray(noise, np.float64), depth.shape))
    x, y = rays.x.astype(np.float32), rays.y.astype(np.float32)
    best = np.zeros(depth.shape, np.float32)
    total = np.zeros((3, height, width), np.float32)
    for radius in sorted({max(2, round(one * height / HEIGHT)) for one in RADII}):
        planes = _fit(inverse, valid, rays, square, radius)
        weighted = planes.certainty * planes.unit
        for here, there in _positions(radius, (height, width)):
            # The pixel itself must be on the plane, not only most of its window.
            off = planes.slope[(0, *there)] * (x[:, here[1]] - x[:, there[1]])
            off += planes.slope[(1, *there)] * (y[here[0]] - y[there[0]])
            off += planes.middle[there]
            off -= inverse[here]
            on = np.abs(off, out=off) <= planes.off[there]
            np.maximum(best[here], planes.certainty[there] * on, out=best[here])
            for axis in range(3):
                total[(axis, *here)] += weighted[(axis, *there)] * on
    length = np.sqrt(np.square(total).sum(axis=0))
    found = valid & (best > WORST**-2) & (length > 0)
    # (a, b, c) P = 1 for all points P of a plane, so that (a, b, c) points away from the camera.
    normal = np.where(found, -total / np.where(found, length, 1), 0)
    return np.ascontiguousarray(np.moveaxis(normal, 0, 2), dtype=np.float32)


Slices = tuple[slice, slice]


def _positions(radius: int, size: Size) -> Iterator[tuple[Slices, Slices]]:
    """For each position of a window around a pixel, all pixels that have such a window, and its middle for each."""
    shifts = sorted({round(step * radius) for step in STEPS})
    for row in shifts:
        for column in shifts:
            if abs(row) < size[0] and abs(column) < size[1]:
                (rows, middle_rows), (columns, middle_columns) = _shifted(row, size[0]), _shifted(column, size[1])
                yield (rows, columns), (middle_rows, middle_columns)


def _shifted(shift: int, count: int) -> Slices:
    return slice(max(0, -shift), count - max(0, shift)), slice(max(0, shift), count - max(0, -shift))


def _fit(inverse: Floats, valid: NDArray[np.bool_], rays: Rays, square: Doubles, radius: int) -> _Planes:
    """Fit planes in windows of 2 `radius` + 1 pixels; `square` is the variance of 1/z that noise has."""
    x, y = rays
    side = 2 * radius + 1
    # In double precision, since variances are differences between sums of squares.
    one, w = valid.astype(np.float64), inverse.astype(np.float64)

    def window_mean(values: Doubles) -> Doubles:
        mean: Doubles = uniform_filter(values, side, mode="constant")
        return mean

    filled = window_mean(one)
    enough = filled > FILLED
    scale = np.divide(1, filled, out=np.zeros_like(filled), where=enough)
    ones_x, ones_y = one * x, one * y
    mean_x, mean_y, mean_w = (window_mean(values) * scale for values in (ones_x, ones_y, w))
    xx = window_mean(ones_x * x) * scale - mean_x**2
    xy = window_mean(ones_x * y) * scale - mean_x * mean_y
    yy = window_mean(ones_y * y) * scale - mean_y**2
    xw = window_mean(w * x) * scale - mean_x * mean_w
    yw = window_mean(w * y) * scale - mean_y * mean_w
    ww = window_mean(w * w) * scale - mean_w**2
    determinant = xx * yy - xy**2
    # Not if pixels with depth are nearly on a line. Those of a full window have a variance of radius (radius + 1) / 3.
    enough &= determinant > (FILLED * radius * (radius + 1) / 3 * _spacing(x) * _spacing(y)) ** 2
    inverted = np.divide(1, determinant, out=np.zeros_like(filled), where=enough)
    a, b = (yy * xw - xy * yw) * inverted, (xx * yw - xy * xw) * inverted
    c = mean_w - a * mean_x - b * mean_y
    # Noise averages out over a window. What its plane does not explain beyond noise does not.
    pixels = filled * side**2
    misfit = np.maximum((ww - a * xw - b * yw) * pixels / np.maximum(pixels - 3, 1) - square, 0)
    length = np.sqrt(a**2 + b**2 + c**2)
    variance = (misfit + square / np.maximum(pixels, 1)) * (xx + yy) * inverted
    enough &= (length > 0) & (variance > 0)
    return _Planes(
        slope=_stacked(a, b),
        middle=(a * x + b * y + c).astype(np.float32),
        unit=_stacked(*(np.divide(one, length, out=np.zeros_like(length), where=enough) for one in (a, b, c))),
        certainty=np.divide(length**2, variance, out=np.zeros_like(variance), where=enough).astype(np.float32),
        off=(FARTHEST * np.sqrt(misfit + square)).astype(np.float32),
    )


def _spacing(positions: Doubles) -> float:
    """Mean distance between neighbours."""
    return float(np.ptp(positions)) / max(1, positions.size - 1)


def _stacked(*planes: Doubles) -> Floats:
    return np.stack(planes).astype(np.float32)
