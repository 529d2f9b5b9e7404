"""Values in another unit or encoding than the documented one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdc_sweeps.data import arrays
from rdc_sweeps.data.arrays import Stored
from rdc_sweeps.data.units import DISPARITY, METRES, DepthUnit
from rdc_sweeps.errors import DataError

SIZE = (16, 24)
Array = np.ndarray[Any, np.dtype[Any]]


def stored(values: Array) -> Stored:
    return Stored(Path("0.npy"), values)


def depth(values: Array, unit: DepthUnit) -> Array:
    return arrays.depth_of(stored(values), SIZE, unit)


METRIC = np.linspace(0.8, 6, SIZE[0] * SIZE[1]).reshape(SIZE)
"""Depth of a room."""

RAW = np.linspace(1000, 16000, SIZE[0] * SIZE[1]).reshape(SIZE)
"""Raw disparities of a street."""


@pytest.mark.parametrize("dtype", ["float32", "float16", "int32", "uint16"])
@pytest.mark.parametrize(
    ("factor", "name", "change"),
    [(1000, "millimetres", "divide by 1000"), (100, "centimetres", "divide by 100")],
)
def test_depth_in_another_unit_is_refused_with_the_factor(dtype: str, factor: int, name: str, change: str) -> None:
    with pytest.raises(DataError, match=rf"0\.npy: mean depth .*metres.*look like {name}: {change}$"):
        depth((METRIC * factor).astype(dtype), METRES)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (METRIC * 25.5, r"8-bit values of 10 m: divide by 25\.5"),
        ((METRIC * 25.5).astype(np.uint8), r"8-bit values of 10 m: divide by 25\.5"),
        (METRIC * 6553.5, r"16-bit values of 10 m: divide by 6553\.5"),
        (METRIC / 10, r"fractions of 10 m: multiply by 10"),
        (METRIC * 1e7, "write metres"),
    ],
)
def test_scaled_depth_is_refused(values: Array, message: str) -> None:
    with pytest.raises(DataError, match=message):
        depth(values, METRES)


@pytest.mark.parametrize("dtype", ["uint16", "int32", "float32"])
def test_raw_disparity_is_refused_with_the_factor(dtype: str) -> None:
    with pytest.raises(DataError, match="raw 16-bit disparities: divide by 65535"):
        depth(RAW.astype(dtype), DISPARITY)


def test_disparity_in_pixels_is_refused_with_the_factor() -> None:
    with pytest.raises(DataError, match=r"disparities in pixels: divide by 255\.996"):
        depth(RAW / 256, DISPARITY)


@pytest.mark.parametrize(("values", "unit"), [(METRIC, METRES), (RAW / 65535, DISPARITY)])
def test_the_documented_unit_is_accepted_with_few_or_no_valid_pixels(values: Array, unit: DepthUnit) -> None:
    np.testing.assert_allclose(depth(values, unit), values, rtol=1e-6)
    sparse = np.where(np.arange(values.size).reshape(SIZE) % 50 == 0, values, 0)
    np.testing.assert_allclose(depth(sparse, unit), sparse, rtol=1e-6)
    assert not depth(np.zeros(SIZE), unit).any()
    assert depth(values.astype(np.float16), unit).any()


def room_normals(seed: int) -> Array:
    """Normals of a floor, a back wall and a side wall, as seen by a slightly turned camera."""
    rng = np.random.default_rng(seed)
    surfaces = np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0]]) + rng.normal(0, 0.2, (3, 3))
    surfaces /= np.linalg.norm(surfaces, axis=1, keepdims=True)
    normals: Array = surfaces[rng.integers(0, 3, SIZE)].astype(np.float32)
    return normals


ENCODINGS: list[tuple[str, Callable[[Array], Array]]] = [
    (r"v = \(n \+ 1\) / 2; write n = 2 v - 1", lambda n: (n + 1) / 2),
    (r"v = 127\.5 \(n \+ 1\); write", lambda n: np.round((n + 1) * 127.5).astype(np.uint8)),
    (r"v = 127\.5 \(n \+ 1\); write", lambda n: (n + 1) * 127.5),
    (r"v = 32767\.5 \(n \+ 1\); write", lambda n: np.round((n + 1) * 32767.5).astype(np.uint16)),
    (r"v = 127 n; write n = v / 127", lambda n: np.round(n * 127).astype(np.int8)),
    (r"v = 32767 n; write n = v / 32767", lambda n: np.round(n * 32767).astype(np.int16)),
    (r"another length than 1 \(mean 0\.5\)", lambda n: n / 2),
    (r"another length than 1", lambda n: np.round(n).astype(np.int8) * 3),
]


@pytest.mark.parametrize(("message", "encode"), ENCODINGS, ids=range(len(ENCODINGS)))
@given(seed=st.integers(0, 2**32 - 1))
def test_encoded_normals_are_refused_with_the_formula(
    message: str, encode: Callable[[Array], Array], seed: int
) -> None:
    with pytest.raises(DataError, match=message):
        arrays.normal_of(stored(encode(room_normals(seed))), SIZE)


@given(seed=st.integers(0, 2**32 - 1), empty=st.floats(0, 1))
def test_unit_vectors_are_accepted_however_few(seed: int, empty: float) -> None:
    normals = room_normals(seed)
    normals[np.random.default_rng(seed).random(SIZE) < empty] = 0
    np.testing.assert_allclose(arrays.normal_of(stored(normals), SIZE), normals, atol=1e-6)


def test_encoded_normals_with_encoded_gaps_are_refused() -> None:
    normals = room_normals(0)
    normals[:2] = 0
    with pytest.raises(DataError, match=r"\(n \+ 1\) / 2"):
        arrays.normal_of(stored((normals + 1) / 2), SIZE)


PHOTO = np.random.default_rng(0).random((*SIZE, 3))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (PHOTO.astype(np.uint8), "black: no value above 0 of 255"),
        (np.round(PHOTO).astype(np.uint8), "black: no value above 1 of 255; fractions were stored as integers"),
        ((PHOTO * 255).astype(np.uint16), "black: .*divided by 255 or 65535 once too often"),
        (PHOTO / 255, "black"),
        (np.zeros((*SIZE, 3)), "black"),
        (np.ones((*SIZE, 3), np.float32), "all values are 1"),
        (np.full((*SIZE, 3), 255, np.uint8), "all values are 1"),
        (np.full((*SIZE, 3), 77, np.uint8), "all values are 0.30"),
        (np.round(PHOTO), "all values are 0 or 1"),
        (PHOTO > 0.5, "all values are 0 or 1"),
        ((PHOTO > 0.5).astype(np.uint8) * 255, "all values are 0 or 1"),
    ],
)
def test_images_that_are_none_are_refused(values: Array, message: str) -> None:
    with pytest.raises(DataError, match=message):
        arrays.image_of(stored(values), SIZE)


def test_an_image_with_black_and_white_parts_is_one() -> None:
    image = np.round(PHOTO)
    image[0, 0, 0] = 0.5
    np.testing.assert_allclose(arrays.image_of(stored(image), SIZE), image)
