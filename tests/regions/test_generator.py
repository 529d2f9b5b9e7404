import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from rdc_sweeps.errors import DataError
from rdc_sweeps.regions.generator import eight_bit, generator_key, image_digest

images = arrays(np.uint8, st.tuples(st.integers(1, 5), st.integers(1, 5), st.just(3)))


def test_key_does_not_depend_on_the_order_of_settings() -> None:
    assert generator_key({"a": 1, "b": 2}) == generator_key({"b": 2, "a": 1}) != generator_key({"a": 1, "b": 3})
    assert json.loads(generator_key({"a": 1})) == {"a": 1}


@given(images)
def test_eight_bit_images_survive_the_way_through_floats(pixels: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(eight_bit((pixels / 255).astype(np.float32)), pixels)


@given(images, st.data())
def test_digest_follows_eight_bit_content(pixels: NDArray[np.uint8], data: st.DataObject) -> None:
    image = pixels / 255
    digest = image_digest(image)
    assert image_digest(image.astype(np.float32) + np.float32(1e-4)) == digest
    assert image_digest(np.asfortranarray(image)) == digest
    changed = pixels.copy()
    at = tuple(data.draw(st.integers(0, side - 1)) for side in pixels.shape)
    changed[at] ^= 1
    assert image_digest(changed / 255) != digest


def test_digest_tells_shapes_apart() -> None:
    assert image_digest(np.zeros((2, 3, 3))) != image_digest(np.zeros((3, 2, 3)))


@pytest.mark.parametrize(
    ("image", "complaint"),
    [
        (np.zeros((4, 4)), "shape"),
        (np.zeros((3, 4, 4)), "shape"),
        (np.zeros((0, 4, 3)), "shape"),
        (np.zeros((4, 4, 3), np.uint8), "uint8"),
        (np.full((4, 4, 3), np.nan), "NaN"),
    ],
)
def test_what_is_not_an_image_is_refused(image: NDArray[np.float64], complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        image_digest(image)
