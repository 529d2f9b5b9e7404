import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from rdc_sweeps.regions.maps import connected_parts, contiguous, patch_regions, semantic_regions

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


sides = st.integers(1, 40)


@given(sides, sides, st.integers(1, 12))
def test_patches_are_numbered_windows(height: int, width: int, size: int) -> None:
    ids = patch_regions(height, width, size)
    assert ids.shape == (height, width)
    assert ids.dtype == torch.int32
    across = -(-width // size)
    assert set(ids.flatten().tolist()) == set(range(across * -(-height // size)))
    for row, column in ((0, 0), (height - 1, width - 1), (height // 2, width // 3)):
        assert ids[row, column] == row // size * across + column // size


def test_windows_of_the_release() -> None:
    counts = patch_regions(144, 192, 8).flatten().bincount()
    assert counts.tolist() == [64] * (18 * 24)


def test_classes_are_regions_and_void_is_none() -> None:
    label = torch.tensor([[[0, 12, -1], [3, 3, -100]]])
    regions = semantic_regions(label)
    assert regions.dtype == torch.int32
    assert regions.tolist() == [[[0, 12, -1], [3, 3, -1]]]
    assert label[0, 1, 2] == -100


def test_connected_parts_of_classes_share_a_side() -> None:
    label = torch.tensor([[[0, 0, 5, 0], [5, -1, 0, 0], [5, -7, 5, 5]], [[2] * 4] * 3])
    regions = semantic_regions(label, "components")
    assert regions.dtype == torch.int32
    assert regions.tolist() == [[[0, 0, 1, 2], [3, -1, 2, 2], [3, -1, 4, 4]], [[0] * 4] * 3]
    assert connected_parts(np.full((2, 3), -1, np.int16)).tolist() == [[-1] * 3] * 2
    assert semantic_regions(label[:0], "components").shape == (0, 3, 4)
