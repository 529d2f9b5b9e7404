import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rdc_sweeps.data.scene import Scene
from rdc_sweeps.errors import DataError
from rdc_sweeps.specs.dataset import NYU_CLASSES
from rdc_sweeps.synthetic.engine.rendered import RenderedScenes
from rdc_sweeps.synthetic.rooms.scenes import GENERATOR_VERSION, ROOMS, render
from tests.synthetic.digests import digest

SIZE = (96, 128)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [render(0, index, SIZE) for index in range(60)]


def points(scene: Scene) -> np.ndarray[tuple[int, int, int], np.dtype[np.float64]]:
    """Where each pixel's surface is, in the camera's frame, metres."""
    assert scene.depth is not None
    height, width = scene.depth.shape
    y, x = np.mgrid[:height, :width] + 0.5
    focal = 519 / 480 * height
    rays = np.stack([(x - width / 2) / focal, (y - height / 2) / focal, np.ones((height, width))], axis=2)
    located: np.ndarray[tuple[int, int, int], np.dtype[np.float64]] = rays * scene.depth[..., None].astype(np.float64)
    return located


def test_the_generator_version_belongs_to_its_scenes() -> None:
    # If you change what is rendered, increase GENERATOR_VERSION, or caches would mix scenes, and update this test.
    scene = render(0, 1, SIZE)
    assert scene.semantic is not None
    assert scene.depth is not None
    counts = np.bincount(scene.semantic.ravel(), minlength=13)
    assert GENERATOR_VERSION == 2
    np.testing.assert_allclose(counts, [0, 37, 0, 682, 3188, 1380, 593, 133, 0, 363, 189, 3328, 2395], atol=5)
    assert scene.depth.mean() == pytest.approx(2.702, abs=2e-3)
    assert scene.image.mean() == pytest.approx(0.449, abs=2e-3)


def test_depths_are_those_of_a_room(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert scene.depth is not None
        assert scene.depth.min() > 0.05
        assert scene.depth.max() < 10


def test_normals_are_unit_and_face_the_camera(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert scene.normal is not None
        np.testing.assert_allclose(np.linalg.norm(scene.normal, axis=-1), 1, atol=1e-5)
        assert (np.einsum("hwc,hwc->hw", scene.normal, points(scene)) < 0).all()


def test_depth_and_normals_describe_the_same_surfaces(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert scene.normal is not None
        assert scene.semantic is not None
        place = points(scene)
        offset = np.einsum("hwc,hwc->hw", scene.normal, place)
        same = np.abs(scene.normal[:, 1:] - scene.normal[:, :-1]).max(axis=-1) == 0
        step = np.abs(offset[:, 1:] - offset[:, :-1])[same]
        # Neighbours of one orientation lie in one plane, unless one surface ends in front of a parallel one.
        assert (step < 1e-3).mean() > 0.85
        floor = scene.semantic == NYU_CLASSES.index("floor")
        if floor.sum() > 50:
            # y points down, so the floor's normal has a negative one.
            assert scene.normal[floor, 1].mean() < -0.5
            # All but the edges of a rug lie within its thickness.
            assert (np.abs(offset[floor] - np.median(offset[floor])) < 0.02).mean() > 0.97


def test_withheld_labels_are_not_opened(tmp_path: Path) -> None:
    rooms = RenderedScenes(ROOMS, 7, 0, 4, SIZE, tmp_path)
    before = rooms.scene(2, ["depth"])
    for path in tmp_path.rglob("2.npy"):
        if path.parent.name in ("label", "normal"):
            path.write_bytes(b"garbage")
    after = rooms.scene(2, ["depth"])
    np.testing.assert_array_equal(before.depth, after.depth)
    assert after.semantic is None
    assert after.normal is None
    assert all(path.read_bytes() == b"garbage" for path in tmp_path.rglob("2.npy") if path.parent.name == "label")


@pytest.mark.parametrize("name", ["image", "label", "depth", "normal"])
def test_damaged_files_are_rendered_again(tmp_path: Path, name: str) -> None:
    rooms = RenderedScenes(ROOMS, 7, 0, 4, SIZE, tmp_path)
    before = rooms.scene(0, rooms.tasks)
    (damaged,) = (path for path in tmp_path.rglob("0.npy") if path.parent.name == name)
    damaged.write_bytes(damaged.read_bytes()[:200])
    assert digest(rooms.scene(0, rooms.tasks)) == digest(before)


def test_the_cache_keeps_seeds_and_sizes_apart(tmp_path: Path) -> None:
    scenes = [
        RenderedScenes(ROOMS, seed, 0, 1, size, tmp_path).image(0)
        for seed, size in ((0, SIZE), (1, SIZE), (0, (32, 64)))
    ]
    assert [image.shape for image in scenes] == [(96, 128, 3), (96, 128, 3), (32, 64, 3)]
    assert (scenes[0] != scenes[1]).any()


def test_two_processes_may_fill_one_cache(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom rdc_sweeps.synthetic.engine.rendered import RenderedScenes\n"
        "from rdc_sweeps.synthetic.rooms.scenes import ROOMS\n"
        "rooms = RenderedScenes(ROOMS, 7, 0, 20, (32, 64), Path(sys.argv[1]))\n"
        "for index in range(20): rooms.scene(index, rooms.tasks)"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(2)]
    assert [process.wait() for process in running] == [0, 0]
    rooms = RenderedScenes(ROOMS, 7, 0, 20, (32, 64), tmp_path)
    for index in range(20):
        np.testing.assert_array_equal(rooms.scene(index, ["depth"]).depth, render(7, index, (32, 64)).depth)
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {".npy"}


def test_an_unwritable_cache_is_an_error_with_advice(tmp_path: Path) -> None:
    (tmp_path / "rooms").write_text("a file where a folder should be")
    with pytest.raises(DataError, match=r"cannot be written .*RDC_SWEEP_CACHE_ROOT"):
        RenderedScenes(ROOMS, 7, 0, 1, (32, 64), tmp_path).image(0)


def test_indices_out_of_range_are_refused(tmp_path: Path) -> None:
    with pytest.raises(IndexError, match="no image 3, there are 3"):
        RenderedScenes(ROOMS, 7, 0, 3, SIZE, tmp_path).image(3)
