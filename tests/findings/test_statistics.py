import gc
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from benchmarks.findings.statistics import LEVEL, Difference, corrected, difference, effect_size

SIMULATIONS, ROWS, SEEDS = 150, 5, 5


Simulated = list[list[Difference]]
"""By simulated label setting and row."""


@pytest.fixture(scope="module")
def simulate() -> Iterator[Callable[[float], Simulated]]:
    """Simulates label settings of five rows that share a baseline; the first row differs by this many deviations."""

    @cache
    def simulated(effect: float) -> Simulated:
        random = np.random.default_rng(0)
        baseline = random.normal(size=(SIMULATIONS, 1, SEEDS))
        values = random.normal(size=(SIMULATIONS, ROWS, SEEDS)) - baseline
        values[:, 0] += effect * np.sqrt(2)  # the deviation of a difference of two such numbers
        return [
            list(corrected({row: difference(list(v), higher_is_better=True) for row, v in enumerate(one)}).values())
            for one in values
        ]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gc, "collect", lambda: 0)  # statsmodels collects garbage at each correction, in 0.1 s
        yield simulated


def test_a_true_effect_of_three_deviations_is_found_with_five_seeds(simulate: Callable[[float], Simulated]) -> None:
    verdicts = [rows[0].verdict for rows in simulate(3.0)]
    assert np.mean([verdict == "better" for verdict in verdicts]) > 0.8
    assert "worse" not in verdicts


def test_wrong_verdicts_are_as_rare_as_stated(simulate: Callable[[float], Simulated]) -> None:
    wrong = sum(any(row.verdict != "cannot tell" for row in rows) for rows in simulate(0.0))
    # A wider bound would not notice that nothing is corrected: about one in six would then be wrong.
    assert 0 < wrong <= stats.binom.isf(1e-3, SIMULATIONS, LEVEL)


def test_intervals_hold_the_true_difference_as_often_as_stated(simulate: Callable[[float], Simulated]) -> None:
    found = [row for rows in simulate(0.0) for row in rows[:1]]
    held = sum(row.interval is not None and row.interval[0] < 0 < row.interval[1] for row in found)
    assert stats.binom.ppf(1e-3, SIMULATIONS, 0.95) <= held < SIMULATIONS


@pytest.mark.parametrize(
    ("seeds", "level", "expected"),
    [(2, 0.05, 11.549888), (3, 0.01, 7.319892), (5, 0.05, 1.681997), (5, 0.01, 2.628974)],
)
def test_the_smallest_effect_is_that_of_numerical_integration(seeds: int, level: float, expected: float) -> None:
    # Integrals of the normal distribution function over the chi-square density of the variance.
    assert effect_size(seeds, level) == pytest.approx(expected, rel=1e-6)


def test_more_seeds_show_smaller_effects() -> None:
    sizes = [effect_size(seeds, 0.01) for seeds in (2, 3, 5, 8, 13, 40, 200)]
    assert all(larger > smaller for larger, smaller in pairwise(sizes))


def test_p_values_are_corrected_over_the_rows_that_have_one() -> None:
    raw = [Difference((1.0, 2.0), 1.5, True, 0.7, (-1.0, 4.0), p) for p in (0.03, 0.01, 0.02, None)]
    found = corrected(dict(enumerate(raw)))
    assert [found[row].corrected for row in range(4)] == [pytest.approx(p) for p in (0.04, 0.03, 0.04)] + [None]
    assert found[0].smallest == pytest.approx(0.7 * effect_size(2, 0.05 / 3))


def test_better_is_lower_for_errors() -> None:
    values = [-1.0, -1.01, -0.99, -1.02]
    for higher, verdict in ((True, "worse"), (False, "better")):
        assert corrected({0: difference(values, higher_is_better=higher)})[0].verdict == verdict


def test_one_seed_shows_nothing() -> None:
    found = corrected({0: difference([3.0], higher_is_better=True)})[0]
    assert found.mean == 3.0
    assert (found.interval, found.p, found.corrected, found.smallest, found.verdict) == (None,) * 5


def test_rows_that_train_the_same_are_identical_and_not_tested() -> None:
    found = corrected(
        {
            "same": difference([0.0] * 3, higher_is_better=True),
            "other": difference([1.0, 2.0, 1.5], higher_is_better=True),
        }
    )
    assert found["same"].verdict == "identical"
    assert found["other"].corrected == found["other"].p
