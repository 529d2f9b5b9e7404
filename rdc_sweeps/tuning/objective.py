"""The objective: a number from metrics on the held-out validation images. Test metrics are never seen here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from rdc_sweeps.errors import RdcError
from rdc_sweeps.metrics.delta import HIGHER_IS_BETTER, delta_m
from rdc_sweeps.runs.records import Metrics
from rdc_sweeps.specs.study import MetricObjective, ObjectiveSpec


def direction(spec: ObjectiveSpec) -> Literal["maximize", "minimize"]:
    """Whether more is better."""
    higher = HIGHER_IS_BETTER[spec.metric] if isinstance(spec, MetricObjective) else True
    return "maximize" if higher else "minimize"


@dataclass(frozen=True)
class Objective:
    """One metric, or delta-m over a baseline's metrics.

    delta-m is linear in the metrics, so its mean over seeds is the delta-m of the mean metrics, as reports have it.
    """

    spec: ObjectiveSpec
    baseline: Mapping[str, float]
    """Mean over the seeds of the baseline row's validation metrics after its last epoch; empty for one metric."""

    def value(self, validation: Metrics | None) -> float | None:
        """The objective of an epoch's validation metrics; None where a metric has no value."""
        wanted = [self.spec.metric] if isinstance(self.spec, MetricObjective) else list(self.baseline)
        metrics = {name: value for name in wanted if (value := (validation or {}).get(name)) is not None}
        if len(metrics) < len(wanted):
            return None
        if isinstance(self.spec, MetricObjective):
            return metrics[self.spec.metric]
        return delta_m(metrics, self.baseline)


def baseline_metrics(names: Sequence[str], validations: Sequence[Metrics | None], row: str) -> dict[str, float]:
    """Mean metrics of the baseline row's seeds.

    Raises:
        RdcError: One has no value, or its mean is zero, so that there is no improvement in percent.
    """
    means = {}
    for name in names:
        values = [value for metrics in validations if (value := (metrics or {}).get(name)) is not None]
        if len(values) < len(validations) or not fmean(values):
            raise RdcError(
                f"the baseline row {row} has no {name}, or one of 0, on the validation images: there is nothing to "
                "count delta-m from; hold out more images (dataset.validation_images), train longer, or tune one "
                "metric (objective: {name: metric, metric: aErr})"
            )
        means[name] = fmean(values)
    return means
