from pathlib import Path

import numpy as np
import pytest

from rdc_sweeps.data.scene import Scene
from rdc_sweeps.specs.dataset import CITYSCAPES_CLASSES, StreetsSpec
from rdc_sweeps.synthetic.engine.rendered import FIRST_TEST_INDEX
from rdc_sweeps.synthetic.streets.scenes import DISPARITY_AT_1_METRE, GENERATOR_VERSION, render
from rdc_sweeps.training.splits import open_splits

SIZE = (64, 128)
FLAT, SKY, VEHICLE = (CITYSCAPES_CLASSES.index(name) for name in ("flat", "sky", "vehicle"))


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [render(0, index, SIZE) for index in range(60)]


def test_the_generator_version_belongs_to_its_scenes() -> None:
    # If you change what is rendered, increase GENERATOR_VERSION, or caches would mix scenes, and update this test.
    scene = render(0, 1, SIZE)
    assert scene.semantic is not None
    assert scene.depth is not None
    counts = np.bincount(scene.semantic.ravel(), minlength=7)
    assert GENERATOR_VERSION == 1
    np.testing.assert_allclose(counts, [3205, 2386, 81, 593, 730, 0, 1197], atol=5)
    assert scene.depth.mean() == pytest.approx(0.1288, abs=1e-3)
    assert scene.image.mean() == pytest.approx(0.443, abs=2e-3)


def test_everything_but_the_sky_has_a_disparity(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert scene.depth is not None
        assert scene.depth.max() < 0.6
        np.testing.assert_array_equal(scene.depth == 0, scene.semantic == SKY)


def test_the_sky_is_never_at_the_bottom(scenes: list[Scene]) -> None:
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
        # Cameras are at 0.95 to 1.1 of Cityscapes' 1.22 m above the ground, and roads and kerbs a few centimetres.
        assert 0.95 * 1.22 - 0.03 < 1 / np.linalg.norm(normal) < 1.1 * 1.22 + 0.03
        assert normal[1] > 0


def test_streets_need_no_root(tmp_path: Path) -> None:
    spec = StreetsSpec(size=(32, 64), train_images=4, validation_images=2, test_images=3)
    splits = open_splits(spec, root=None, cache=tmp_path)
    assert (len(splits.train), len(splits.validation), len(splits.test), splits.training_images) == (4, 2, 3, 6)
    assert splits.train.tasks == ("semantic", "depth")
    assert splits.train.classes == CITYSCAPES_CLASSES
    rendered = render(0, FIRST_TEST_INDEX + 2, (32, 64))
    np.testing.assert_array_equal(splits.test.scene(2, ["depth"]).depth, rendered.depth)
