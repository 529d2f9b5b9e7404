"""What a training reports to its trial, epoch by epoch, and the trial's verdict."""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import optuna

from rdc_sweeps.errors import InfrastructureError
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Stopped
from rdc_sweeps.training.observers import Panel
from rdc_sweeps.training.records import EpochRecord
from rdc_sweeps.tuning.objective import Objective
from rdc_sweeps.tuning.storage import storage_errors

STORAGE_PATIENCE = 300.0
"""Seconds to wait for a storage that cannot be reached, where nothing can go on without it."""

PRUNED = "pruned"
"""Attribute of a trial that was judged hopeless, and perhaps not yet told so."""

Answer = TypeVar("Answer")

log = logging.getLogger(__name__)


def persistently(ask: Callable[[], Answer]) -> Answer:
    """Ask the storage, again and again while it cannot be reached.

    Raises:
        InfrastructureError: It could not be reached for `STORAGE_PATIENCE` seconds.
    """
    deadline, pause = time.monotonic() + STORAGE_PATIENCE, 0.5
    while True:
        try:
            return ask()
        except storage_errors() as error:
            if time.monotonic() + pause > deadline:
                raise InfrastructureError(f"the storage of the study cannot be reached: {error}") from error
            log.warning("the storage of the study cannot be reached, waiting: %s", error)
            time.sleep(pause)
            pause = min(2 * pause, 30.0)


class TrialReports:
    """The values of a trial at the epochs of all of its seeds, which are trained one after another.

    Step k is the k-th epoch of the trial, counted from 1 over all seeds: at the same step every trial has seen the
    same seeds for as long. Its value is the mean over the seeds of the objective: the last of those that are done, the
    present one of the one in training. With `by_seed`, step k is seed k and its value that seed's own.
    """

    def __init__(self, trial: optuna.Trial, objective: Objective, epochs: int, *, by_seed: bool) -> None:
        self.trial, self.objective, self.epochs, self.by_seed = trial, objective, epochs, by_seed
        self.done: list[float] = []
        """Final values of the seeds that are done."""
        self.pruned = bool(trial.user_attrs.get(PRUNED))
        """Whether the trial was judged hopeless."""

    @property
    def seed(self) -> int:
        """Index of the seed in training."""
        return len(self.done)

    def epoch(self, record: EpochRecord, *, patient: bool = False) -> None:
        """Report an epoch of the seed in training, once. Only the validation metrics are looked at.

        Args:
            record: The epoch.
            patient: Wait for a storage that cannot be reached; else the epoch is left out.
        """
        value = None if self.by_seed else self.objective.value(record.validation)
        if value is not None:
            values = [*self.done, value]
            self._report(self.seed * self.epochs + record.epoch + 1, sum(values) / len(values), patient=patient)

    def finish_seed(self, value: float) -> None:
        """The seed in training is done."""
        if self.by_seed:
            self._report(self.seed, value, patient=True)
        self.done.append(value)

    def hopeless(self) -> bool:
        """Whether the trial should end now; not if the storage cannot say."""
        try:
            return self.trial.should_prune()
        except storage_errors() as error:
            log.warning("the storage of the study cannot be reached, the trial goes on: %s", error)
            return False

    def _report(self, step: int, value: float, *, patient: bool) -> None:
        if patient:
            persistently(lambda: self._report_once(step, value))
            return
        try:
            self._report_once(step, value)
        except storage_errors() as error:
            # It is reported again when the run ends; a training must not fail for that.
            log.warning("the storage of the study cannot be reached, step %d is reported later: %s", step, error)

    def _report_once(self, step: int, value: float) -> None:
        if step not in self.trial.storage.get_trial(self.trial._trial_id).intermediate_values:
            self.trial.report(value, step)


class PruningObserver:
    """Reports a run's epochs to its trial and, when the trial is hopeless, ends the run."""

    def __init__(self, reports: TrialReports, directory: RunDirectory, stop: threading.Event, study: str) -> None:
        self.reports, self.directory, self.stop, self.study = reports, directory, stop, study

    def started(self, step: int, epochs: int, steps_per_epoch: int) -> None:
        """Report what earlier processes trained and perhaps could not report."""
        records = [record for record in trained_epochs(self.directory) if (record.epoch + 1) * steps_per_epoch <= step]
        for record in records:
            self.reports.epoch(record)
        if records:
            self._judge(records[-1])

    def stepped(self, epoch: int, step: int, values: Mapping[str, float]) -> None:
        """Steps are not reported."""

    def evaluated(self, record: EpochRecord, step: int, panels: Sequence[Panel]) -> None:
        """Report the epoch."""
        self.reports.epoch(record)
        self._judge(record)

    def _judge(self, record: EpochRecord) -> None:
        # After its last epoch there is nothing left to save.
        if record.epoch + 1 >= self.reports.epochs or not self.reports.hopeless():
            return
        number = self.reports.trial.number
        try:
            # The trial knows it first: whoever adopts it then does not take its run for another's.
            self.reports.trial.set_user_attr(PRUNED, True)
        except storage_errors() as error:
            log.warning("the storage of the study cannot be reached, the trial goes on: %s", error)
            return
        self.reports.pruned = True
        self.directory.write_stopped(
            Stopped.now(
                "pruned", f"study {self.study}, trial {number}: worse than others after {record.epoch + 1} epochs"
            )
        )
        self.stop.set()


def trained_epochs(directory: RunDirectory) -> list[EpochRecord]:
    """The epochs that a run's metrics file tells of."""
    try:
        lines = directory.metrics.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    # A killed process may have left half a line.
    entries = [json.loads(line) for line in lines if line.endswith(b"\n")]
    return [EpochRecord.model_validate(entry["record"]) for entry in entries if "record" in entry]
