import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from rdc_sweeps.regions.generator import contiguous, generator_key

maps = arrays(np.int64, array_shapes(min_dims=2, max_dims=2, max_side=7), elements=st.integers(-3, 40))


@given(maps)
def test_contiguous_numbers_regions_from_zero_in_order_of_appearance(ids: NDArray[np.int64]) -> None:
    numbered = contiguous(ids)
    assert numbered.shape == ids.shape
    assert numbered.dtype == np.int32
    seen = list(dict.fromkeys(numbered[numbered >= 0].tolist()))
    assert seen == list(range(len(seen)))


@given(maps)
def test_contiguous_keeps_which_pixels_belong_together(ids: NDArray[np.int64]) -> None:
    numbered = contiguous(ids)
    np.testing.assert_array_equal(numbered == -1, ids < 0)
    pairs = set(zip(ids[ids >= 0].tolist(), numbered[ids >= 0].tolist(), strict=True))
    assert len(pairs) == len({old for old, _ in pairs}) == len({new for _, new in pairs})


def test_key_does_not_depend_on_the_order_of_settings() -> None:
    assert generator_key({"a": 1, "b": 2}) == generator_key({"b": 2, "a": 1}) != generator_key({"a": 1, "b": 3})
    assert json.loads(generator_key({"a": 1})) == {"a": 1}
