import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.measure import label

from rdc_sweeps.regions.generator import eight_bit, image_digest
from rdc_sweeps.regions.superpixels import SuperpixelGenerator
from rdc_sweeps.specs.sources import SuperpixelRegions


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 99), st.integers(8, 40), st.integers(8, 40), st.integers(1, 30))
def test_superpixels_cover_the_image_in_connected_numbered_regions(
    seed: int, height: int, width: int, segments: int
) -> None:
    image = np.random.default_rng(seed).random((height, width, 3)).astype(np.float32)
    ids = SuperpixelGenerator(SuperpixelRegions(segments=segments))(image)
    assert ids.dtype == np.int32
    assert ids.shape == (height, width)
    assert np.unique(ids).tolist() == list(range(ids.max() + 1))
    assert label(ids, background=-1, connectivity=1).max() == ids.max() + 1


def test_superpixels_follow_colour() -> None:
    image = np.zeros((40, 40, 3), np.float32)
    image[:, 17:] = (1, 0.5, 0)
    ids = SuperpixelGenerator(SuperpixelRegions(segments=8, sigma=0))(image)
    assert not set(ids[:, :17].flat) & set(ids[:, 17:].flat)


def test_images_of_one_digest_have_one_map() -> None:
    image = np.random.default_rng(0).random((30, 40, 3))
    rounded = eight_bit(image) / 255
    assert image_digest(image) == image_digest(rounded)
    generator = SuperpixelGenerator(SuperpixelRegions())
    np.testing.assert_array_equal(generator(image), generator(rounded))


def test_a_uniform_image_has_regions() -> None:
    ids = SuperpixelGenerator(SuperpixelRegions(segments=6))(np.full((32, 32, 3), 0.5, np.float32))
    assert ids.min() == 0


MERGED = SuperpixelRegions(algorithm="merged", compactness=10, sigma=0.5)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 99), st.integers(8, 40), st.integers(8, 40), st.integers(1, 30), st.integers(1, 3))
def test_merged_regions_are_at_most_as_many_as_asked_for(
    seed: int, height: int, width: int, segments: int, reduction: int
) -> None:
    image = np.random.default_rng(seed).random((height, width, 3)).astype(np.float32)
    spec = MERGED.model_copy(update={"segments": segments, "reduction": reduction})
    ids = SuperpixelGenerator(spec)(image)
    assert ids.dtype == np.int32
    assert ids.shape == (height, width)
    assert np.unique(ids).tolist() == list(range(ids.max() + 1))
    assert ids.max() < segments
    assert label(ids, background=-1, connectivity=2).max() == ids.max() + 1


@pytest.mark.parametrize("reduction", [1, 2])
def test_merged_regions_follow_colour(reduction: int) -> None:
    image = np.full((40, 60, 3), 0.2, np.float32)
    image[9:28, 16:38] = (1, 0.5, 0)
    ids = SuperpixelGenerator(MERGED.model_copy(update={"segments": 2, "reduction": reduction}))(image)
    assert ids.max() == 1
    assert (ids[10:27, 17:37] == 1).all()
    assert (ids[:8] == 0).all()
    assert (ids[:, :15] == 0).all()


@pytest.mark.parametrize("changes", [{"compactness": 90.0}, {"sigma": 2.0}, {"scale": 500.0}, {"reduction": 3}])
def test_each_setting_changes_merged_regions(changes: dict[str, float]) -> None:
    image = np.random.default_rng(3).random((6, 8, 3)).repeat(8, axis=0).repeat(8, axis=1)
    image += np.random.default_rng(4).random(image.shape) / 4
    spec = MERGED.model_copy(update={"segments": 12})
    plain, changed = SuperpixelGenerator(spec), SuperpixelGenerator(spec.model_copy(update=changes))
    assert (plain(image) != changed(image)).any()
    assert plain.key != changed.key


def test_the_settings_of_merged_are_not_part_of_the_key_of_slic() -> None:
    assert set(json.loads(SuperpixelGenerator(SuperpixelRegions()).key)) == {
        "source", "segments", "compactness", "sigma", "scikit-image",
    }  # fmt: skip


def test_every_setting_is_part_of_the_key() -> None:
    specs = [
        SuperpixelRegions(),
        SuperpixelRegions(segments=61),
        SuperpixelRegions(compactness=11),
        SuperpixelRegions(sigma=2),
    ]
    assert len({SuperpixelGenerator(spec).key for spec in specs}) == len(specs)
