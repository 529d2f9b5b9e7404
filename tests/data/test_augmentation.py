import hashlib
import itertools
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks.fidelity.examples import channels_first, drawn_windows
from benchmarks.fidelity.references.crops import scale_crop
from rdc_sweeps.data.augmentation import augment
from rdc_sweeps.data.scene import Scene
from rdc_sweeps.errors import DataError
from rdc_sweeps.specs.training import AugmentationSpec

HEIGHT, WIDTH = 32, 64
Ids = NDArray[np.int32]


def numbered_scene() -> tuple[Scene, Ids]:
    """A scene in which every array tells the number of its pixel."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    number = (rows * WIDTH + columns).astype(np.int32)
    angle = number / number.max() * np.pi
    image = np.stack([(rows + 0.5) / HEIGHT, (columns + 0.5) / WIDTH, np.full(number.shape, 0.5)], axis=2)
    scene = Scene(
        image=image.astype(np.float32),
        semantic=(number % 13).astype(np.int16),
        depth=(number + 1).astype(np.float32),
        normal=np.stack([np.cos(angle), np.sin(angle), np.zeros(angle.shape)], axis=2).astype(np.float32),
    )
    return scene, number


def zoom_of(view: Scene, numbers: Ids) -> float:
    assert view.depth is not None
    return float(((numbers + 1) / view.depth).mean())


specs = st.builds(
    AugmentationSpec,
    scales=st.lists(st.floats(1, 3), min_size=1, max_size=4).map(tuple),
    views=st.sampled_from([1, 2]),
    flip=st.booleans(),
)
"""Exact crops."""


@settings(max_examples=150, deadline=None)
@given(spec=specs, seed=st.integers(0, 2**32))
def test_image_labels_and_regions_stay_together(spec: AugmentationSpec, seed: int) -> None:
    scene, number = numbered_scene()
    views = augment(scene, number, spec, np.random.default_rng(seed))
    assert len(views) == spec.views
    for view, regions in views:
        assert regions is not None
        assert view.semantic is not None
        assert view.depth is not None
        assert view.normal is not None
        assert view.image.shape == (HEIGHT, WIDTH, 3)
        assert regions.dtype == np.int32
        np.testing.assert_array_equal(view.semantic, regions % 13)
        zoom = zoom_of(view, regions)
        assert min(spec.scales) * (1 - 1e-5) <= zoom <= max(spec.scales) ** len(views) * (1 + 1e-5)
        np.testing.assert_allclose(view.depth * zoom, regions + 1, rtol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(view.normal, axis=-1), 1, atol=1e-6)
        rows, columns = regions // WIDTH, regions % WIDTH
        # The image is interpolated, labels are those of the nearest pixel: they agree to half a pixel.
        assert np.abs(view.image[..., 0] * HEIGHT - rows - 0.5).max() <= 0.5 + 1e-4
        assert np.abs(view.image[..., 1] * WIDTH - columns - 0.5).max() <= 0.5 + 1e-4
        mirrored = columns[0, 0] > columns[0, -1]
        assert spec.flip or not mirrored
        expected = np.cos(regions / number.max() * np.pi) * (-1 if mirrored else 1)
        np.testing.assert_allclose(view.normal[..., 0], expected, atol=1e-5)


@settings(max_examples=50, deadline=None)
@given(spec=specs, seed=st.integers(0, 2**32))
def test_disparity_grows_with_the_zoom_and_needs_no_normals(spec: AugmentationSpec, seed: int) -> None:
    scene, number = numbered_scene()
    street = Scene(image=scene.image, semantic=scene.semantic, depth=scene.depth)
    metric = augment(scene, number, spec, np.random.default_rng(seed))
    disparity = augment(street, number, spec, np.random.default_rng(seed), "multiplied")
    for (view, ids), (other, other_ids) in zip(metric, disparity, strict=True):
        assert ids is not None
        assert view.depth is not None
        assert other.depth is not None
        assert other.normal is None
        np.testing.assert_array_equal(ids, other_ids)
        np.testing.assert_array_equal(view.semantic, other.semantic)
        np.testing.assert_array_equal(view.image, other.image)
        # One divides by the zoom what the other multiplies.
        np.testing.assert_allclose(view.depth * other.depth, np.square(ids + 1.0), rtol=1e-5)
        assert (other.depth >= (ids + 1) * (1 - 1e-5)).all()


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), flip=st.booleans())
def test_view_2_is_a_crop_of_view_1(seed: int, flip: bool) -> None:
    scene, number = numbered_scene()
    spec = AugmentationSpec(scales=(1.2, 1.5), flip=flip)
    (first, first_ids), (second, second_ids) = augment(scene, number, spec, np.random.default_rng(seed))
    assert first_ids is not None
    assert second_ids is not None
    for outer, inner in ((first_ids // WIDTH, second_ids // WIDTH), (first_ids % WIDTH, second_ids % WIDTH)):
        # View 2 samples more densely, so it may show the pixel at the edge that view 1's samples step over.
        assert outer.min() - 1 <= inner.min()
        assert inner.max() <= outer.max() + 1
        assert np.sign(int(outer[-1, -1]) - int(outer[0, 0])) == np.sign(int(inner[-1, -1]) - int(inner[0, 0]))
    assert zoom_of(second, second_ids) / zoom_of(first, first_ids) == pytest.approx(1.2, rel=1e-4) or zoom_of(
        second, second_ids
    ) / zoom_of(first, first_ids) == pytest.approx(1.5, rel=1e-4)


@pytest.mark.parametrize("size", [(32, 64), (96, 128), (128, 256), (288, 384)])
@pytest.mark.parametrize("seed", range(4))
def test_the_released_crop_is_that_of_the_released_code(size: tuple[int, int], seed: int) -> None:
    noise, spec = np.random.default_rng(seed), AugmentationSpec(crop="released")
    scene = Scene(
        image=noise.random((*size, 3), dtype=np.float32),
        semantic=noise.integers(-1, 13, size).astype(np.int16),
        depth=noise.random(size, dtype=np.float32),
        normal=noise.standard_normal((*size, 3), dtype=np.float32),
    )
    regions = noise.integers(0, 50, size).astype(np.int32)
    maps = channels_first(scene, regions)
    views = augment(scene, regions, spec, np.random.default_rng(seed))
    for (view, ids), window in zip(views, drawn_windows(spec, seed, size), strict=True):
        maps = {name: scale_crop(name, one, window) for name, one in maps.items()}
        for name, found in channels_first(view, ids).items():
            # Two interpolations in single precision; what is taken from a pixel is exact.
            tolerance = 2e-6 if name in ("image", "normal") else 1e-7
            torch.testing.assert_close(found, maps[name], rtol=0, atol=tolerance, msg=name)


def test_released_crops_reach_every_window() -> None:
    scene, number = numbered_scene()
    spec = AugmentationSpec(crop="released", scales=(1.5,), views=1)
    seen = set()
    for seed in range(400):
        ((_, regions),) = augment(scene, number, spec, np.random.default_rng(seed))
        assert regions is not None
        seen.add(int(regions[0, 0]) // WIDTH)
    assert seen == set(range(HEIGHT - int(HEIGHT / 1.5) + 1))


@pytest.mark.parametrize("crop", ["exact", "released"])
def test_view_2_may_be_flipped_again_independently_of_view_1(crop: Literal["exact", "released"]) -> None:
    scene, number = numbered_scene()
    seen = set()
    for seed in range(40):
        spec = AugmentationSpec(flip=True, flip_again=True, crop=crop)
        views = augment(scene, number, spec, np.random.default_rng(seed))
        mirrored = []
        for view, regions in views:
            assert regions is not None
            mirrored.append(bool(regions[0, 0] > regions[0, -1]))
            assert view.normal is not None
            assert scene.normal is not None
            pixel = np.unravel_index(regions[0, 0], (HEIGHT, WIDTH))
            assert np.sign(view.normal[0, 0, 0]) == (-1 if mirrored[-1] else 1) * np.sign(scene.normal[pixel][0])
        seen.add(tuple(mirrored))
    assert len(seen) == 4


def test_the_crop_has_the_size_of_its_zoom() -> None:
    scene, number = numbered_scene()
    view, regions = augment(scene, number, AugmentationSpec(scales=(2.0,), views=1), np.random.default_rng(0))[0]
    assert regions is not None
    assert zoom_of(view, regions) == pytest.approx(2)
    assert np.ptp(regions // WIDTH) in (HEIGHT // 2 - 1, HEIGHT // 2)
    assert np.ptp(regions % WIDTH) in (WIDTH // 2 - 1, WIDTH // 2)


def test_scale_1_does_not_change_the_scene() -> None:
    scene, number = numbered_scene()
    for view, regions in augment(scene, number, AugmentationSpec(scales=(1.0,)), np.random.default_rng(0)):
        np.testing.assert_array_equal(view.image, scene.image)
        np.testing.assert_array_equal(view.depth, scene.depth)
        np.testing.assert_array_equal(view.normal, scene.normal)
        np.testing.assert_array_equal(regions, number)


def test_invalid_pixels_stay_invalid_and_void() -> None:
    scene, _ = numbered_scene()
    assert scene.semantic is not None
    assert scene.depth is not None
    assert scene.normal is not None
    holes = np.random.default_rng(1).random((HEIGHT, WIDTH)) < 0.3
    scene.semantic[holes] = -1
    scene.depth[holes] = 0
    scene.normal[holes] = 0
    for view, _ in augment(scene, None, AugmentationSpec(scales=(1.2, 1.5)), np.random.default_rng(0)):
        assert view.semantic is not None
        assert view.depth is not None
        assert view.normal is not None
        gone = view.semantic == -1
        assert gone.any()
        np.testing.assert_array_equal(view.depth == 0, gone)
        np.testing.assert_array_equal((view.normal == 0).all(axis=-1), gone)


def test_views_do_not_depend_on_what_is_withheld() -> None:
    scene, number = numbered_scene()
    spec = AugmentationSpec(flip=True)
    for seed in range(10):
        whole = augment(scene, number, spec, np.random.default_rng(seed))
        bare = augment(Scene(scene.image, depth=scene.depth), None, spec, np.random.default_rng(seed))
        for (view, _), (other, regions) in zip(whole, bare, strict=True):
            assert regions is None
            assert other.semantic is None
            assert other.normal is None
            np.testing.assert_array_equal(view.image, other.image)
            np.testing.assert_array_equal(view.depth, other.depth)


def test_all_scales_and_both_sides_occur() -> None:
    scene, number = numbered_scene()
    zooms, mirrored = set(), set()
    for seed in range(60):
        view, regions = augment(scene, number, AugmentationSpec(flip=True, views=1), np.random.default_rng(seed))[0]
        assert regions is not None
        zooms.add(round(zoom_of(view, regions), 3))
        mirrored.add(bool(regions[0, 0] > regions[0, -1]))
    assert zooms == {1.0, 1.2, 1.5}
    assert mirrored == {False, True}


def test_the_scene_itself_is_not_changed() -> None:
    scene, number = numbered_scene()
    before, _ = numbered_scene()
    for seed in range(5):
        for view, _ in augment(scene, number, AugmentationSpec(flip=True), np.random.default_rng(seed)):
            view.image[:] = 0
    np.testing.assert_array_equal(scene.image, before.image)
    np.testing.assert_array_equal(scene.normal, before.normal)


def test_views_are_bit_for_bit_those_that_finished_runs_were_trained_on() -> None:
    noise, digest = np.random.default_rng(7), hashlib.blake2b(digest_size=16)
    for size, crop, seed in itertools.product([(32, 64), (96, 64)], ["exact", "released"], range(8)):
        image, normal = (noise.standard_normal((*size, 3), dtype=np.float32) for _ in range(2))
        # Zeros of either sign, which no sum of other numbers has.
        image[:4], normal[:4] = 0, -0.0
        scene = Scene(
            image, noise.integers(-1, 13, size).astype(np.int16), noise.random(size, dtype=np.float32), normal
        )
        spec = AugmentationSpec.model_validate({"crop": crop, "flip": seed % 2 == 0, "flip_again": seed % 4 == 0})
        for view, ids in augment(
            scene, noise.integers(-1, 9, size).astype(np.int32), spec, np.random.default_rng(seed)
        ):
            assert ids is not None
            for array in (view.image, view.semantic, view.depth, view.normal, ids):
                assert array is not None
                digest.update(array.tobytes())
    assert digest.hexdigest() == "478116bbbbe4f049952ff4f9da023f58"


def test_views_are_written_where_they_are_wanted() -> None:
    scene, number = numbered_scene()
    spec = AugmentationSpec(flip=True)
    into = [
        (
            Scene(
                np.empty((3, HEIGHT, WIDTH), np.float32).transpose(1, 2, 0),
                None,
                np.empty((HEIGHT, WIDTH), np.float32),
                np.empty((3, HEIGHT, WIDTH), np.float32).transpose(1, 2, 0),
            ),
            np.empty((HEIGHT, WIDTH), np.int32),
        )
        for _ in range(2)
    ]
    found = augment(scene, number, spec, np.random.default_rng(3), into=into)
    assert found is into
    for (view, ids), (other, other_ids) in zip(
        augment(scene, number, spec, np.random.default_rng(3)), into, strict=True
    ):
        np.testing.assert_array_equal(view.image, other.image)
        np.testing.assert_array_equal(view.depth, other.depth)
        np.testing.assert_array_equal(view.normal, other.normal)
        np.testing.assert_array_equal(ids, other_ids)


@pytest.mark.parametrize("name", ["semantic", "depth", "normal", "regions"])
@pytest.mark.parametrize("crop", ["exact", "released"])
def test_arrays_of_another_size_are_an_error(name: str, crop: str) -> None:
    scene, number = numbered_scene()
    other = {name: getattr(scene, name)[1:]} if name != "regions" else {}
    regions = number if other else number[:, 1:]
    spec = AugmentationSpec.model_validate({"crop": crop})
    with pytest.raises(DataError, match=r"shape \(3[12], 6[34].*expected \(32, 64"):
        augment(replace(scene, **other), regions, spec, np.random.default_rng(0))
