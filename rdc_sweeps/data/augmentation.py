"""Augmentation: random scale crops of an image together with its labels and regions."""

from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.data.scene import Floats, Scene
from rdc_sweeps.specs.dataset import ByZoom
from rdc_sweeps.specs.training import AugmentationSpec

Regions = NDArray[np.int32]
Value = TypeVar("Value", bound=np.generic)
Crop = tuple[float, float, float]
"""Zoom, top and left of a crop; the last two as fractions of the image's height and width."""


class _Axis(NamedTuple):
    """Where a view's pixels along one axis lie in the image.

    Attributes:
        places: Coordinates of their centres, counted from pixel centres.
        nearest: The pixels that labels are taken from.
    """

    places: NDArray[np.float64]
    nearest: NDArray[np.int64]

    def flipped(self) -> "_Axis":
        """The axis in the other direction."""
        return _Axis(self.places[::-1], self.nearest[::-1])


def augment(
    scene: Scene,
    regions: Regions | None,
    spec: AugmentationSpec,
    rng: np.random.Generator,
    depth_by_zoom: ByZoom = "divided",
) -> list[tuple[Scene, Regions | None]]:
    """Augmented views of a scene: view 1 is a crop of the image, view 2 a crop of view 1, both at the scene's size.

    A crop zoomed by s shows the scene from closer up: depth in metres is divided by s, disparity is multiplied by s,
    normals are unchanged. The image is interpolated linearly; labels and regions are taken from the nearest pixel,
    since a mean across an edge, or of a valid and an invalid pixel, is not a valid label.

    With `crop: exact` every view is sampled from the original, so view 2 is not blurred twice. `crop: released` is the
    crop of MTAN (Liu et al., CVPR 2019), which Li et al.'s code and the released one use: view 2 is sampled from view
    1, and normals are interpolated like the image, so that some get shorter and edges get normals of no surface.

    Args:
        scene: A scene with any of its labels.
        regions: (H, W) int32 region ids, or None.
        spec: Scales, kind of crop, number of views, flips.
        rng: Source of all randomness; the number of draws does not depend on the labels.
        depth_by_zoom: How a zoom changes depth.
    """
    flip = spec.flip and rng.random() < 0.5
    crop: Crop = (1.0, 0.0, 0.0)
    view = (scene, regions)
    height, width = scene.image.shape[:2]
    views = []
    for number in range(spec.views):
        again = number > 0 and spec.flip_again and rng.random() < 0.5
        zoom, down, right = spec.scales[int(rng.integers(len(spec.scales)))], rng.random(), rng.random()
        if spec.crop == "released":
            axes = _window(height, zoom, down), _window(width, zoom, right)
            view = _view(*view, axes, zoom, depth_by_zoom, flip=again if number else flip, smooth_normals=True)
        else:
            flip ^= again
            crop = scale, top, left = _within(crop, zoom, down, right)
            axes = _places(height, scale, top), _places(width, scale, left)
            view = _view(scene, regions, axes, scale, depth_by_zoom, flip=flip, smooth_normals=False)
        views.append(view)
    return views


def _within(outer: Crop, zoom: float, down: float, right: float) -> Crop:
    """A crop of a crop; `down` and `right` in [0, 1] are its position."""
    scale, top, left = outer
    room = (1 - 1 / zoom) / scale
    return scale * zoom, top + down * room, left + right * room


def _places(length: int, zoom: float, start: float) -> _Axis:
    """The pixels of a view that shows `length` / `zoom` pixels, from `start` * `length` on."""
    corners = np.arange(0.5, length) / zoom + start * length
    # Coordinates counted from pixel corners: the nearest pixel is the one that contains the point.
    return _Axis(corners - 0.5, np.minimum(corners.astype(np.int64), length - 1))


def _window(length: int, zoom: float, position: float) -> _Axis:
    """The pixels of a view that shows a whole number of pixels, the first and last of which become its own.

    `position` in [0, 1) chooses among all windows.
    """
    shown = int(length / zoom)
    first = int(position * (length - shown + 1))
    return _Axis(first + np.linspace(0, shown - 1, length), first + np.arange(length) * shown // length)


def _view(
    scene: Scene,
    regions: Regions | None,
    axes: tuple[_Axis, _Axis],
    zoom: float,
    depth_by_zoom: ByZoom,
    *,
    flip: bool,
    smooth_normals: bool,
) -> tuple[Scene, Regions | None]:
    rows, columns = axes
    if flip:
        columns = columns.flipped()

    def nearest(array: NDArray[Value]) -> NDArray[Value]:
        taken: NDArray[Value] = array.take(rows.nearest, axis=0).take(columns.nearest, axis=1)
        return taken

    def smooth(array: Floats) -> Floats:
        return _linear(_linear(array, rows.places, 0), columns.places, 1)

    depth = None if scene.depth is None else nearest(scene.depth)
    if depth is not None:
        depth = depth * np.float32(zoom) if depth_by_zoom == "multiplied" else depth / np.float32(zoom)
    normal = None
    if scene.normal is not None:
        normal = (smooth if smooth_normals else nearest)(scene.normal)
        if flip:
            normal[..., 0] *= -1
    return (
        Scene(
            image=smooth(scene.image),
            semantic=None if scene.semantic is None else nearest(scene.semantic),
            depth=depth,
            normal=normal,
        ),
        None if regions is None else nearest(regions),
    )


def _linear(image: Floats, places: NDArray[np.float64], axis: int) -> Floats:
    """Linear interpolation along one axis; places beyond the outermost pixel centres are clamped."""
    middle = np.clip(places, 0, image.shape[axis] - 1)
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
