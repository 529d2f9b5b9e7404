"""Normals fitted to depth: how fast, and how far from those of drawn rooms and from others of real images."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from rdc_sweeps.data.arrays import nearest_indices
from rdc_sweeps.data.importing.nyuv2 import CAMERA, NATIVE, NOISE
from rdc_sweeps.data.normals import Intrinsics, Rays, normals_from_depth
from rdc_sweeps.data.roots import open_nyuv2
from rdc_sweeps.data.scene import Floats
from rdc_sweeps.specs.base import Size
from rdc_sweeps.specs.dataset import NyuV2Spec
from rdc_sweeps.synthetic.engine.raster import KINECT_FOCAL
from rdc_sweeps.synthetic.rooms.scenes import render

SMOOTH_WINDOW, SMOOTH_DEGREES = 15, 15.0
"""A surface is smooth where the mean of the other normals over a window this wide, in pixels, is as long as that of
normals which are all this far from it."""


@dataclass(frozen=True)
class NormalsResult:
    """Angles in degrees between fitted normals and others, over pixels that have both.

    Attributes:
        images: Number of images.
        mean, median: Of the angle.
        within_1, within_11: Shares of pixels up to 1 and 11.25 degrees.
        smooth_mean: On smooth surfaces.
        smooth_share: Share of pixels on smooth surfaces.
        without: Share of pixels without a fitted normal.
        images_per_second: On one core, processor time.
    """

    images: int
    mean: float
    median: float
    within_1: float
    within_11: float
    smooth_mean: float
    smooth_share: float
    without: float
    images_per_second: float


Compared = tuple[Floats, Rays, Floats | float, Floats]
"""Depth, rays, noise and the other normals of an image."""


def of_rooms(count: int, size: Size) -> Iterator[Compared]:
    """Scenes of `rooms`, whose depth and normals are exact."""
    focal = KINECT_FOCAL * size[0]
    camera = Intrinsics(focal, focal, size[1] / 2, size[0] / 2)
    for index in range(count):
        scene = render(0, index, size)
        assert scene.depth is not None
        assert scene.normal is not None
        yield scene.depth, camera.rays(*(np.arange(side) + 0.5 for side in size)), 1e-4, scene.normal


def of_nyuv2(root: Path, count: int, size: Size, step: float | None) -> Iterator[Compared]:
    """Test images of NYU-V2 as uncropped files in MTAN's layout, spread evenly.

    Args:
        root: The folder with train/ and val/.
        count: Number of images.
        size: Height and width.
        step: Of depth that is rounded, in metres; None for that of a Kinect.
    """
    _, images = open_nyuv2(NyuV2Spec(size=size), root, root)
    rays = CAMERA.rays(*(nearest_indices(wanted, there) + 0.5 for wanted, there in zip(size, NATIVE, strict=True)))
    for number in range(count):
        scene = images.scene(number * len(images) // count, ("depth", "normal"))
        assert scene.depth is not None
        assert scene.normal is not None
        noise = NOISE if step is None else step / np.sqrt(12) / np.square(np.maximum(scene.depth, 0.1))
        yield scene.depth, rays, noise, scene.normal


def measure(images: Iterator[Compared]) -> NormalsResult:
    """Fit normals to all images, and compare them."""
    angles, smooth_angles = [], []
    seconds, pixels, without, count = 0.0, 0, 0, 0
    for depth, rays, noise, other in images:
        began = time.process_time()
        found = normals_from_depth(depth, rays, noise)
        seconds += time.process_time() - began
        angle = np.degrees(np.arccos(np.clip((found * other).sum(axis=2), -1, 1)))
        both = found.any(axis=2) & other.any(axis=2)
        angles.append(angle[both])
        smooth_angles.append(angle[both & _smooth(other)])
        count, pixels, without = count + 1, pixels + depth.size, without + int((~found.any(axis=2)).sum())
    all_angles, smooth = np.concatenate(angles), np.concatenate(smooth_angles)
    return NormalsResult(
        images=count,
        mean=float(all_angles.mean()),
        median=float(np.median(all_angles)),
        within_1=float((all_angles < 1).mean()),
        within_11=float((all_angles < 11.25).mean()),
        smooth_mean=float(smooth.mean()),
        smooth_share=smooth.size / all_angles.size,
        without=without / pixels,
        images_per_second=count / seconds,
    )


def line(title: str, result: NormalsResult) -> str:
    """A result as text."""
    return (
        f"{title}: {result.images} images, angle mean {result.mean:.2f}, median {result.median:.2f} degrees, "
        f"{result.within_1:.1%} within 1 and {result.within_11:.1%} within 11.25; mean {result.smooth_mean:.2f} on "
        f"smooth surfaces ({result.smooth_share:.0%}); {result.without:.1%} without a normal; "
        f"{result.images_per_second:.1f} images a second on a core"
    )


def _smooth(normal: Floats) -> NDArray[np.bool_]:
    mean = np.stack([uniform_filter(normal[..., axis], SMOOTH_WINDOW) for axis in range(3)], axis=2)
    smooth: NDArray[np.bool_] = np.linalg.norm(mean, axis=2) > np.cos(np.radians(SMOOTH_DEGREES))
    return smooth
