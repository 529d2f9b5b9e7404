import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rdc_sweeps.data.scene import Scene
from rdc_sweeps.specs.dataset import CITYSCAPES_CLASSES, StreetsSpec
from rdc_sweeps.synthetic.engine.rendered import FIRST_TEST_INDEX, RenderedScenes
from rdc_sweeps.synthetic.streets.scenes import DISPARITY_AT_1_METRE, GENERATOR_VERSION, STREETS, render
from rdc_sweeps.training.splits import open_splits

SIZE = (64, 128)
FLAT, SKY, VEHICLE = (CITYSCAPES_CLASSES.index(name) for name in ("flat", "sky", "vehicle"))


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [render(0, index, SIZE) for index in range(60)]


def digest(scene: Scene) -> str:
    content = hashlib.sha256()
    for array in (scene.image, scene.semantic, scene.depth):
        assert array is not None
        content.update(np.ascontiguousarray(array).tobytes())
    return content.hexdigest()


def test_a_scene_depends_on_seed_and_index_alone() -> None:
    assert digest(render(3, 17, SIZE)) == digest(render(3, 17, SIZE))
    assert digest(render(3, 17, SIZE)) != digest(render(3, 18, SIZE))
    assert digest(render(3, 17, SIZE)) != digest(render(4, 17, SIZE))


def test_the_generator_has_the_version_of_its_scenes() -> None:
    # Whoever changes what is rendered raises GENERATOR_VERSION, or caches would mix scenes, and mends this test.
    scene = render(0, 1, SIZE)
    assert scene.semantic is not None
    assert scene.depth is not None
    counts = np.bincount(scene.semantic.ravel(), minlength=7)
    assert GENERATOR_VERSION == 1
    np.testing.assert_allclose(counts, [3205, 2386, 81, 593, 730, 0, 1197], atol=5)
    assert scene.depth.mean() == pytest.approx(0.1288, abs=1e-3)
    assert scene.image.mean() == pytest.approx(0.443, abs=2e-3)


def test_another_process_renders_the_same() -> None:
    code = (
        "import hashlib, numpy as np\n"
        "from rdc_sweeps.synthetic.streets.scenes import render\n"
        "render(9, 9, (32, 32))\n"
        "scene = render(3, 17, (64, 128))\n"
        "content = hashlib.sha256()\n"
        "for array in (scene.image, scene.semantic, scene.depth):\n"
        "    content.update(np.ascontiguousarray(array).tobytes())\n"
        "print(content.hexdigest())"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == digest(render(3, 17, SIZE))


def test_types_and_ranges(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert scene.semantic is not None
        assert scene.depth is not None
        assert scene.normal is None
        assert [a.dtype.name for a in (scene.image, scene.semantic, scene.depth)] == ["float32", "int16", "float32"]
        assert scene.image.shape == (*SIZE, 3)
        assert 0 <= scene.image.min() <= scene.image.max() <= 1
        assert 0 <= scene.semantic.min() <= scene.semantic.max() <= 6
        assert scene.depth.max() < 0.6
        # All but the sky has a disparity.
        np.testing.assert_array_equal(scene.depth == 0, scene.semantic == SKY)


def test_images_are_well_exposed(scenes: list[Scene]) -> None:
    brightness = [float(scene.image.mean()) for scene in scenes]
    assert min(brightness) > 0.25
    assert max(brightness) < 0.8
    assert all(float(scene.image.std()) > 0.05 for scene in scenes)


def test_classes_are_as_frequent_as_in_a_street(scenes: list[Scene]) -> None:
    counts = np.zeros(7)
    for scene in scenes:
        assert scene.semantic is not None
        counts += np.bincount(scene.semantic.ravel(), minlength=7)
    share = counts / counts.sum()
    assert (share > 0.004).all(), dict(zip(CITYSCAPES_CLASSES, share.round(4).tolist(), strict=True))
    assert share.max() < 0.5
    # What stands on the road is in the lower half, the sky in the upper one.
    for scene in scenes:
        assert scene.semantic is not None
        assert (scene.semantic[-1] != SKY).all()


def test_the_road_is_a_plane_below_the_camera(scenes: list[Scene]) -> None:
    height, width = SIZE
    focal = 2262.5 / 1024 * height
    rows, columns = np.mgrid[:height, :width] + 0.5
    rays = np.stack([(columns - width / 2) / focal, (rows - height / 2) / focal, np.ones(SIZE)], axis=2)
    for scene in scenes[:20]:
        assert scene.semantic is not None
        assert scene.depth is not None
        road = (scene.semantic == FLAT) & (rows > 0.75 * height)
        distance = DISPARITY_AT_1_METRE / scene.depth[road].astype(np.float64)
        # The plane n . p = 1 through all places; 1 / |n| is the camera's height above it.
        normal, *_ = np.linalg.lstsq(rays[road] * distance[:, None], np.ones(len(distance)), rcond=None)
        assert 1 / np.linalg.norm(normal) == pytest.approx(1.22, abs=0.2)
        assert normal[1] > 0


def test_the_scene_is_the_same_at_every_size() -> None:
    small, large = render(1, 5, (64, 128)), render(1, 5, (192, 384))
    assert small.semantic is not None
    assert large.semantic is not None
    assert small.depth is not None
    assert large.depth is not None
    np.testing.assert_array_equal(small.semantic, large.semantic[1::3, 1::3])
    np.testing.assert_allclose(small.depth, large.depth[1::3, 1::3], rtol=1e-4)


def test_cached_scenes_are_the_rendered_ones(tmp_path: Path) -> None:
    streets = RenderedScenes(STREETS, 7, 3, 4, SIZE, tmp_path)
    rendered, first, again = render(7, 4, SIZE), streets.scene(1, streets.tasks), streets.scene(1, streets.tasks)
    assert digest(first) == digest(again)
    np.testing.assert_array_equal(first.semantic, rendered.semantic)
    np.testing.assert_array_equal(first.depth, rendered.depth)
    np.testing.assert_allclose(first.image, rendered.image, atol=0.5 / 255 + 1e-6)
    assert {path.parent.name for path in tmp_path.rglob("*.npy")} == {"image", "label_7", "depth"}


def test_streets_need_no_root(tmp_path: Path) -> None:
    spec = StreetsSpec(size=(32, 64), train_images=4, validation_images=2, test_images=3)
    splits = open_splits(spec, root=None, cache=tmp_path)
    assert (len(splits.train), len(splits.validation), len(splits.test), splits.training_images) == (4, 2, 3, 6)
    assert splits.train.tasks == ("semantic", "depth")
    assert splits.train.classes == CITYSCAPES_CLASSES
    rendered = render(0, FIRST_TEST_INDEX + 2, (32, 64))
    np.testing.assert_array_equal(splits.test.scene(2, ["depth"]).depth, rendered.depth)
