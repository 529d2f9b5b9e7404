import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.measure import label

from rdc_sweeps.regions.maps import contiguous
from rdc_sweeps.regions.merging import merge_neighbours


def pieces(seed: int, side: int = 12) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Connected fine regions, and features of the pixels."""
    random = np.random.default_rng(seed)
    fine = contiguous(label(random.integers(0, 3, (side, side)), background=-1, connectivity=1))
    return fine, random.random((side, side, 3))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 999), st.integers(1, 60))
def test_whole_regions_are_merged_until_few_enough_are_left(seed: int, count: int) -> None:
    fine, features = pieces(seed)
    merged = contiguous(merge_neighbours(fine, features, count))
    assert merged.max() + 1 == min(count, fine.max() + 1)
    # Each fine region is in one merged region, and those are connected.
    assert len(np.unique(np.stack([fine.ravel(), merged.ravel()]), axis=1).T) == fine.max() + 1
    assert label(merged, background=-1, connectivity=1).max() == merged.max() + 1


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 999), st.integers(1, 20))
def test_fewer_regions_are_made_of_more(seed: int, count: int) -> None:
    fine, features = pieces(seed)
    more, fewer = (contiguous(merge_neighbours(fine, features, number)) for number in (count + 5, count))
    assert len(np.unique(np.stack([more.ravel(), fewer.ravel()]), axis=1).T) == more.max() + 1


def test_similar_neighbours_are_merged_first() -> None:
    fine = np.repeat([[0, 1, 2, 3]], 2, axis=0).astype(np.int32)
    features = np.array([0.0, 0.9, 0.1, 0.2])[fine][..., None]
    assert contiguous(merge_neighbours(fine, features, 3))[0].tolist() == [0, 1, 2, 2]


def test_one_region_stays_one() -> None:
    fine = np.zeros((3, 3), np.int32)
    assert contiguous(merge_neighbours(fine, np.zeros((3, 3, 1)), 1)).tolist() == [[0] * 3] * 3
