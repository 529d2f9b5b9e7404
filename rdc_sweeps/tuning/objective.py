"""The objective of a trial: validation metrics, or alignment; reported to Optuna after each epoch, used for pruning.

Test metrics are never read here.
"""

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import optuna

from rdc_sweeps.errors import RdcError
from rdc_sweeps.metrics.delta import delta_m
from rdc_sweeps.metrics.metric import MetricValues
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Stopped
from rdc_sweeps.runs.requests import request_stop
from rdc_sweeps.specs.study import AlignmentObjective, MetricObjective, ObjectiveSpec
from rdc_sweeps.specs.training import TrainingLength
from rdc_sweeps.training.observers import EpochRecord, Panel
from rdc_sweeps.tuning.epochs import trained_epochs
from rdc_sweeps.tuning.storage import retry_storage, storage_errors

PRUNED = "pruned"
"""User attribute of a trial that should be pruned, set before Optuna's own state changes."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Objective:
    """One metric, delta-m over a baseline's metrics, or the alignment of a term.

    delta-m is linear in the metrics, so its mean over seeds is the delta-m of the mean metrics, as reports have it.
    """

    spec: ObjectiveSpec
    baseline: Mapping[str, float]
    """Mean over the seeds of the baseline row's validation metrics after its last epoch; empty except for delta-m."""

    def value(self, record: EpochRecord) -> float | None:
        """The objective after an epoch; None where a metric has no value or the term was not probed."""
        if isinstance(self.spec, AlignmentObjective):
            return record.probe.get(f"{self.spec.term}/{self.spec.name}")
        wanted = [self.spec.metric] if isinstance(self.spec, MetricObjective) else list(self.baseline)
        metrics = {name: value for name in wanted if (value := (record.validation or {}).get(name)) is not None}
        if len(metrics) < len(wanted):
            return None
        if isinstance(self.spec, MetricObjective):
            return metrics[self.spec.metric]
        return delta_m(metrics, self.baseline)

    @property
    def absence(self) -> str:
        """What a run without a value lacks."""
        if isinstance(self.spec, AlignmentObjective):
            return f"has no image in which the gradient of {self.spec.term} can be compared"
        return "has no value on the validation images"


def baseline_metrics(names: Sequence[str], validations: Sequence[MetricValues | None], row: str) -> dict[str, float]:
    """Average the metrics of the baseline row over its seeds.

    Raises:
        RdcError: A metric has no value, or a mean of zero, which has no relative improvement.
    """
    means = {}
    for name in names:
        values = [value for metrics in validations if (value := (metrics or {}).get(name)) is not None]
        if len(values) < len(validations) or not fmean(values):
            raise RdcError(
                f"the baseline row {row} has no {name}, or one of 0, on the validation images, so delta-m cannot "
                "be computed; hold out more images (dataset.validation_images), train longer, or tune one "
                "metric (objective: {name: metric, metric: aErr})"
            )
        means[name] = fmean(values)
    return means


class TrialValues:
    """The intermediate values of a trial; its seeds are trained one after another.

    Step k is the k-th epoch of the trial, counted from 1 over all seeds, so that at the same step all trials have
    trained the same seeds for the same number of epochs. Its value is the mean of the objective over the seeds so far:
    the final value of finished seeds, the current value of the seed in training. With `by_seed`, step k is seed k,
    with the final value of that seed alone.
    """

    def __init__(self, trial: optuna.Trial, objective: Objective, epochs: int, *, by_seed: bool) -> None:
        self.trial, self.objective, self.epochs, self.by_seed = trial, objective, epochs, by_seed
        self.done: list[float] = []
        """Final values of the finished seeds."""
        self.pruned = bool(trial.user_attrs.get(PRUNED))
        """Whether Optuna has decided to prune the trial."""

    @property
    def seed(self) -> int:
        """Index of the seed in training."""
        return len(self.done)

    def epoch(self, record: EpochRecord, *, retry: bool = False) -> None:
        """Report an epoch of the seed in training, unless it has been reported.

        Args:
            record: The epoch.
            retry: Wait for a storage that cannot be reached; otherwise the epoch is left out.
        """
        value = None if self.by_seed else self.objective.value(record)
        if value is not None:
            values = [*self.done, value]
            self._report(self.seed * self.epochs + record.epoch + 1, sum(values) / len(values), retry=retry)

    def finish_seed(self, value: float) -> None:
        """Add the final value of the seed in training; the next seed follows."""
        if self.by_seed:
            self._report(self.seed, value, retry=True)
        self.done.append(value)

    def should_prune(self) -> bool:
        """Ask Optuna whether to prune the trial; False if the storage cannot be reached."""
        try:
            return self.trial.should_prune()
        except storage_errors() as error:
            log.warning("the storage of the study cannot be reached, the trial continues: %s", error)
            return False

    def _report(self, step: int, value: float, *, retry: bool) -> None:
        if retry:
            retry_storage(lambda: self._report_once(step, value))
            return
        try:
            self._report_once(step, value)
        except storage_errors() as error:
            # The epoch is reported when the run ends; training must not fail because of the storage.
            log.warning("the storage of the study cannot be reached, step %d is reported later: %s", step, error)

    def _report_once(self, step: int, value: float) -> None:
        if step not in self.trial.storage.get_trial(self.trial._trial_id).intermediate_values:
            self.trial.report(value, step)


class PruningObserver:
    """Reports the epochs of a run to its trial, and stops the run when the trial is pruned."""

    def __init__(self, values: TrialValues, directory: RunDirectory, stop: threading.Event, study: str) -> None:
        self.values, self.directory, self.stop, self.study = values, directory, stop, study

    def started(self, step: int, length: TrainingLength) -> None:
        """Report the epochs of earlier processes, which may not have been able to report them."""
        records = [record for record in trained_epochs(self.directory) if record.epoch < length.epochs_after(step)]
        for record in records:
            self.values.epoch(record)
        if records:
            self._prune_if_decided(records[-1])

    def stepped(self, epoch: int, step: int, values: Mapping[str, float]) -> None:
        """Steps are not reported."""

    def evaluated(self, record: EpochRecord, step: int, panels: Sequence[Panel]) -> None:
        """Report the epoch."""
        self.values.epoch(record)
        self._prune_if_decided(record)

    def _prune_if_decided(self, record: EpochRecord) -> None:
        # Pruning after the last epoch would save nothing.
        if record.epoch + 1 >= self.values.epochs or not self.values.should_prune():
            return
        number = self.values.trial.number
        try:
            # Set before the run is stopped, so that a worker that takes over the trial knows which trial stopped it.
            self.values.trial.set_user_attr(PRUNED, True)
        except storage_errors() as error:
            log.warning("the storage of the study cannot be reached, the trial continues: %s", error)
            return
        self.values.pruned = True
        request_stop(
            self.directory,
            Stopped.now(
                "pruned", f"study {self.study}, trial {number}: worse than others after {record.epoch + 1} epochs"
            ),
        )
        self.stop.set()
