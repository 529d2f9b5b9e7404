import hashlib
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

SIZE = (96, 128)


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [render(0, index, SIZE) for index in range(60)]


def digest(scene: Scene) -> str:
    content = hashlib.sha256()
    for array in (scene.image, scene.semantic, scene.depth, scene.normal):
        assert array is not None
        content.update(np.ascontiguousarray(array).tobytes())
    return content.hexdigest()


def points(scene: Scene) -> np.ndarray[tuple[int, int, int], np.dtype[np.float64]]:
    """Where each pixel's surface is, in the camera's frame, metres."""
    assert scene.depth is not None
    height, width = scene.depth.shape
    y, x = np.mgrid[:height, :width] + 0.5
    focal = 519 / 480 * height
    rays = np.stack([(x - width / 2) / focal, (y - height / 2) / focal, np.ones((height, width))], axis=2)
    located: np.ndarray[tuple[int, int, int], np.dtype[np.float64]] = rays * scene.depth[..., None].astype(np.float64)
    return located


def test_a_scene_depends_on_seed_and_index_alone() -> None:
    assert digest(render(3, 17, SIZE)) == digest(render(3, 17, SIZE))
    assert digest(render(3, 17, SIZE)) != digest(render(3, 18, SIZE))
    assert digest(render(3, 17, SIZE)) != digest(render(4, 17, SIZE))


def test_the_generator_has_the_version_of_its_scenes() -> None:
    # Whoever changes what is rendered raises GENERATOR_VERSION, or caches would mix scenes, and mends this test.
    scene = render(0, 1, SIZE)
    assert scene.semantic is not None
    assert scene.depth is not None
    counts = np.bincount(scene.semantic.ravel(), minlength=13)
    assert GENERATOR_VERSION == 2
    np.testing.assert_allclose(counts, [0, 37, 0, 682, 3188, 1380, 593, 133, 0, 363, 189, 3328, 2395], atol=5)
    assert scene.depth.mean() == pytest.approx(2.702, abs=2e-3)
    assert scene.image.mean() == pytest.approx(0.449, abs=2e-3)


def test_another_process_renders_the_same() -> None:
    code = (
        "import hashlib, numpy as np\n"
        "from rdc_sweeps.synthetic.rooms.scenes import render\n"
        "render(9, 9, (32, 32))\n"
        "scene = render(3, 17, (96, 128))\n"
        "content = hashlib.sha256()\n"
        "for array in (scene.image, scene.semantic, scene.depth, scene.normal):\n"
        "    content.update(np.ascontiguousarray(array).tobytes())\n"
        "print(content.hexdigest())"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == digest(render(3, 17, SIZE))


def test_types_and_ranges(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert scene.semantic is not None
        assert scene.depth is not None
        assert scene.normal is not None
        assert [a.dtype.name for a in (scene.image, scene.semantic, scene.depth, scene.normal)] == [
            "float32",
            "int16",
            "float32",
            "float32",
        ]
        assert scene.image.shape == (96, 128, 3)
        assert scene.image.min() >= 0
        assert scene.image.max() <= 1
        assert scene.semantic.min() >= 0
        assert scene.semantic.max() <= 12
        assert scene.depth.min() > 0.05
        assert scene.depth.max() < 10


def test_images_are_well_exposed(scenes: list[Scene]) -> None:
    brightness = [float(scene.image.mean()) for scene in scenes]
    assert min(brightness) > 0.25
    assert max(brightness) < 0.8
    assert all(float(scene.image.std()) > 0.05 for scene in scenes)


def test_all_classes_occur(scenes: list[Scene]) -> None:
    counts = np.zeros(len(NYU_CLASSES))
    for scene in scenes:
        assert scene.semantic is not None
        counts += np.bincount(scene.semantic.ravel(), minlength=len(NYU_CLASSES))
    share = counts / counts.sum()
    assert (share > 0.004).all(), dict(zip(NYU_CLASSES, share.round(4).tolist(), strict=True))
    assert share.max() < 0.5


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


def test_the_scene_is_the_same_at_every_size() -> None:
    small, large = render(1, 5, (96, 128)), render(1, 5, (288, 384))
    assert small.semantic is not None
    assert large.semantic is not None
    assert small.depth is not None
    assert large.depth is not None
    # Middles of small pixels are middles of every third large one.
    np.testing.assert_array_equal(small.semantic, large.semantic[1::3, 1::3])
    np.testing.assert_allclose(small.depth, large.depth[1::3, 1::3], rtol=1e-4)


def test_a_cached_scene_is_the_rendered_one(tmp_path: Path) -> None:
    rooms = RenderedScenes(ROOMS, 7, 3, 4, SIZE, tmp_path)
    assert len(rooms) == 4
    rendered, first, again = render(7, 4, SIZE), rooms.scene(1, rooms.tasks), rooms.scene(1, rooms.tasks)
    assert digest(first) == digest(again)
    np.testing.assert_array_equal(first.semantic, rendered.semantic)
    np.testing.assert_array_equal(first.depth, rendered.depth)
    assert first.normal is not None
    assert rendered.normal is not None
    np.testing.assert_allclose(first.normal, rendered.normal, atol=1e-6)
    np.testing.assert_allclose(first.image, rendered.image, atol=0.5 / 255 + 1e-6)
    np.testing.assert_array_equal(rooms.image(1), first.image)


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


def test_the_cache_holds_each_seed_and_size_apart(tmp_path: Path) -> None:
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


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "rooms").write_text("a file where a folder should be")
    with pytest.raises(DataError, match=r"cannot be written .*RDC_SWEEP_CACHE_ROOT"):
        RenderedScenes(ROOMS, 7, 0, 1, (32, 64), tmp_path).image(0)


def test_indices_out_of_range_are_refused(tmp_path: Path) -> None:
    with pytest.raises(IndexError, match="no image 3, there are 3"):
        RenderedScenes(ROOMS, 7, 0, 3, SIZE, tmp_path).image(3)
