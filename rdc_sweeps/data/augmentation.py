"""Augmentation: random scale crops of an image together with its labels and regions."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.data.scene import Floats, Scene
from rdc_sweeps.specs.dataset import ByZoom
from rdc_sweeps.specs.training import AugmentationSpec

Regions = NDArray[np.int32]
Value = TypeVar("Value", bound=np.generic)
Crop = tuple[float, float, float]
"""Zoom, top and left of a crop; the last two as fractions of the image's height and width."""


def augment(
    scene: Scene,
    regions: Regions | None,
    spec: AugmentationSpec,
    rng: np.random.Generator,
    depth_by_zoom: ByZoom = "divided",
) -> list[tuple[Scene, Regions | None]]:
    """Augmented views of a scene: view 1 is a crop of the image, view 2 a crop of view 1, both at the scene's size.

    A crop zoomed by s shows the scene from closer up: depth in metres is divided by s, disparity is multiplied by s,
    normals are unchanged. Every view is sampled from the original, so view 2 is not blurred twice. The image is
    interpolated linearly; labels and regions are taken from the nearest pixel, since a mean across an edge, or of a
    valid and an invalid pixel, is not a valid label.

    Args:
        scene: A scene with any of its labels.
        regions: (H, W) int32 region ids, or None.
        spec: Scales, number of views, flips.
        rng: Source of all randomness; the number of draws does not depend on the labels.
        depth_by_zoom: How a zoom changes depth.
    """
    flip = spec.flip and rng.random() < 0.5
    crop: Crop = (1.0, 0.0, 0.0)
    views = []
    for view in range(spec.views):
        if spec.flip_again and view:
            flip ^= rng.random() < 0.5
        crop = _within(crop, spec.scales[int(rng.integers(len(spec.scales)))], rng.random(), rng.random())
        views.append(_view(scene, regions, crop, flip, depth_by_zoom))
    return views


def _within(outer: Crop, zoom: float, down: float, right: float) -> Crop:
    """A crop of a crop; `down` and `right` in [0, 1] are its position."""
    scale, top, left = outer
    room = (1 - 1 / zoom) / scale
    return scale * zoom, top + down * room, left + right * room


def _view(
    scene: Scene, regions: Regions | None, crop: Crop, flip: bool, depth_by_zoom: ByZoom
) -> tuple[Scene, Regions | None]:
    zoom, top, left = crop
    height, width = scene.image.shape[:2]
    rows, columns = _places(height, zoom, top), _places(width, zoom, left)
    if flip:
        columns = columns[::-1]
    # Coordinates count from pixel corners, so the nearest pixel is the one that contains the point.
    near_rows = np.minimum(rows.astype(np.int64), height - 1)
    near_columns = np.minimum(columns.astype(np.int64), width - 1)

    def nearest(array: NDArray[Value]) -> NDArray[Value]:
        taken: NDArray[Value] = array.take(near_rows, axis=0).take(near_columns, axis=1)
        return taken

    depth = None if scene.depth is None else nearest(scene.depth)
    if depth is not None:
        depth = depth * np.float32(zoom) if depth_by_zoom == "multiplied" else depth / np.float32(zoom)
    normal = None if scene.normal is None else nearest(scene.normal)
    if normal is not None and flip:
        normal[..., 0] *= -1
    return (
        Scene(
            image=_linear(_linear(scene.image, rows, 0), columns, 1),
            semantic=None if scene.semantic is None else nearest(scene.semantic),
            depth=depth,
            normal=normal,
        ),
        None if regions is None else nearest(regions),
    )


def _places(length: int, zoom: float, start: float) -> NDArray[np.float64]:
    """Coordinates of a view's pixel centres along one axis of the image."""
    return np.arange(0.5, length) / zoom + start * length


def _linear(image: Floats, places: NDArray[np.float64], axis: int) -> Floats:
    """Linear interpolation along one axis; values beyond the outermost pixel centres are clamped."""
    middle = np.clip(places - 0.5, 0, image.shape[axis] - 1)
    first = np.floor(middle).astype(np.int64)
    share = (middle - first).astype(np.float32)
    start = image.take(first, axis=axis)
    if not share.any():
        return start
    step = image.take(np.minimum(first + 1, image.shape[axis] - 1), axis=axis)
    # Columns and channels are flattened: NumPy is slow on a last axis of length 3.
    flat, flat_step = start.reshape(len(start), -1), step.reshape(len(step), -1)
    flat_step -= flat
    flat_step *= share[:, None] if axis == 0 else np.repeat(share, 3)
    flat += flat_step
    return start
