import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from rdc_sweeps.regions.statistics import agreement, map_statistics

SIDES = (7, 8)
maps = arrays(np.int32, SIDES, elements=st.integers(-1, 4))
labels = arrays(np.int16, SIDES, elements=st.integers(-1, 3))


@given(maps)
def test_sizes_and_coverage(regions: NDArray[np.int32]) -> None:
    found = map_statistics(regions)
    assert sorted(found.sizes) == sorted((regions == one).sum() for one in set(regions[regions >= 0].tolist()))
    assert found.coverage == pytest.approx((regions >= 0).mean())
    assert found.agreement is None


@given(maps, labels)
def test_agreement_is_what_its_definitions_say(regions: NDArray[np.int32], label: NDArray[np.int16]) -> None:
    both = [(int(r), int(c)) for r, c in zip(regions.ravel(), label.ravel(), strict=True) if r >= 0 and c >= 0]
    found = agreement(regions, label)
    if not both:
        assert found is None
        return
    assert found is not None
    right, under = 0, 0
    for region in {r for r, _ in both}:
        inside = [c for r, c in both if r == region]
        counts = [inside.count(c) for c in set(inside)]
        right += max(counts)
        under += sum(min(count, len(inside) - count) for count in counts)
    assert found.achievable_accuracy == pytest.approx(right / len(both))
    assert found.undersegmentation == pytest.approx(under / len(both))


@given(labels)
def test_the_labels_own_regions_are_perfect(label: NDArray[np.int16]) -> None:
    found = agreement(label.astype(np.int32), label)
    if (label < 0).all():
        assert found is None
        return
    assert found is not None
    assert (found.achievable_accuracy, found.undersegmentation) == (1, 0)
    assert found.boundary_recall in (1, None)


def test_a_border_counts_if_one_of_regions_is_near() -> None:
    label = np.repeat([[0] * 10 + [1] * 10], 20, axis=0).astype(np.int16)

    def recall(column: int) -> float | None:
        regions = np.repeat([[0] * column + [1] * (20 - column)], 20, axis=0).astype(np.int32)
        found = agreement(regions, label)
        assert found is not None
        return found.boundary_recall

    assert [recall(column) for column in (8, 9, 10, 11, 12)] == [0, 1, 1, 1, 0]
    label[:10] = -1
    assert recall(10) == 1
    label[:] = 0
    assert recall(10) is None
