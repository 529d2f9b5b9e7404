"""Finds the surface that each pixel of a pinhole camera sees, analytically.

A rectangle P + u A + v B is hit by the ray z d, with d = (x, y, 1), where (u, v, 1) = z [A B P]^-1 d. So u/z, v/z
and 1/z are linear in the pixel's coordinates: visibility needs no division, and depth is exact.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.specs.base import Size
from rdc_sweeps.synthetic.engine.boxes import Quads

KINECT_FOCAL = 519.0 / 480.0
"""Focal length in image heights, that of the Kinect of NYU-V2."""
_OVERLAP = 1e-5
"""Relative enlargement of rectangles in hit tests, so that there are no gaps between adjacent ones."""
_NEAR = 0.02
_TO_MIDDLE = 0.51
"""Pixels from a pixel's border to its centre, where its ray passes, with a margin for rounding."""


@dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Attributes:
        position: (3,) in the room, metres.
        axes: (3, 3), rows are the camera's right, down and forward in the room.
        focal: Focal length in image heights.
    """

    position: NDArray[np.float64]
    axes: NDArray[np.float64]
    focal: float = KINECT_FOCAL


@dataclass(frozen=True)
class Hits:
    """The surface that each pixel sees.

    Attributes:
        quad: (H, W) index of the rectangle.
        depth: (H, W) float32 metres along the optical axis.
        u, v: (H, W) float32 position on the rectangle.
        rays: (3, H, W) float32 directions of length 1 along the optical axis, in the camera's frame.
    """

    quad: NDArray[np.int32]
    depth: NDArray[np.float32]
    u: NDArray[np.float32]
    v: NDArray[np.float32]
    rays: NDArray[np.float32]


def looking(
    position: NDArray[np.float64], target: NDArray[np.float64], roll: float, focal: float = KINECT_FOCAL
) -> Camera:
    """A camera at `position` that looks at `target`, rolled about its optical axis by `roll` radians."""
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.array([forward[2], 0.0, -forward[0]]) / np.hypot(forward[0], forward[2])
    down = np.cross(right, forward)
    cos, sin = np.cos(roll), np.sin(roll)
    return Camera(position, np.stack([cos * right + sin * down, cos * down - sin * right, forward]), focal)


def cast(quads: Quads, camera: Camera, size: Size) -> Hits:
    """Find the nearest rectangle along every pixel's ray; the rectangles must enclose the camera."""
    height, width = size
    focal = camera.focal * height
    xs = ((np.arange(width) + 0.5 - width / 2) / focal).astype(np.float32)
    ys = ((np.arange(height) + 0.5 - height / 2) / focal).astype(np.float32)

    facing = np.flatnonzero(np.einsum("qc,qc->q", quads.normal, camera.position - quads.origin) > 1e-6)
    origin = (quads.origin[facing] - camera.position) @ camera.axes.T
    across = quads.across[facing] @ camera.axes.T
    down = quads.down[facing] @ camera.axes.T
    windows, visible = _windows(origin, across, down, focal, size)
    facing, origin, across, down = facing[visible], origin[visible], across[visible], down[visible]
    linear = np.linalg.inv(np.stack([across, down, origin], axis=2)).astype(np.float32)

    # Distances from the four edges, non-negative inside, and 1/z.
    u, v, w = linear.swapaxes(0, 1)
    slack = np.float32(_OVERLAP) * w
    forms = np.stack([u + slack, v + slack, w + slack - u, w + slack - v, w], axis=1)
    horizontal = forms[:, :, 0:1] * xs
    vertical = forms[:, :, 1:2] * ys + forms[:, :, 2:3]
    nearest = np.full(size, np.float32(1e-6))
    quad = np.full(size, -1, dtype=np.int32)
    for number, (top, bottom, left, right) in enumerate(windows[visible].tolist()):
        over = horizontal[number, :, None, left:right] + vertical[number, :, top:bottom, None]
        target = nearest[top:bottom, left:right]
        hit = np.minimum.reduce(over[:4]) >= 0
        hit &= over[4] > target
        np.copyto(target, over[4], where=hit)
        np.copyto(quad[top:bottom, left:right], number, where=hit)

    rays = np.empty((3, *size), dtype=np.float32)
    rays[0], rays[1], rays[2] = xs, ys[:, None], 1
    across_u, down_u, at_u, across_v, down_v, at_v, across_w, down_w, at_w = linear.reshape(-1, 9).T.take(quad, axis=1)
    depth = np.float32(1) / (across_w * rays[0] + down_w * rays[1] + at_w)
    u = (across_u * rays[0] + down_u * rays[1] + at_u) * depth
    v = (across_v * rays[0] + down_v * rays[1] + at_v) * depth
    return Hits(facing.astype(np.int32)[quad], depth, u, v, rays)


def _windows(
    origin: NDArray[np.float64], across: NDArray[np.float64], down: NDArray[np.float64], focal: float, size: Size
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Bounds (top, bottom, left, right) of each rectangle in the image, and which rectangles are in it."""
    height, width = size
    corners = np.stack([origin, origin + across, origin + down, origin + across + down], axis=1)
    z = corners[..., 2]
    front = (z > _NEAR).all(axis=1)
    safe = np.maximum(z, _NEAR)
    x = corners[..., 0] / safe * focal + width / 2
    y = corners[..., 1] / safe * focal + height / 2
    # A rectangle that reaches behind the camera has no finite outline: search the whole image for it.
    bounds = np.stack(
        [
            np.where(front, np.ceil(y.min(axis=1) - _TO_MIDDLE), 0),
            np.where(front, np.ceil(y.max(axis=1) - 1 + _TO_MIDDLE), height),
            np.where(front, np.ceil(x.min(axis=1) - _TO_MIDDLE), 0),
            np.where(front, np.ceil(x.max(axis=1) - 1 + _TO_MIDDLE), width),
        ],
        axis=1,
    )
    bounds = np.clip(bounds, 0, [height, height, width, width]).astype(np.int64)
    visible = (z > _NEAR).any(axis=1) & (bounds[:, 1] > bounds[:, 0]) & (bounds[:, 3] > bounds[:, 2])
    return bounds, visible
