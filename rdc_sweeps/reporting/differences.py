"""Improvements of rows over others in percent, paired by seed."""

from collections.abc import Mapping, Sequence

from rdc_sweeps.metrics.delta import delta_m
from rdc_sweeps.metrics.metric import MainMetric, shown_for
from rdc_sweeps.reporting.outcomes import Outcome
from rdc_sweeps.reporting.statistics import Difference, corrected, difference

DELTA_M = "delta_m"
"""Key of delta-m beside those of measures."""

Pair = tuple[str, str]
"""A row, and the one that it is compared with."""


def differences_by_measure(
    outcomes: Mapping[str, Sequence[Outcome]], pairs: Sequence[Pair], measures: Mapping[str, Sequence[str]]
) -> dict[str, dict[Pair, Difference]]:
    """The improvements of the first row of each pair over the second; those of a measure are corrected together.

    Args:
        outcomes: By row, one for each seed; a row of a pair may be absent.
        pairs: The rows to compare.
        measures: By measure, the metrics whose mean improvement it is.

    Returns:
        By measure and pair; without pairs that lack a value, see `improvements`.
    """
    return {
        measure: corrected(
            {
                (row, base): found
                for row, base in pairs
                if (found := improvements(outcomes.get(row, ()), outcomes.get(base, ()), metrics)) is not None
            }
        )
        for measure, metrics in measures.items()
    }


def gains_of(metrics: Sequence[MainMetric]) -> dict[str, tuple[str, ...]]:
    """What rows of a table with these metrics are compared by: each shown metric, and delta-m.

    Returns:
        By measure, the metrics whose mean improvement it is.
    """
    shown = [metric.name for name in metrics for metric in shown_for(name)]
    return {**{name: (name,) for name in shown}, DELTA_M: tuple(metrics)}


def improvements(row: Sequence[Outcome], base: Sequence[Outcome], metrics: Sequence[str]) -> Difference | None:
    """Mean improvement over some metrics by seed, in percent, before correction.

    None without metrics, if a value of either row is missing, if one of the baseline's is 0, or if they have no seed in
    common.
    """
    if not metrics:
        return None
    values, reference = _by_seed(row, metrics), _by_seed(base, metrics)
    if values is None or reference is None or any(0 in found.values() for found in reference.values()):
        return None
    gains = {seed: delta_m(found, reference[seed]) for seed, found in values.items() if seed in reference}
    return difference(gains) if gains else None


def _by_seed(outcomes: Sequence[Outcome], metrics: Sequence[str]) -> dict[int, dict[str, float]] | None:
    """These metrics by seed; None if one is missing, since no row is averaged over a part of its seeds."""
    found = {
        one.seed: {name: value for name in metrics if (value := one.values.get(name)) is not None} for one in outcomes
    }
    return None if any(len(values) < len(metrics) for values in found.values()) else found
