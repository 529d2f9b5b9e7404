"""What seeds show: intervals, differences paired by seed, corrected p values, verdicts, and the smallest effect shown.

The distributions are those of `scipy.special`. `scipy.stats` and statsmodels have the same tests, but take longer to
import than a report takes; the tests compare with both.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import mean as exact_mean
from statistics import stdev
from typing import Literal, TypeVar

Verdict = Literal["better", "worse", "cannot tell", "identical"]
"""On a row against another. `identical`: the rows have the same value for every seed."""

Interval = tuple[float, float]
"""Lower and upper end."""

CONFIDENCE = 0.95
"""Chance that an interval holds the true mean."""

LEVEL = 0.05
"""Chance of any wrong verdict among comparisons that are corrected together."""

POWER = 0.8
"""Chance to show a difference of the size called `smallest`."""

K = TypeVar("K")


@dataclass(frozen=True)
class Statistics:
    """How the intervals and verdicts of a report were computed."""

    families: Mapping[str, int]
    """By family of tests that were corrected together (of a table: by measure, and `delta_m`), their number."""
    test: Literal["two-sided paired t test"] = "two-sided paired t test"
    correction: Literal["Holm"] = "Holm"
    confidence: float = CONFIDENCE
    level: float = LEVEL
    power: float = POWER

    @classmethod
    def of(cls, families: Mapping[str, Mapping[K, "Difference"]]) -> "Statistics":
        """Those of differences that were corrected by family."""
        return cls({name: sum(found.p is not None for found in of.values()) for name, of in families.items()})


@dataclass(frozen=True)
class Difference:
    """Differences of a row to another, one for each seed that both have, and what they show."""

    seeds: tuple[int, ...]
    values: tuple[float, ...]
    """By seed."""
    mean: float
    higher_is_better: bool = True
    """Whether the row is the better one of both if the mean is above 0."""
    sd: float | None = None
    """Sample standard deviation; None for one seed."""
    interval: Interval | None = None
    """95 % t interval of the mean, not corrected; None for one seed."""
    p: float | None = None
    """Of a two-sided t test; None for one seed, and if all values are 0."""
    p_holm: float | None = None
    """p, corrected by Holm over all comparisons that were corrected together."""
    smallest: float | None = None
    """Size of the true difference that these seeds would have shown with a chance of 80 %, if `sd` is the true one."""
    verdict: Verdict | None = None
    """None for one seed, which cannot show anything."""

    @property
    def mark(self) -> str:
        """The sign of the verdict in tables: `*` for better and worse, `=` for identical."""
        return {"better": "*", "worse": "*", "identical": "="}.get(self.verdict or "", "")


def deviation(values: Sequence[float]) -> float | None:
    """Sample standard deviation; None for fewer than two values."""
    return stdev(values) if len(values) > 1 else None


def mean_interval(values: Sequence[float]) -> Interval | None:
    """t interval of the mean of a sample; None for fewer than two values."""
    sd = deviation(values)
    return None if sd is None else _interval(exact_mean(values), sd, len(values))


def _interval(mean: float, sd: float, count: int) -> Interval:
    half = _t_quantile(count - 1, (1 + CONFIDENCE) / 2) * sd / math.sqrt(count)
    return mean - half, mean + half


@lru_cache
def _t_quantile(freedom: int, probability: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))


def difference(by_seed: Mapping[int, float], *, higher_is_better: bool = True) -> Difference:
    """The difference of two rows, before the correction without which there is no verdict.

    Args:
        by_seed: Value of the row minus that of the other, or its improvement over it; at least one.
        higher_is_better: Whether the row is the better one if this is above 0.
    """
    values = tuple(by_seed.values())
    mean, sd = exact_mean(values), deviation(values)
    return Difference(
        seeds=tuple(by_seed),
        values=values,
        mean=mean,
        higher_is_better=higher_is_better,
        sd=sd,
        interval=None if sd is None else _interval(mean, sd, len(values)),
        p=_p_value(mean, sd, len(values)) if sd is not None and any(values) else None,
    )


def _p_value(mean: float, sd: float, count: int) -> float:
    """Of the two-sided t test that the true mean is 0."""
    from scipy.special import stdtr

    t = abs(mean) * math.sqrt(count) / sd if sd else math.inf
    return 2 * float(stdtr(count - 1, -t))


def corrected(differences: Mapping[K, Difference]) -> dict[K, Difference]:
    """The same differences with p values corrected over all of them, verdicts, and the smallest they would show.

    The latter is for the first test of Holm's sequence, whose level is the strictest.
    """
    p_holm = holm({key: found.p for key, found in differences.items() if found.p is not None})
    new = {}
    for key, found in differences.items():
        smallest = None
        if key in p_holm and found.sd is not None:
            smallest = found.sd * effect_size(len(found.values), LEVEL / len(p_holm))
        verdict = _verdict(found, p_holm.get(key))
        new[key] = replace(found, p_holm=p_holm.get(key), smallest=smallest, verdict=verdict)
    return new


def _verdict(found: Difference, p: float | None) -> Verdict | None:
    if found.interval is None:
        return None
    if p is None:
        return "identical"
    if p >= LEVEL:
        return "cannot tell"
    return "better" if (found.mean > 0) == found.higher_is_better else "worse"


def holm(p_values: Mapping[K, float]) -> dict[K, float]:
    """p values corrected so that the chance of any wrong rejection holds for all (Holm, Scand. J. Statistics 1979)."""
    found, largest = {}, 0.0
    ordered = sorted(p_values, key=lambda key: p_values[key])
    for rank, key in enumerate(ordered):
        largest = min(1.0, max(largest, (len(ordered) - rank) * p_values[key]))
        found[key] = largest
    return found


@lru_cache
def effect_size(seeds: int, level: float) -> float:
    """The difference, in standard deviations, that a two-sided paired t test finds with a chance of 80 %.

    The chance that it is found with the wrong sign is below one in a million, and left out.

    Args:
        seeds: Number of pairs, at least 2.
        level: Of the test.
    """
    from scipy.special import nctdtrinc

    threshold = _t_quantile(seeds - 1, 1 - level / 2)
    return float(nctdtrinc(seeds - 1, 1 - POWER, threshold)) / math.sqrt(seeds)
