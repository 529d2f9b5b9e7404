"""Stored values become class indices, depths and normals as the description says."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rdc_sweeps.data.importing.encodings import converted
from rdc_sweeps.errors import DataError
from rdc_sweeps.specs.importing import DepthModality, Modality, NormalModality, SemanticModality

IDS = SemanticModality(files="{name}", classes={"a": 5, "b": (7, 9), "c": -3}, void=(0, 255))
RNG = np.random.default_rng(0)


def depth(**fields: Any) -> DepthModality:
    return DepthModality(files="{name}", **fields)


def normal(**fields: Any) -> NormalModality:
    return NormalModality(files="{name}", **fields)


def vectors(*shape: int) -> np.ndarray[Any, Any]:
    """Unit vectors that face the camera."""
    found = RNG.normal(size=(*shape, 3))
    found[..., 2] = -1 - np.abs(found[..., 2])
    unit: np.ndarray[Any, Any] = (found / np.linalg.norm(found, axis=-1, keepdims=True)).astype(np.float32)
    return unit


@pytest.mark.parametrize("dtype", ["int16", "int64", "float32"])
def test_ids_become_classes_in_the_order_of_the_description(dtype: str) -> None:
    ids = np.array([[5, 7, 9], [-3, 0, 255]], dtype=dtype)
    found = converted(ids, IDS, None, "a.png")
    np.testing.assert_array_equal(found, [[0, 1, 1], [2, -1, -1]])
    assert found.dtype == np.int8
    np.testing.assert_array_equal(converted(ids[..., None], IDS, None, "a.png"), found)


@pytest.mark.parametrize(("value", "shown"), [(6, "6"), (5.5, "5.5"), (np.nan, "nan"), (261, "261")])
def test_an_id_without_a_class_is_refused(value: float, shown: str) -> None:
    with pytest.raises(DataError, match=rf"a.png: ids without a class: {shown}; .*semantic.void"):
        converted(np.array([[5, value]]), IDS, None, "a.png")


def test_colours_stand_for_classes() -> None:
    coloured = SemanticModality(
        files="{name}", classes={"a": "#ff0001", "b": ("#00FF00", "#102030")}, void=("#000000",)
    )
    stored = np.array([[[255, 0, 1], [0, 255, 0]], [[16, 32, 48], [0, 0, 0]]], dtype=np.uint8)
    for values in (stored, np.dstack([stored, np.full((2, 2), 7, np.uint8)])):
        np.testing.assert_array_equal(converted(values, coloured, None, "a.png"), [[0, 1], [1, -1]])
    stored[0, 0, 2] = 2
    with pytest.raises(DataError, match="ids without a class: #ff0002;"):
        converted(stored, coloured, None, "a.png")
    for other in (stored[..., 0], stored.astype(np.uint16), stored[..., :2]):
        with pytest.raises(DataError, match=r"a.png: .*expected 8-bit colours"):
            converted(other, coloured, None, "a.png")
    with pytest.raises(DataError, match=r"has 3 channels, .*semantic.classes, such as '#8000ff'"):
        converted(stored, IDS, None, "a.png")


def test_many_classes_need_more_than_a_byte() -> None:
    many = SemanticModality(files="{name}", classes={f"class {index}": index for index in range(300)})
    found = converted(np.arange(300).reshape(10, 30), many, None, "a.png")
    np.testing.assert_array_equal(found.ravel(), np.arange(300))


@given(arrays("uint16", (6, 4), elements=st.integers(0, 3000)))
def test_depth_is_scaled_and_invalid_values_are_zero(stored: np.ndarray[Any, Any]) -> None:
    stored[0, 0] = 1500
    found = converted(stored, depth(scale=0.001, invalid=(0, 2999)), None, "a.png")
    np.testing.assert_allclose(found, np.where(stored == 2999, 0, stored) / 1000, rtol=1e-6)
    assert found.dtype == np.float32


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_invalid_values_are_compared_in_the_precision_of_the_file(dtype: str) -> None:
    stored = np.array([[0.1, 2], [3, 0.3]], dtype=dtype)
    np.testing.assert_array_equal(converted(stored, depth(invalid=(0.1, 0.3)), None, "a.npy"), [[0, 2], [3, 0]])
    normals = np.broadcast_to(np.array([0, 0.6, -0.8], dtype=dtype), (2, 2, 3)).copy()
    normals[0, 0] = (0.3, 0.3, 0.9)
    assert (converted(normals, normal(invalid=((0.3, 0.3, 0.9),)), None, "a.npy")[0, 0] == 0).all()


def test_a_negative_invalid_value_is_no_large_one() -> None:
    stored = np.array([[65535, 2]], dtype=np.uint16)
    np.testing.assert_allclose(converted(stored, depth(invalid=(-1,), scale=1e-3), None, "a.png"), [[65.535, 0.002]])


def test_nan_and_infinity_are_no_depth() -> None:
    stored = np.array([[np.nan, np.inf], [-np.inf, 2]], dtype=np.float64)
    np.testing.assert_array_equal(converted(stored, depth(), None, "a.npy"), [[0, 0], [0, 2]])


@pytest.mark.parametrize(
    ("stored", "fields", "told"),
    [
        (np.array([[-1.0, 2]]), {}, "1 pixels with a depth below 0; .*depth.invalid"),
        (np.array([[1500, 2500]]), {}, "after depth.scale .1., mean depth 2000.*millimetres: divide by 1000"),
        (np.array([[1500, 2500]]), {"scale": 1e-6}, "mean depth 0.002"),
        (np.ones((4, 4, 3)), {}, "has 3 channels, expected one value per pixel"),
        (np.ones(4), {}, r"shape \(4,\), expected height x width"),
    ],
)
def test_other_depths_are_refused(stored: np.ndarray[Any, Any], fields: dict[str, Any], told: str) -> None:
    with pytest.raises(DataError, match=f"a.png: .*{told}"):
        converted(stored, depth(**fields), None, "a.png")


def test_disparity_may_have_any_magnitude() -> None:
    stored = np.array([[0, 20000]], dtype=np.uint16)
    found = converted(stored, depth(unit="disparity", scale=1 / 65535), None, "a.png")
    np.testing.assert_allclose(found, [[0, 20000 / 65535]])


@pytest.mark.parametrize(("dtype", "error"), [("uint8", 1 / 127), ("uint16", 1e-4), ("float32", 1e-6)])
def test_colours_are_decoded_by_the_largest_value_of_their_type(dtype: str, error: float) -> None:
    wanted = vectors(6, 8)
    largest = np.iinfo(dtype).max if np.dtype(dtype).kind == "u" else 1
    stored = (wanted + 1) / 2 * largest
    stored = (np.round(stored) if largest > 1 else stored).astype(dtype)
    np.testing.assert_allclose(converted(stored, normal(encoding="colours"), None, "a.png"), wanted, atol=error)


def test_axes_are_flipped_and_missing_normals_are_zero() -> None:
    wanted = vectors(6, 8)
    stored = wanted * np.array([1, -1, -1], np.float32)
    stored[0, 0], stored[0, 1], stored[0, 2] = 0, np.nan, (0.5, 0.5, 0.5)
    found = converted(stored, normal(flip=("y", "z"), invalid=((0.5, 0.5, 0.5),)), None, "a.npy")
    assert (found[0, :3] == 0).all()
    np.testing.assert_allclose(found[1:], wanted[1:], atol=1e-6)


def test_grey_in_a_picture_of_normals_is_none() -> None:
    stored = np.round((vectors(6, 8) + 1) * 127.5).astype(np.uint8)
    stored[2] = 128
    assert (converted(stored, normal(encoding="colours"), None, "a.png")[2] == 0).all()


@pytest.mark.parametrize(
    ("stored", "fields", "told"),
    [
        (vectors(6, 8) * np.array([1, 1, -1], np.float32), {}, "point away from the camera .*add z to normal.flip"),
        (np.full((6, 8, 3), 7, np.uint8), {}, "values of type uint8 .*set normal.encoding: colours"),
        ((vectors(6, 8) + 1) / 2, {}, "point away|are stored as"),
        (vectors(6, 8) * 3, {}, "another length than 1"),
        (vectors(6, 8)[..., :2], {}, "expected three components"),
        (vectors(6, 8)[..., 0], {}, "expected three components"),
    ],
)
def test_other_normals_are_refused(stored: np.ndarray[Any, Any], fields: dict[str, Any], told: str) -> None:
    with pytest.raises(DataError, match=f"a.png: .*({told})"):
        converted(stored, normal(**fields), None, "a.png")


def test_all_are_resampled_to_one_size() -> None:
    ids = np.repeat(np.repeat(np.array([[5, 7], [9, 0]]), 4, axis=0), 6, axis=1)
    np.testing.assert_array_equal(converted(ids, IDS, (2, 2), "a.png"), [[0, 1], [1, -1]])
    metres = np.repeat(np.repeat(np.array([[1.0, 2.0], [3.0, 0.0]]), 4, axis=0), 6, axis=1)
    np.testing.assert_array_equal(converted(metres, depth(), (2, 2), "a.npy"), [[1, 2], [3, 0]])
    assert converted(vectors(8, 12), normal(), (2, 2), "a.npy").shape == (2, 2, 3)
    image = RNG.integers(0, 256, (8, 12, 3), dtype=np.uint8)
    assert converted(image, Modality(files="{name}"), (2, 3), "a.png").shape == (2, 3, 3)


def test_an_image_is_checked_by_its_own_name() -> None:
    with pytest.raises(DataError, match=r"a\.png: black"):
        converted(np.zeros((8, 12, 3), np.uint8), Modality(files="{name}"), None, "a.png")
