"""Relative improvements: per metric, and their mean delta-m (Maninis et al., CVPR 2019)."""

from collections.abc import Mapping

from rdc_sweeps.errors import UsageError

HIGHER_IS_BETTER = {
    "mIoU": True,
    "pixAcc": True,
    "aErr": False,
    "rErr": False,
    "mErr": False,
    "mErr_released": False,
}
"""Every metric that `MultiTaskMeter` computes, and whether more of it is better."""


def improvement_percent(value: float, baseline: float, metric: str) -> float:
    """Improvement over a baseline in percent of the baseline; positive is better.

    Raises:
        UsageError: An unknown metric, or a baseline of zero.
    """
    if metric not in HIGHER_IS_BETTER:
        raise UsageError(f"{metric!r} is not a metric; there are {', '.join(HIGHER_IS_BETTER)}.")
    if baseline == 0:
        raise UsageError(f"{metric} of the baseline is 0: no improvement in percent follows. Choose another baseline.")
    change = (value - baseline) / baseline * 100
    return change if HIGHER_IS_BETTER[metric] else -change


def delta_m(metrics: Mapping[str, float], baseline: Mapping[str, float]) -> float:
    """Mean improvement in percent over the metrics that `baseline` has.

    Args:
        metrics: Values to judge; it must have every metric of the baseline and may have more.
        baseline: One value per metric that counts, usually one metric per task.

    Raises:
        UsageError: A metric is missing or unknown, or there is none.
    """
    missing = [metric for metric in baseline if metric not in metrics]
    if missing or not baseline:
        raise UsageError(f"delta-m needs every metric of its baseline; missing: {', '.join(missing) or 'all'}.")
    gains = [improvement_percent(metrics[metric], value, metric) for metric, value in baseline.items()]
    return sum(gains) / len(gains)
