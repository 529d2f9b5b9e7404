import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from skimage.measure import label

from rdc_sweeps.regions.masks import Mask, cleaned, overlay, without_small_parts

HEIGHT, WIDTH = 5, 6

pixels = arrays(np.bool_, (HEIGHT, WIDTH))
masks = st.lists(st.builds(Mask.of, pixels, st.sampled_from([0.25, 0.5, 0.75])), max_size=6)


def rectangle(top: int, left: int, bottom: int, right: int, predicted_iou: float = 0.5) -> Mask:
    inside = np.zeros((HEIGHT, WIDTH), np.bool_)
    inside[top:bottom, left:right] = True
    return Mask.of(inside, predicted_iou)


@given(arrays(np.bool_, st.tuples(st.integers(1, 7), st.integers(1, 7))))
def test_run_lengths_hold_all_of_a_mask(mask: NDArray[np.bool_]) -> None:
    packed = Mask.of(mask, 0.5)
    assert packed.area == mask.sum()
    np.testing.assert_array_equal(packed.pixels(*mask.shape), mask)


@given(arrays(np.bool_, st.tuples(st.integers(1, 7), st.integers(1, 7))))
def test_run_lengths_are_those_of_segment_anything(mask: NDArray[np.bool_]) -> None:
    amg = pytest.importorskip("segment_anything.utils.amg", reason="the extra `sam` is not installed")
    import torch

    (theirs,) = amg.mask_to_rle_pytorch(torch.from_numpy(mask)[None])
    assert Mask.of(mask, 0.5).counts.tolist() == theirs["counts"]


@given(masks, st.randoms(use_true_random=False))
def test_the_order_of_masks_does_not_matter(found: list[Mask], random: Any) -> None:
    shuffled = random.sample(found, len(found))
    np.testing.assert_array_equal(overlay(found, HEIGHT, WIDTH), overlay(shuffled, HEIGHT, WIDTH))


@given(masks)
def test_a_pixel_belongs_to_the_smallest_mask_that_covers_it(found: list[Mask]) -> None:
    ids = overlay(found, HEIGHT, WIDTH)
    assert ids.dtype == np.int32
    owners: dict[int, set[int]] = {}
    for at in np.ndindex(HEIGHT, WIDTH):
        covering = [mask for mask in found if mask.pixels(HEIGHT, WIDTH)[at]]
        assert (ids[at] == -1) == (not covering)
        if covering:
            smallest = min(mask.area for mask in covering)
            candidates = {i for i, mask in enumerate(found) if mask.pixels(HEIGHT, WIDTH)[at] and mask.area == smallest}
            region = int(ids[at])
            owners[region] = owners.get(region, candidates) & candidates
    assert all(owners.values())


@given(masks)
def test_ids_are_numbered_from_0_in_the_order_of_their_first_pixels(found: list[Mask]) -> None:
    ids = overlay(found, HEIGHT, WIDTH)
    values, first = np.unique(ids[ids >= 0], return_index=True)
    assert values.tolist() == list(range(len(values)))
    assert (np.diff(first) > 0).all()


def test_finer_masks_lie_over_coarser_ones() -> None:
    ids = overlay([rectangle(1, 1, 2, 2), rectangle(0, 0, 4, 4)], HEIGHT, WIDTH)
    assert ids.tolist() == [
        [0, 0, 0, 0, -1, -1],
        [0, 1, 0, 0, -1, -1],
        [0, 0, 0, 0, -1, -1],
        [0, 0, 0, 0, -1, -1],
        [-1, -1, -1, -1, -1, -1],
    ]


@pytest.mark.parametrize(
    ("found", "row"),
    [
        ([rectangle(0, 0, 1, 4, 0.9), rectangle(0, 2, 1, 6, 0.5)], [0, 0, 0, 0, 1, 1]),
        ([rectangle(0, 0, 1, 4, 0.5), rectangle(0, 2, 1, 6, 0.9)], [0, 0, 1, 1, 1, 1]),
        ([rectangle(0, 0, 1, 4, 0.5), rectangle(0, 2, 1, 6, 0.5)], [0, 0, 0, 0, 1, 1]),
    ],
    ids=["higher IoU first", "higher IoU last", "earlier start"],
)
def test_ties_of_area(found: list[Mask], row: list[int]) -> None:
    assert overlay(found, HEIGHT, WIDTH)[0].tolist() == row


def test_a_mask_hidden_by_finer_ones_has_no_id() -> None:
    ids = overlay([rectangle(0, 0, 1, 4), rectangle(0, 0, 1, 2), rectangle(0, 2, 1, 4)], HEIGHT, WIDTH)
    assert ids[0].tolist() == [0, 0, 1, 1, -1, -1]


def test_a_thousand_masks_need_the_memory_of_a_few() -> None:
    height, width = 256, 300
    grid = np.arange(width)

    def mask(number: int) -> Mask:
        inside = np.zeros((height, width), np.bool_)
        inside[number % 200 : number % 200 + 50, (grid > number // 5) & (grid < number // 5 + 80 + number % 7)] = True
        return Mask.of(inside, 0.5)

    found = [mask(number) for number in range(1000)]
    tracemalloc.start()
    try:
        overlay(found, height, width)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # A mask of pixels has as many bytes as the image has pixels. The ids alone have four times as many.
    assert peak < 50 * height * width


def parts(mask: NDArray[np.bool_]) -> list[int]:
    """Sizes of the connected parts."""
    sizes: list[int] = np.bincount(label(mask, connectivity=2).ravel())[1:].tolist()
    return sizes


@given(arrays(np.bool_, (9, 9)), st.integers(1, 12))
def test_no_small_part_is_left(mask: NDArray[np.bool_], least: int) -> None:
    after = without_small_parts(mask, least)
    assert not mask.any() or all(size >= least for size in parts(after)) or len(parts(after)) == 1
    if mask.any():
        assert after.any()
    np.testing.assert_array_equal(without_small_parts(mask, 1), mask)
    if len(parts(after)) > 1:
        # Removing an island can only enlarge a hole.
        assert all(size >= least for size in parts(~after))


@given(arrays(np.bool_, (9, 9)), st.integers(1, 12))
def test_small_parts_are_those_of_segment_anything(mask: NDArray[np.bool_], least: int) -> None:
    pytest.importorskip("cv2")
    amg = pytest.importorskip("segment_anything.utils.amg", reason="the extra `sam` is not installed")
    filled, _ = amg.remove_small_regions(mask, least, mode="holes")
    theirs, _ = amg.remove_small_regions(filled, least, mode="islands")
    after = without_small_parts(mask, least)
    sizes = parts(filled)
    if max(sizes, default=least) >= least or sizes.count(max(sizes)) == 1:
        np.testing.assert_array_equal(after, theirs)
    else:
        # Which one of several largest islands stays is not said.
        assert parts(after) == parts(theirs)


def test_of_masks_that_become_alike_the_unchanged_one_is_kept() -> None:
    ragged = rectangle(0, 0, 4, 4).pixels(HEIGHT, WIDTH)
    ragged[1, 1] = False
    changed, unchanged = Mask.of(ragged, 0.9), rectangle(0, 0, 4, 4, 0.3)
    elsewhere = rectangle(4, 5, 5, 6)
    assert [mask.predicted_iou for mask in cleaned([changed, unchanged], 2, HEIGHT, WIDTH, 0.7)] == [0.3]
    (filled, *_) = cleaned([changed, elsewhere], 2, HEIGHT, WIDTH, 0.7)[::-1]
    assert filled.area == 16
    assert cleaned([], 2, HEIGHT, WIDTH, 0.7) == []
