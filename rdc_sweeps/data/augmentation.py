"""Augmentation: random scale crops of an image together with its labels and regions."""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.compiled import compiled
from rdc_sweeps.data.resampling import Change, labels_of, linear, nearest, places
from rdc_sweeps.data.scene import Scene
from rdc_sweeps.errors import DataError
from rdc_sweeps.specs.dataset import ByZoom
from rdc_sweeps.specs.training import AugmentationSpec

Regions = NDArray[np.int32]
Value = TypeVar("Value", bound=np.generic)
Sample = tuple[Scene, Regions | None]
"""A scene or a view of it, with its regions."""

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
    into: Sequence[Sample] | None = None,
    valid: Sequence[NDArray[np.bool_]] | None = None,
) -> Sequence[Sample]:
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
        into: A scene for each view, whose arrays are overwritten with the view's; None for new ones.
        valid: For each view, where (H, W) is written whether no label of the pixel is void.

    Returns:
        The views.
    """
    views = [_blank(scene, regions) for _ in range(spec.views)] if into is None else into
    if valid is None:
        valid = [np.empty(scene.image.shape[:2], np.bool_)] * len(views)
    flip = spec.flip and rng.random() < 0.5
    crop: Crop = (1.0, 0.0, 0.0)
    before: Sample = (scene, regions)
    height, width = scene.image.shape[:2]
    for number, (view, seen) in enumerate(zip(views, valid, strict=True)):
        again = number > 0 and spec.flip_again and rng.random() < 0.5
        zoom, down, right = spec.scales[int(rng.integers(len(spec.scales)))], rng.random(), rng.random()
        if spec.crop == "released":
            axes = _window(height, zoom, down), _window(width, zoom, right)
            change = Change(np.float32(zoom), depth_by_zoom == "multiplied", again if number else flip, True)
            _write(view, seen, before, axes, change)
            before = view
        else:
            flip ^= again
            crop = scale, top, left = _within(crop, zoom, down, right)
            axes = _places(height, scale, top), _places(width, scale, left)
            change = Change(np.float32(scale), depth_by_zoom == "multiplied", flip, False)
            _write(view, seen, before, axes, change)
    return views


def _within(outer: Crop, zoom: float, down: float, right: float) -> Crop:
    """A crop of a crop; `down` and `right` in [0, 1] are its position."""
    scale, top, left = outer
    room = (1 - 1 / zoom) / scale
    return scale * zoom, top + down * room, left + right * room


def _places(length: int, zoom: float, start: float) -> _Axis:
    """The pixels of a view that shows `length` / `zoom` pixels, from `start` * `length` on."""
    return _Axis(*_centres(length, zoom, start * length))


@compiled(error_model="numpy")
def _centres(length: int, zoom: float, first: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    centres, nearest = np.empty(length, np.float64), np.empty(length, np.int64)
    for at in range(length):
        # Counted from pixel corners: the nearest pixel is the one that contains the point.
        corner = (at + 0.5) / zoom + first
        centres[at], nearest[at] = corner - 0.5, min(int(corner), length - 1)
    return centres, nearest


def _window(length: int, zoom: float, position: float) -> _Axis:
    """The pixels of a view that shows a whole number of pixels, the first and last of which become its own.

    `position` in [0, 1) chooses among all windows.
    """
    shown = int(length / zoom)
    first = int(position * (length - shown + 1))
    return _Axis(first + np.linspace(0, shown - 1, length), first + np.arange(length) * shown // length)


def _blank(scene: Scene, regions: Regions | None) -> Sample:
    def like(array: NDArray[Value] | None) -> NDArray[Value] | None:
        return None if array is None else np.empty(array.shape, array.dtype)

    image = np.empty_like(scene.image)
    return Scene(image, like(scene.semantic), like(scene.depth), like(scene.normal)), like(regions)


def _write(view: Sample, valid: NDArray[np.bool_], of: Sample, axes: tuple[_Axis, _Axis], change: Change) -> None:
    _check_shapes(view, of)
    scene, seen, (rows, columns) = of[0], view[0], axes
    if change.mirrored:
        columns = columns.flipped()
    height, width = scene.image.shape[:2]
    between = places(rows.places, height), places(columns.places, width)
    linear(scene.image, *between, seen.image)
    if change.interpolated and scene.normal is not None and seen.normal is not None:
        linear(scene.normal, *between, seen.normal)
    nearest(labels_of(*of), rows.nearest, columns.nearest, change, labels_of(*view), valid)


def _check_shapes(*samples: Sample) -> None:
    """Raise unless all arrays are of one size: compiled code would read memory beyond the smaller ones."""
    for scene, regions in samples:
        size = samples[0][0].image.shape[:2]
        for name, array, channels in (
            ("image", scene.image, (3,)),
            ("semantic label", scene.semantic, ()),
            ("depth", scene.depth, ()),
            ("map of normals", scene.normal, (3,)),
            ("region map", regions, ()),
        ):
            if array is not None and array.shape != (*size, *channels):
                raise DataError(
                    f"a scene has a {name} of shape {array.shape}, expected {(*size, *channels)}; the data set must "
                    "return all arrays at its size"
                )
