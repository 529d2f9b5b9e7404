import numpy as np
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


def test_every_setting_is_part_of_the_key() -> None:
    specs = [
        SuperpixelRegions(),
        SuperpixelRegions(segments=61),
        SuperpixelRegions(compactness=11),
        SuperpixelRegions(sigma=2),
    ]
    assert len({SuperpixelGenerator(spec).key for spec in specs}) == len(specs)
