"""Differences paired by seed: intervals, corrected p values, verdicts, and what the seeds could have shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, TypeVar

import numpy as np
from scipy import stats
from scipy.optimize import brentq
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

LEVEL = 0.05
"""Chance of any wrong verdict among comparisons that are corrected together."""
POWER = 0.8

Verdict = Literal["better", "worse", "cannot tell", "identical"]
K = TypeVar("K")


@dataclass(frozen=True)
class Difference:
    """Differences of a row to another, one for each common seed, as an estimate."""

    values: tuple[float, ...]
    mean: float
    higher_is_better: bool
    deviation: float | None = None
    """Sample standard deviation; None for one seed."""
    interval: tuple[float, float] | None = None
    """95 % t interval of the mean, not corrected; None for one seed."""
    p: float | None = None
    """Of a two-sided t test; None for one seed, or if all values are 0: then the rows train the same."""
    corrected: float | None = None
    """p by Holm, over all comparisons that were corrected together."""
    smallest: float | None = None
    """Size of the true difference that these seeds would have shown with a chance of 80 %."""

    @property
    def verdict(self) -> Verdict | None:
        """None for one seed, which cannot show anything."""
        if self.interval is None:
            return None
        if self.p is None:
            return "identical"
        if self.corrected is None or self.corrected >= LEVEL:
            return "cannot tell"
        return "better" if (self.mean > 0) == self.higher_is_better else "worse"


def difference(values: Sequence[float], *, higher_is_better: bool) -> Difference:
    """The estimate of one difference, before any correction."""
    mean = float(np.mean(values))
    one = Difference(tuple(values), mean, higher_is_better)
    if len(values) < 2:
        return one
    if not any(values):
        return replace(one, deviation=0.0, interval=(0.0, 0.0))
    test = stats.ttest_1samp(values, 0.0)
    low, high = test.confidence_interval(0.95)
    return replace(
        one, deviation=float(np.std(values, ddof=1)), interval=(float(low), float(high)), p=float(test.pvalue)
    )


def corrected(differences: Mapping[K, Difference]) -> dict[K, Difference]:
    """The same with p values corrected over all of them (Holm 1979), and the smallest difference they would show.

    The latter is for the first test of Holm's sequence, whose level is the strictest.
    """
    tested = {key: found.p for key, found in differences.items() if found.p is not None}
    if not tested:
        return dict(differences)
    values = multipletests(list(tested.values()), alpha=LEVEL, method="holm")[1]
    new = dict(differences)
    for key, value in zip(tested, values, strict=True):
        found = differences[key]
        assert found.deviation is not None
        smallest = found.deviation * effect_size(len(found.values), LEVEL / len(tested))
        new[key] = replace(found, corrected=float(value), smallest=smallest)
    return new


@lru_cache
def effect_size(seeds: int, level: float) -> float:
    """The difference, in deviations, that a two-sided paired t test at a level finds with a chance of 80 %.

    The chance that it is found with the wrong sign is below one in a million and left out: the noncentral t
    distribution is not a number there.
    """

    def lacking(size: float) -> float:
        return float(TTestPower().power(size, seeds, level / 2, alternative="larger")) - POWER

    # `TTestPower.solve_power` stops at wrong values for two and three seeds.
    high = 1.0
    while lacking(high) < 0:
        high *= 2
    return float(brentq(lacking, 0.0, high))
