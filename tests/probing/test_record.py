import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rdc_sweeps.probing.record import BORDERS, SIZES, Estimate, RegionMeasure, differences, grouped

NUMBERS = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20)


@given(NUMBERS)
def test_estimates_are_means_with_their_standard_errors(values: list[float]) -> None:
    found = Estimate.of([*values, math.nan])
    assert found is not None
    assert found.count == len(values)
    assert found.mean == pytest.approx(sum(values) / len(values), abs=1e-9)
    assert found.error == pytest.approx(float(stats.sem(values)), abs=1e-9)
    assert found.positive == sum(value > 0 for value in values) / len(values)


def test_one_value_has_no_error_and_none_no_estimate() -> None:
    one = Estimate.of([2.0])
    assert one is not None
    assert one.error is None
    assert Estimate.of([math.nan, None]) is None


def test_differences_are_paired() -> None:
    found = differences({1: 0.5, 2: 0.1, 3: 0.0}, {2: 0.4, 1: 0.9, 7: 5.0})
    assert found is not None
    assert found.count == 2
    assert found.mean == pytest.approx(0.35)
    assert differences({1: 0.0}, {2: 0.0}) is None


def measure(
    image: int, part: float, border: float, hit: float = 0.0, cosine: float | None = None, chance: float = 0.1
) -> RegionMeasure:
    return RegionMeasure(image=image, task="depth", part=part, border=border, hit=hit, chance=chance, cosine=cosine)


@given(st.lists(st.tuples(st.floats(0.001, 1), st.floats(0, 0.5)), max_size=30))
def test_groups_divide_the_regions(places: list[tuple[float, float]]) -> None:
    regions = [measure(number, part, border) for number, (part, border) in enumerate(places)]
    assert sum(group.regions for group in grouped(regions, "part", SIZES)) == len(regions)
    assert sum(group.regions for group in grouped(regions, "border", BORDERS)) == len(regions)


def test_groups_weigh_images_equally() -> None:
    regions = [
        measure(1, 0.01, 0.0, hit=1.0, cosine=0.5),
        measure(1, 0.01, 0.0, hit=0.0, cosine=0.3),
        measure(2, 0.01, 0.0, hit=0.0, chance=0.3),
        measure(2, 0.5, 0.3, hit=1.0, cosine=-1.0),
    ]
    first, second, third, last = grouped(regions, "part", SIZES)
    assert (first.regions, third.regions) == (0, 0)
    assert first.accuracy is None
    assert second.accuracy is not None
    assert second.accuracy.mean == 0.25
    assert second.chance == pytest.approx(0.2)
    assert second.cosine["depth"].mean == pytest.approx(0.4)
    assert last.cosine["depth"].mean == -1.0
    at_border, near, inside = grouped(regions, "border", BORDERS)
    assert (at_border.regions, near.regions, inside.regions) == (3, 0, 1)
