"""What the scenes of all synthetic data sets have in common."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rdc_sweeps.data.scene import Scene
from rdc_sweeps.synthetic.engine.rendered import RenderedScenes, Renderer
from rdc_sweeps.synthetic.rooms.scenes import ROOMS
from rdc_sweeps.synthetic.streets.scenes import STREETS
from tests.data.damage import mutations
from tests.synthetic.digests import digest

SIZES = {"rooms": (96, 128), "streets": (64, 128)}


@pytest.fixture(scope="module", params=[ROOMS, STREETS], ids=lambda renderer: renderer.name)
def renderer(request: pytest.FixtureRequest) -> Renderer:
    found: Renderer = request.param
    return found


@pytest.fixture(scope="module")
def scenes(renderer: Renderer) -> list[Scene]:
    return [renderer.render(0, index, SIZES[renderer.name]) for index in range(60)]


def test_a_scene_depends_on_seed_and_index_alone(renderer: Renderer) -> None:
    size = SIZES[renderer.name]
    assert digest(renderer.render(3, 17, size)) == digest(renderer.render(3, 17, size))
    assert digest(renderer.render(3, 17, size)) != digest(renderer.render(3, 18, size))
    assert digest(renderer.render(3, 17, size)) != digest(renderer.render(4, 17, size))


def test_another_process_renders_the_same_scene(renderer: Renderer) -> None:
    size = SIZES[renderer.name]
    code = (
        f"from rdc_sweeps.synthetic.{renderer.name}.scenes import render\n"
        "from tests.synthetic.digests import digest\n"
        "render(9, 9, (32, 32))\n"
        f"print(digest(render(3, 17, {size})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2]
    )
    assert done.stdout.strip() == digest(renderer.render(3, 17, size))


def test_types_shapes_and_ranges(renderer: Renderer, scenes: list[Scene]) -> None:
    size, classes = SIZES[renderer.name], len(renderer.layout.classes)
    for scene in scenes:
        assert scene.semantic is not None
        assert scene.depth is not None
        assert (scene.normal is not None) == ("normal" in renderer.layout.labels)
        arrays: list[NDArray[Any]] = [scene.image, scene.semantic, scene.depth]
        arrays += [] if scene.normal is None else [scene.normal]
        assert [array.dtype.name for array in arrays] == ["float32", "int16", "float32", "float32"][: len(arrays)]
        assert {array.shape[:2] for array in arrays} == {size}
        assert scene.image.shape == (*size, 3)
        assert 0 <= scene.image.min() <= scene.image.max() <= 1
        assert 0 <= scene.semantic.min() <= scene.semantic.max() < classes


def test_images_are_well_exposed(scenes: list[Scene]) -> None:
    brightness = [float(scene.image.mean()) for scene in scenes]
    assert min(brightness) > 0.25
    assert max(brightness) < 0.8
    assert all(float(scene.image.std()) > 0.05 for scene in scenes)


def test_every_class_occurs_and_none_dominates(renderer: Renderer, scenes: list[Scene]) -> None:
    names = renderer.layout.classes
    counts = np.zeros(len(names))
    for scene in scenes:
        assert scene.semantic is not None
        counts += np.bincount(scene.semantic.ravel(), minlength=len(names))
    share = counts / counts.sum()
    assert (share > 0.004).all(), dict(zip(names, share.round(4).tolist(), strict=True))
    assert share.max() < 0.5


def test_a_scene_is_the_same_at_every_size(renderer: Renderer) -> None:
    height, width = SIZES[renderer.name]
    small, large = renderer.render(1, 5, (height, width)), renderer.render(1, 5, (3 * height, 3 * width))
    assert small.semantic is not None
    assert large.semantic is not None
    assert small.depth is not None
    assert large.depth is not None
    # The centre of a small pixel is the centre of every third large one.
    np.testing.assert_array_equal(small.semantic, large.semantic[1::3, 1::3])
    np.testing.assert_allclose(small.depth, large.depth[1::3, 1::3], rtol=1e-4)


def test_a_cached_scene_is_the_rendered_one(renderer: Renderer, tmp_path: Path) -> None:
    size = SIZES[renderer.name]
    cached = RenderedScenes(renderer, 7, 3, 4, size, tmp_path)
    assert len(cached) == 4
    rendered = renderer.render(7, 4, size)
    first, again = cached.scene(1, cached.tasks), cached.scene(1, cached.tasks)
    assert digest(first) == digest(again)
    np.testing.assert_array_equal(first.semantic, rendered.semantic)
    np.testing.assert_array_equal(first.depth, rendered.depth)
    np.testing.assert_allclose(first.image, rendered.image, atol=0.5 / 255 + 1e-6)
    if rendered.normal is not None:
        assert first.normal is not None
        np.testing.assert_allclose(first.normal, rendered.normal, atol=1e-6)
    np.testing.assert_array_equal(cached.image(1), first.image)
    folders = {renderer.layout.image, *renderer.layout.labels.values()}
    assert {path.parent.name for path in tmp_path.rglob("*.npy")} == folders


def test_a_damaged_or_misplaced_cached_file_is_rendered_again(renderer: Renderer, tmp_path: Path) -> None:
    size = (32, 64)
    cached = RenderedScenes(renderer, 7, 0, 2, size, tmp_path)
    wanted = digest(cached.scene(0, cached.tasks))
    cached.scene(1, cached.tasks)
    for folder in (renderer.layout.image, *renderer.layout.labels.values()):
        (path,) = tmp_path.rglob(f"{folder}/0.npy")
        sound = path.read_bytes()
        flipped = bytearray(sound)
        flipped[len(sound) // 2] ^= 1
        for content in (bytes(flipped), sound[:-4], path.with_name("1.npy").read_bytes(), b""):
            path.write_bytes(content)
            assert digest(cached.scene(0, cached.tasks)) == wanted
            assert path.read_bytes() == sound


def test_other_programs_can_read_a_cached_file(tmp_path: Path) -> None:
    cached = RenderedScenes(ROOMS, 7, 0, 1, (32, 64), tmp_path)
    scene = cached.scene(0, ["depth"])
    (path,) = tmp_path.rglob("depth/0.npy")
    np.testing.assert_array_equal(np.load(path), scene.depth)
    np.testing.assert_array_equal(np.load(path, mmap_mode="r"), scene.depth)


@pytest.mark.slow
def test_three_thousand_mutated_cached_files_are_noticed(tmp_path: Path) -> None:
    scene = ROOMS.render(7, 0, (32, 32))
    cached = RenderedScenes(replace(ROOMS, render=lambda *_: scene), 7, 0, 1, (32, 32), tmp_path)
    wanted = digest(cached.scene(0, cached.tasks))
    paths = [next(tmp_path.rglob(f"{folder}/0.npy")) for folder in ("image", "label", "depth", "normal")]
    for path in paths:
        for mutated in mutations(path.read_bytes(), 750):
            path.write_bytes(mutated)
            assert digest(cached.scene(0, cached.tasks)) == wanted
