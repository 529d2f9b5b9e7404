"""Edges of images and maps as signatures, whose scalar product says how well two of them fit each other.

Where an image has an edge, its labels, depth and normals often have one too; the maps of another image, or mirrored
ones, have theirs elsewhere.
"""

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.data.scene import Floats

JUMP = 0.3
"""Of log depth: larger ones count as this one, lest a scene's farthest object be all that counts."""


def image_edges(image: Floats) -> Floats:
    """Edges of an image (H, W, 3): the root of the grey level's gradient, so that faint edges count too."""
    across, down = _steps(image.mean(axis=2))
    return _root(np.hypot(across, down))


def label_edges(label: NDArray[np.int16]) -> Floats:
    """Edges of a label map (H, W): 1 where the next pixel has another class; void counts as one."""
    across, down = _steps(label.astype(np.float32))
    return np.asarray((across != 0) | (down != 0), np.float32)


def depth_edges(depth: Floats) -> Floats:
    """Edges of a depth map (H, W), whatever its unit: the gradient of log depth; none beside invalid pixels."""
    valid = depth > 0
    log = np.log(np.where(valid, depth, 1))
    across, down = _steps(log)
    across[:, :-1] *= valid[:, 1:] & valid[:, :-1]
    down[:-1] *= valid[1:] & valid[:-1]
    return np.minimum(np.hypot(across, down), np.float32(JUMP))


def normal_edges(normal: Floats) -> Floats:
    """Edges of a map of unit normals (H, W, 3): the root of 1 - cos of the angle between neighbours."""
    turn = np.zeros(normal.shape[:2], np.float32)
    turn[:, :-1] += 1 - (normal[:, 1:] * normal[:, :-1]).sum(axis=2)
    turn[:-1] += 1 - (normal[1:] * normal[:-1]).sum(axis=2)
    return _root(np.clip(turn, 0, 1))


def signature(edges: Floats) -> Floats:
    """Edges (H, W), blurred over 3x3 pixels, with mean 0 and norm 1; all 0 if there are none."""
    padded = np.pad(edges, 1, mode="edge")
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    blurred = rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]
    return unit(blurred)


def unit(values: Floats) -> Floats:
    """The values less their mean, divided by their norm; all 0 if they are equal."""
    centred = values - values.mean()
    norm = np.float32(np.sqrt(np.square(centred).sum()))
    return np.zeros_like(centred) if norm <= 1e-4 else np.divide(centred, norm)


def _root(values: Floats) -> Floats:
    root: Floats = np.sqrt(values)
    return root


def _steps(values: Floats) -> tuple[Floats, Floats]:
    """Distance of each value from its right and its lower neighbour; 0 at the last ones."""
    across, down = np.zeros_like(values), np.zeros_like(values)
    across[:, :-1] = np.abs(values[:, 1:] - values[:, :-1])
    down[:-1] = np.abs(values[1:] - values[:-1])
    return across, down
