"""Relative improvements: per metric, and their mean delta-m (Maninis et al., CVPR 2019)."""

from collections.abc import Mapping
from typing import TypeVar

from rdc_sweeps.errors import UsageError
from rdc_sweeps.metrics.metric import METRICS

Name = TypeVar("Name", bound=str)


def improvement_percent(value: float, baseline: float, metric: str) -> float:
    """Improvement over a baseline, in percent of the baseline; positive is better.

    Raises:
        UsageError: An unknown metric, or a baseline of zero.
    """
    if metric not in METRICS:
        raise UsageError(f"no metric {metric!r}. Available: {', '.join(METRICS)}")
    if baseline == 0:
        raise UsageError(
            f"{metric} of the baseline is 0, so the improvement in percent is undefined; choose another baseline"
        )
    change = (value - baseline) / baseline * 100
    return change if METRICS[metric].higher_is_better else -change


def delta_m(metrics: Mapping[Name, float], baseline: Mapping[Name, float]) -> float:
    """Mean improvement in percent over the metrics that `baseline` has.

    Args:
        metrics: Values to compare; they must include every metric of the baseline.
        baseline: One value per metric that counts, usually one metric per task.

    Raises:
        UsageError: A metric is missing or unknown, or there is none.
    """
    missing = [metric for metric in baseline if metric not in metrics]
    if missing or not baseline:
        raise UsageError(f"delta-m needs every metric of its baseline; missing: {', '.join(missing) or 'all'}.")
    gains = [improvement_percent(metrics[metric], value, metric) for metric, value in baseline.items()]
    return sum(gains) / len(gains)
