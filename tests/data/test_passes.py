import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from rdc_sweeps.data.passes import BLOCK, bounds, normalize, total

VALUES = st.floats(width=32) | st.sampled_from([0.0, -0.0, 1.0, 0.5, 2.0, 1e-4])


@settings(deadline=None)
@given(values=arrays.arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=VALUES))
def test_bounds_are_those_of_numbers_from_0_on(values: NDArray[np.float32]) -> None:
    found = bounds(values)
    if np.isfinite(values).all() and not np.signbit(values).any():
        assert (found.low, found.high) == (values.min(), values.max())
        assert found.between == np.count_nonzero((values != 0) & (values != 1))
    else:
        assert np.isnan(found.low)
        assert np.isnan(found.high)


def test_a_total_is_that_of_all_values() -> None:
    for count in (1, BLOCK, 3 * BLOCK + 7):
        values = np.random.default_rng(count).integers(0, 3, (count, 2)).astype(np.float32)
        assert total(values) == (int(np.count_nonzero(values)), float(values.sum(dtype=np.float64)))


def test_vectors_are_normalized_bit_for_bit_as_by_numpy() -> None:
    rng = np.random.default_rng(0)
    for count in (1, 5, BLOCK, 2 * BLOCK + 3):
        vectors = rng.normal(size=(count, 2, 3)).astype(np.float32)
        vectors[rng.random((count, 2)) < 0.2] = 0
        vectors[rng.random((count, 2)) < 0.1] = [1e-4, -0.0, 0]
        square = np.square(vectors[..., 0]) + np.square(vectors[..., 1]) + np.square(vectors[..., 2])
        expected = vectors / np.sqrt(np.where(square > 1e-6, square, np.float32(np.inf)))[..., None]
        negative = np.count_nonzero(vectors < 0)
        found = normalize(vectors)
        assert vectors.tobytes() == expected.tobytes()
        assert list(found) == [
            np.count_nonzero(square > 4),
            np.count_nonzero(np.abs(square - 1) <= 0.5),
            np.count_nonzero(square > 1e-6),
            negative,
        ]


def test_vectors_that_are_no_numbers_are_counted() -> None:
    vectors = np.zeros((4, 1, 3), np.float32)
    vectors[:3, 0, 1] = [np.nan, np.inf, 3]
    assert normalize(vectors).wrong == 3
