"""Normals fitted to depth: exact on planes, sharp at edges, and close to those of real and drawn scenes."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import uniform_filter

from rdc_sweeps.data.normals import Intrinsics, Rays, normals_from_depth
from rdc_sweeps.data.scene import Floats
from rdc_sweeps.specs.base import Size
from rdc_sweeps.synthetic.rooms.scenes import render

SIZE = (48, 64)
CAMERA = Intrinsics(52.0, 52.0, 32.0, 24.0)

Vector = NDArray[np.float64]


def rays_of(size: Size, camera: Intrinsics = CAMERA) -> Rays:
    """The rays through the middles of all pixels."""
    return camera.rays(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)


def plane_depth(normal: Vector, distance: float, rays: Rays) -> Floats:
    """Depth of the plane at a distance from the camera, 0 where it is not in front of it."""
    inverse = -(normal[0] * rays.x + normal[1] * rays.y + normal[2]) / distance
    return np.where(inverse > 0.02, 1 / np.where(inverse > 0.02, inverse, 1), 0).astype(np.float32)


def angles(found: Floats, wanted: NDArray[np.floating]) -> NDArray[np.float64]:
    """Degrees between found normals and those wanted, of pixels that have one."""
    cosine = np.einsum("...c,...c", found.astype(np.float64), np.broadcast_to(wanted, found.shape))
    degrees: NDArray[np.float64] = np.degrees(np.arccos(np.clip(cosine[found.any(axis=-1)], -1, 1)))
    return degrees


@st.composite
def normals(draw: st.DrawFn) -> Vector:
    """Directions that face the camera, up to 75 degrees from its axis."""
    tilt, turn = draw(st.floats(0, 75)), draw(st.floats(0, 360))
    slope, around = float(np.radians(tilt)), float(np.radians(turn))
    return np.array([np.sin(slope) * np.cos(around), np.sin(slope) * np.sin(around), -np.cos(slope)], np.float64)


@settings(max_examples=25, deadline=None)
@given(normals(), st.floats(0.5, 5))
def test_a_plane_has_its_normal_everywhere(normal: Vector, distance: float) -> None:
    depth = plane_depth(normal, distance, rays_of(SIZE))
    found = normals_from_depth(depth, rays_of(SIZE), 1e-4)
    assert angles(found, normal).max(initial=0) < 0.1
    assert not found[depth == 0].any()
    # Only a plane that vanishes at its horizon, or is hit at a very flat angle, may leave pixels without one.
    assert found.any(axis=-1).sum() > 0.9 * (depth > 0).sum() or (depth == 0).any()


@settings(max_examples=15, deadline=None)
@given(normals(), st.floats(1, 4), st.integers(0, 2**32 - 1))
def test_unevenly_spaced_pixels_are_as_exact(normal: Vector, distance: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, columns = (np.sort(rng.choice(3 * side, side, replace=False)) / 3 + 1 / 6 for side in SIZE)
    rays = CAMERA.rays(rows, columns)
    found = normals_from_depth(plane_depth(normal, distance, rays), rays, 1e-4)
    assert angles(found, normal).max(initial=0) < 0.1


@settings(max_examples=15, deadline=None)
@given(st.integers(20, 44), st.floats(20, 60), st.booleans())
def test_a_corner_of_two_walls_is_sharp(column: int, degrees: float, inwards: bool) -> None:
    """Walls meet at a column of pixels, at the same depth: only the normals tell them apart."""
    rays = rays_of(SIZE)
    slope = np.radians(degrees) * (1 if inwards else -1)
    left, right = (np.array([side * np.sin(slope), 0, -np.cos(slope)]) for side in (1, -1))
    edge = np.array([(rays.x[0, column - 1] + rays.x[0, column]) / 2, 0, 1]) * 2.0
    depths = [plane_depth(one, float(-one @ edge), rays) for one in (left, right)]
    here = np.arange(SIZE[1])[None, :] < column
    depth = np.where(here, *depths).astype(np.float32)
    if not (depth > 0).all():
        return  # A wall that is seen from behind.
    found = normals_from_depth(depth, rays, 1e-4)
    wanted = np.where(np.broadcast_to(here, SIZE)[..., None], left, right)
    wrong = np.zeros(SIZE)
    wrong[found.any(axis=-1)] = angles(found, wanted)
    assert wrong.max() < 1
    assert found.any(axis=-1).mean() > 0.9


@settings(max_examples=15, deadline=None)
@given(normals(), normals(), st.integers(12, 36), st.floats(1.2, 2))
def test_a_step_in_depth_is_sharp(near: Vector, far: Vector, row: int, factor: float) -> None:
    rays = rays_of(SIZE)
    first, second = plane_depth(near, 1.0, rays), plane_depth(far, 4.0, rays)
    here = np.broadcast_to((np.arange(SIZE[0]) < row)[:, None], SIZE)
    found = normals_from_depth(np.where(here, first, second * np.float32(factor)), rays, 1e-4)
    inside = np.ones(SIZE, bool)
    inside[row - 1 : row + 1] = False
    wanted = np.where(here[..., None], near, far)
    assert np.median(angles(np.where(inside[..., None], found, 0), wanted)) < 0.1
    assert (angles(np.where(inside[..., None], found, 0), wanted) < 2).mean() > 0.95
    assert found[inside].any(axis=-1).mean() > 0.9 or not (first > 0).all() or not (second > 0).all()


def test_normals_face_the_camera_and_are_of_unit_length_or_none() -> None:
    depth = np.random.default_rng(0).uniform(0.5, 5, SIZE).astype(np.float32)
    depth[:10, :10] = 0
    found = normals_from_depth(depth, rays_of(SIZE), 1e-3)
    rays = rays_of(SIZE)
    towards = found[..., 0] * rays.x + found[..., 1] * rays.y + found[..., 2]
    assert (towards <= 0).all()
    length = np.linalg.norm(found, axis=-1)
    np.testing.assert_allclose(length[length > 0], 1, atol=1e-5)
    assert not found[:10, :10].any()


def test_pure_noise_has_no_normals() -> None:
    depth = np.random.default_rng(0).uniform(0.5, 5, SIZE).astype(np.float32)
    assert normals_from_depth(depth, rays_of(SIZE), 1e-3).any(axis=-1).mean() < 0.05


def test_few_isolated_pixels_have_no_normals() -> None:
    depth = np.zeros(SIZE, np.float32)
    depth[::8, ::8] = 2
    depth[24] = 2  # a line
    assert not normals_from_depth(depth, rays_of(SIZE), 1e-3).any()


def test_an_empty_depth_map_has_no_normals() -> None:
    assert not normals_from_depth(np.zeros(SIZE, np.float32), rays_of(SIZE), 1e-3).any()


def test_noise_averages_out() -> None:
    """A fronto-parallel wall at 3 m with the noise of a Kinect: far better than a fit to neighbouring pixels."""
    rays = rays_of(SIZE)
    normal = np.array([0.0, 0.0, -1.0])
    inverse = 1 / 3 + np.random.default_rng(0).normal(0, 1.4e-3, SIZE)
    assert angles(normals_from_depth((1 / inverse).astype(np.float32), rays, 1.4e-3), normal).mean() < 1


def test_a_camera_is_cropped_by_its_rays() -> None:
    whole, part = rays_of(SIZE), CAMERA.rays(np.arange(10, 20) + 0.5, np.arange(30, 50) + 0.5)
    np.testing.assert_array_equal(part.x, whole.x[:, 30:50])
    np.testing.assert_array_equal(part.y, whole.y[10:20])


def test_rooms_have_exact_normals() -> None:
    """Faces that are a few pixels wide have none, or those of a neighbour."""
    errors = []
    size = (144, 192)
    focal = 519 / 480 * size[0]
    for index in range(4):
        scene = render(0, index, size)
        assert scene.depth is not None
        assert scene.normal is not None
        found = normals_from_depth(scene.depth, rays_of(size, Intrinsics(focal, focal, 96.0, 72.0)), 1e-4)
        errors.append(angles(found, scene.normal))
    found_errors = np.concatenate(errors)
    assert np.median(found_errors) < 0.01
    assert (found_errors < 1).mean() > 0.9
    assert found_errors.size > 0.93 * 4 * size[0] * size[1]


def test_real_surfaces_have_the_normals_of_another_fit(shared: Path) -> None:
    """Of smooth surfaces, where the other normals vary by less than 15 degrees within 15x15 pixels."""
    size = (288, 384)
    camera = Intrinsics(518.857901 * 0.6, 519.469611 * 0.6, (325.582449 - 0.5) * 0.6, (253.736166 - 0.5) * 0.6)
    errors = []
    for index in (0, 163, 400):
        folder = shared / "data/nyuv2/val"
        depth = (np.asarray(Image.open(folder / f"depth8/{index}.png")).astype(np.float32) + np.float32(0.5)) / 25.5
        other = np.asarray(Image.open(folder / f"normal/{index}.jpg")).astype(np.float32) / np.float32(127.5) - 1
        other /= np.linalg.norm(other, axis=-1, keepdims=True)
        noise = (1 / 25.5 / np.sqrt(12) / np.square(depth)).astype(np.float32)
        found = normals_from_depth(depth, rays_of(size, camera), noise)
        mean = np.stack([uniform_filter(other[..., axis], 15) for axis in range(3)], axis=-1)
        smooth = np.linalg.norm(mean, axis=-1) > np.cos(np.radians(15))
        errors.append(angles(np.where(smooth[..., None], found, 0).astype(np.float32), other))
    assert np.concatenate(errors).size > 10_000
    assert np.concatenate(errors).mean() < 8


@pytest.mark.parametrize("size", [(4, 4), (1, 64), (48, 1)])
def test_tiny_images_are_no_error(size: Size) -> None:
    assert normals_from_depth(np.ones(size, np.float32), rays_of(size), 1e-3).shape == (*size, 3)
