"""The metrics: their names, tasks, units and directions. Every other module looks them up here."""

from dataclasses import dataclass
from typing import Literal

from rdc_sweeps.specs.base import Task

MetricName = Literal["mIoU", "pixAcc", "aErr", "aErr_released", "rErr", "mErr", "mErr_released"]
"""A metric as results name it."""

MainMetric = Literal["mIoU", "aErr", "mErr"]
"""The metric of a task in the paper's tables."""

Meter = Literal["honest", "released"]
"""The mean error of depth and mean angle of normals, or what the authors' released code computes instead."""

MetricValues = dict[str, float | None]
"""Values by metric name; None where no pixel was valid."""


@dataclass(frozen=True)
class Metric:
    """A metric of a task."""

    name: MetricName
    task: Task
    higher_is_better: bool
    digits: int = 2
    """Decimals in tables."""
    unit: str | None = None
    """None for a ratio, or for the unit of the data set."""
    meter: Meter | None = None
    """The meter that it is measured with, if there are two."""
    main: bool = False
    """Whether tables list it, delta-m averages it, and epochs are selected by it."""
    note: str = ""
    """What a reader of a report must know about it."""
    published: MainMetric | None = None
    """The published metric that was measured in the same way, and beside which a report shows this one."""

    @property
    def column_title(self) -> str:
        """Title of its column in reports."""
        return f"{self.name.removesuffix('_released')} {self.meter}" if self.meter else self.name

    def text(self, value: float) -> str:
        """A value with the metric's number of decimals."""
        return f"{value:.{self.digits}f}"


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("mIoU", "semantic", True, unit="%", main=True, published="mIoU"),
        Metric("pixAcc", "semantic", True, unit="%"),
        Metric("aErr", "depth", False, digits=4, meter="honest", main=True),
        Metric(
            "aErr_released",
            "depth",
            False,
            digits=4,
            meter="released",
            published="aErr",
            note="aErr honest: the error of the prediction as it is. aErr released: the meter of the released code, "
            "which raises negative predictions to 1e-9 first; the published aErr was measured with it.",
        ),
        Metric("rErr", "depth", False, digits=4),
        Metric("mErr", "normal", False, unit="degrees", meter="honest", main=True),
        Metric(
            "mErr_released",
            "normal",
            False,
            unit="degrees",
            meter="released",
            published="mErr",
            note="mErr honest: the angle to the normalised prediction. mErr released: the meter of the released code, "
            "which does not normalise, so that longer predictions give smaller angles; the published mErr was measured "
            "with it.",
        ),
    )
}
"""All metrics by name."""

MAIN_METRICS: tuple[MainMetric, ...] = tuple(metric.name for metric in METRICS.values() if metric.main)  # type: ignore[misc]
"""One metric per task, in the paper's order."""


def metrics_of(task: Task) -> tuple[MetricName, ...]:
    """Names of a task's metrics."""
    return tuple(metric.name for metric in METRICS.values() if metric.task == task)


def shown_for(name: MainMetric) -> tuple[Metric, ...]:
    """The metrics that a report shows for a metric of its table: itself, and others that compare with the published."""
    return tuple(metric for metric in METRICS.values() if name in {metric.name, metric.published})
