"""What is shown of sets of results whose true effects are known, and agreement with SciPy and statsmodels."""

import gc
from itertools import pairwise
from unittest import mock

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from rdc_sweeps.reporting.statistics import (
    LEVEL,
    POWER,
    Difference,
    corrected,
    difference,
    effect_size,
    holm,
    mean_interval,
)


def differences(*values: float) -> Difference:
    return difference(dict(enumerate(values)))


def simulate(simulations: int, rows: int, seeds: int, effects: dict[int, float]) -> list[list[Difference]]:
    """Tables of rows that share a baseline; some rows differ from it by these many deviations of the difference."""
    random = np.random.default_rng(0)
    baseline = random.normal(size=(simulations, 1, seeds))
    values = random.normal(size=(simulations, rows, seeds)) - baseline
    for row, effect in effects.items():
        values[:, row] += effect * np.sqrt(2)  # the deviation of a difference of two such numbers
    return [
        list(corrected({row: differences(*map(float, of_row)) for row, of_row in enumerate(one)}).values())
        for one in values
    ]


def families_with(verdicts: set[str], found: list[list[Difference]], rows: range) -> int:
    return sum(any(one[row].verdict in verdicts for row in rows) for one in found)


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "seeds"), [(1, 3), (5, 5), (47, 5)])
def test_wrong_verdicts_are_as_rare_as_stated(rows: int, seeds: int) -> None:
    wrong = families_with({"better", "worse"}, simulate(1000, rows, seeds, {}), range(rows))
    # Rows that share a baseline depend on each other, so that Holm's error is below its level, but not by much.
    assert stats.binom.ppf(1e-3, 1000, LEVEL / 3) <= wrong <= stats.binom.isf(1e-3, 1000, LEVEL)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_effects_of_the_stated_smallest_size_are_found_with_the_stated_power(seeds: int) -> None:
    rows = 5
    effect = effect_size(seeds, LEVEL / rows)
    tables = simulate(1000, rows, seeds, {0: effect, 1: -effect})
    better = sum(one[0].verdict == "better" for one in tables)
    worse = sum(one[1].verdict == "worse" for one in tables)
    # Holm's later tests have a wider level, so that the power may be above what is stated, but not below.
    for found in (better, worse):
        assert stats.binom.ppf(1e-3, 1000, POWER) <= found <= stats.binom.isf(1e-3, 1000, 0.9)
    assert sum(one[0].verdict == "worse" or one[1].verdict == "better" for one in tables) == 0
    null = families_with({"better", "worse"}, tables, range(2, rows))
    assert null <= stats.binom.isf(1e-3, 1000, LEVEL)


@pytest.mark.slow
def test_intervals_hold_the_true_difference_as_often_as_stated() -> None:
    intervals = [one[0].interval for one in simulate(1000, 1, 4, {0: 1.0})]
    held = sum(found is not None and found[0] < np.sqrt(2) < found[1] for found in intervals)
    assert stats.binom.ppf(1e-3, 1000, 0.95) <= held <= stats.binom.isf(1e-3, 1000, 0.95)


def test_a_large_effect_is_found_and_none_is_not() -> None:
    found = simulate(100, 5, 5, {0: 4.0})
    assert sum(one[0].verdict == "better" for one in found) > 90
    assert families_with({"better", "worse"}, found, range(1, 5)) <= stats.binom.isf(1e-3, 100, LEVEL)


@given(st.lists(st.floats(-1e3, 1e3).map(lambda value: round(value, 3)), min_size=2, max_size=9))
@example([410.594] * 5)
def test_tests_and_intervals_are_those_of_scipy(values: list[float]) -> None:
    found = differences(*values)
    if len(set(values)) == 1:
        assert found.p == (None if values[0] == 0 else 0)
        assert found.interval == (values[0], values[0])
        return
    test = stats.ttest_1samp(values, 0.0)
    interval = test.confidence_interval(0.95)
    assert found.p == pytest.approx(test.pvalue, rel=1e-9, abs=1e-14)
    assert found.interval == pytest.approx((interval.low, interval.high), rel=1e-6, abs=1e-9)
    assert found.interval == mean_interval(values)


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_corrections_are_those_of_statsmodels(values: list[float]) -> None:
    found = holm(dict(enumerate(values)))
    with mock.patch.object(gc, "collect"):  # which it calls each time, in 0.1 s
        expected = multipletests(values, method="holm")[1]
    assert [found[place] for place in range(len(values))] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("seeds", "level", "expected"),
    [(2, 0.05, 11.549888), (3, 0.01, 7.319892), (5, 0.05, 1.681997), (5, 0.01, 2.628974)],
)
def test_the_smallest_effect_is_that_of_numerical_integration(seeds: int, level: float, expected: float) -> None:
    # Integrals of the normal distribution function over the chi-square density of the variance.
    assert effect_size(seeds, level) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("seeds", [4, 5, 10, 100])
@pytest.mark.parametrize("level", [0.05, 0.05 / 47])
def test_the_power_at_the_smallest_effect_is_that_of_statsmodels(seeds: int, level: float) -> None:
    power = TTestPower().power(effect_size(seeds, level), seeds, level / 2, alternative="larger")
    assert power == pytest.approx(POWER, abs=1e-6)


def test_more_seeds_show_smaller_effects() -> None:
    sizes = [effect_size(seeds, 0.01) for seeds in (2, 3, 5, 8, 13, 40, 200)]
    assert all(larger > smaller for larger, smaller in pairwise(sizes))


def test_p_values_are_corrected_over_the_rows_that_have_one() -> None:
    raw = [Difference((0, 1), (1.0, 2.0), 1.5, sd=0.7, interval=(-1.0, 4.0), p=p) for p in (0.03, 0.01, 0.02, None)]
    found = corrected(dict(enumerate(raw)))
    assert [found[row].p_holm for row in range(4)] == [pytest.approx(p) for p in (0.04, 0.03, 0.04)] + [None]
    assert found[0].smallest == pytest.approx(0.7 * effect_size(2, 0.05 / 3))


def test_better_is_lower_for_errors() -> None:
    values = dict(enumerate([-1.0, -1.01, -0.99, -1.02]))
    for higher, verdict in ((True, "worse"), (False, "better")):
        assert corrected({0: difference(values, higher_is_better=higher)})[0].verdict == verdict


def test_one_seed_shows_nothing() -> None:
    found = corrected({0: differences(3.0)})[0]
    assert found.mean == 3.0
    assert (found.interval, found.p, found.p_holm, found.smallest, found.verdict) == (None,) * 5


def test_rows_that_train_the_same_are_identical_and_not_tested() -> None:
    found = corrected({"same": differences(0.0, 0.0, 0.0), "other": differences(1.0, 2.0, 1.5)})
    assert found["same"].verdict == "identical"
    assert found["other"].p_holm == found["other"].p
