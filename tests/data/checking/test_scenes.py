from itertools import pairwise
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rdc_sweeps.data.checking.expectations import CITYSCAPES, CITYSCAPES_19, KINECT, NYUV2, ROOMS
from rdc_sweeps.data.checking.scenes import measure_scene, plane_normals, rays
from tests.data.checking import faults

components = st.floats(-0.8, 0.8)


@given(components, components)
def test_the_normals_of_a_plane_are_its_own(x: float, y: float) -> None:
    normal = np.array([x, y, -1]) / np.linalg.norm([x, y, -1])
    across, down = rays((24, 32), KINECT)
    facing = normal[0] * across + normal[1] * down[:, None] + normal[2]
    depth = np.where(facing < -0.05, -2 / facing, 0).astype(np.float32)
    found = plane_normals(depth, KINECT)
    known = np.any(found != 0, axis=2)
    assert not known[0].any()
    assert not known[:, 0].any()
    np.testing.assert_allclose(found[known], np.broadcast_to(normal, found[known].shape), atol=2e-3)


def test_beside_invalid_depth_there_is_no_normal() -> None:
    depth = np.full((6, 8), 2, np.float32)
    depth[2, 3] = 0
    known = np.any(plane_normals(depth, KINECT) != 0, axis=2)
    assert not known[[2, 1, 3, 2, 2], [3, 3, 3, 2, 4]].any()
    assert known[4, 5]


def test_measures_of_a_scene_are_those_of_its_arrays(rooms: Path) -> None:
    measures = measure_scene(ROOMS, rooms / "train", 3)
    label, depth = (np.load(rooms / "train" / folder / "3.npy") for folder in ("label", "depth"))
    assert measures.label is not None
    assert measures.depth is not None
    assert measures.normal is not None
    assert measures.label.counts.sum() == 48 * 64
    shares = measures.label.counts[2:-1] / (48 * 64)
    np.testing.assert_allclose(shares, np.bincount(label.ravel(), minlength=13) / label.size, atol=0.03)
    assert measures.depth.mean == np.float64(depth.mean(dtype=np.float64))
    assert measures.normal.facing > 0.99
    assert measures.unreadable == measures.invalid == {}
    assert set(measures.signatures) == {"image", "semantic", "depth", "normal"}


def test_sparse_depth_has_no_edges(rooms: Path, tmp_path: Path) -> None:
    root = faults.copy_root(rooms, tmp_path / "root")
    path = root / "train/depth/3.npy"
    depth = np.load(path)
    faults.replace(path, depth * (np.arange(depth.shape[1]) % 3 == 0))
    assert "depth" in measure_scene(ROOMS, root / "train", 2).signatures
    assert "depth" not in measure_scene(ROOMS, root / "train", 3).signatures


def test_published_shares_are_of_all_classes() -> None:
    for one in (NYUV2, CITYSCAPES, CITYSCAPES_19):
        assert one.shares is not None
        assert len(one.shares) == len(one.layout.classes)
        assert abs(sum(one.shares) - 1) < 1e-3
    # 19 classes and their 7 categories say the same.
    fine, coarse = CITYSCAPES_19.shares or (), CITYSCAPES.shares or ()
    bounds = [0, 2, 5, 8, 10, 11, 13, 19]
    np.testing.assert_allclose([sum(fine[first:last]) for first, last in pairwise(bounds)], coarse, atol=3e-4)
