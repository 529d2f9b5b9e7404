"""One trial: one run per seed, one after another, each resumed or skipped like any other run."""

import builtins
import logging
import re
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from optuna.trial import TrialState

from rdc_sweeps.errors import DivergenceError, RdcError, RunLockedError
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Failure, Origin
from rdc_sweeps.runs.requests import forget_failure, move_damaged_aside, request_run, withdraw_stop
from rdc_sweeps.runs.states import WorkerExit
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.run import RunSpec, run_id
from rdc_sweeps.specs.study import AlignmentObjective, WilcoxonPruner
from rdc_sweeps.training.observers import Observer
from rdc_sweeps.tuning.epochs import finished_epochs, probed_epochs
from rdc_sweeps.tuning.objective import Objective, PruningObserver, TrialValues
from rdc_sweeps.tuning.storage import retry_storage
from rdc_sweeps.tuning.study import Claim, Study

POLL_SECONDS = 1.0
"""Interval between checks of a run that another process is training."""

log = logging.getLogger(__name__)


class Work(Protocol):
    """Trains a run: `dispatch.worker.work`, or a simulation of it."""

    def __call__(
        self,
        run_id: str,
        settings: Settings,
        *,
        observers: Sequence[Observer] = (),
        stop: threading.Event | None = None,
    ) -> int:
        """Bring a run to its end, or to a resumable state; returns an exit code of `dispatch.lifecycle`."""


class StudyStoppedError(RdcError):
    """A study cannot continue until the cause is fixed; no trial is counted as failed."""


class RunStop(threading.Event):
    """Requests that one run stops; also set when the whole worker is to stop."""

    def __init__(self, worker: threading.Event) -> None:
        super().__init__()
        self._worker = worker

    def is_set(self) -> bool:
        """Whether the run should stop."""
        return super().is_set() or self._worker.is_set()


def train_run(
    spec: RunSpec,
    origin: Origin,
    settings: Settings,
    work: Work,
    stopping: threading.Event,
    *,
    observers: Sequence[Observer] = (),
    stop: RunStop | None = None,
) -> int:
    """Train a run unless it is done; if another process is training it, wait for that.

    Returns:
        The exit code of `work`, never LOCKED.
    """
    directory = RunDirectory(settings.root, run_id(spec))
    repair(directory)
    stop = stop or RunStop(stopping)
    while directory.result() is None:
        if stopping.is_set():
            return WorkerExit.PREEMPTED
        request_run(directory, spec, origin)
        code = work(directory.id, settings, observers=observers, stop=stop)
        if code in {WorkerExit.DONE, WorkerExit.FAILED} and stop.is_set():
            # The signal arrived as the run ended; it was meant for the worker.
            stopping.set()
        if code != WorkerExit.LOCKED:
            return code
        log.info("run %s: another process is working on it; waiting", directory.id)
        stopping.wait(POLL_SECONDS)
    return WorkerExit.DONE


def repair(directory: RunDirectory) -> None:
    """Move damaged records of a run aside: a study has no other way to train it from its checkpoint."""
    if directory.state() == "damaged":
        log.warning("%s", "; ".join(directory.damaged().values()))
        # Another worker may own it by now, and wait or train.
        with suppress(RunLockedError):
            move_damaged_aside(directory)


def run_trial(
    study: Study, claim: Claim, settings: Settings, objective: Objective, work: Work, stopping: threading.Event
) -> int:
    """Train the runs of a trial that are not done, and tell Optuna the result.

    Returns:
        DONE if the trial is finished (complete, pruned or failed); otherwise the exit code of the last run: the trial
        stays as it is for the worker that claims it next.

    Raises:
        StudyStoppedError: A run failed for a reason other than its configuration.
    """
    return _TrialRunner(study, claim, settings, objective, work, stopping).run()


class _TrialRunner:
    def __init__(
        self,
        study: Study,
        claim: Claim,
        settings: Settings,
        objective: Objective,
        work: Work,
        stopping: threading.Event,
    ) -> None:
        self.study, self.claim, self.settings = study, claim, settings
        self.objective, self.work, self.stopping = objective, work, stopping
        spec = study.tuned.spec
        self.values = TrialValues(
            claim.trial,
            objective,
            study.tuned.run.length.epochs,
            by_seed=isinstance(spec.pruner, WilcoxonPruner),
        )
        self.origin = Origin(
            table=spec.table, row=spec.row, profile=study.tuned.profile, study=study.name, trial=claim.number
        )

    def run(self) -> int:
        runs = self.study.runs(self.claim.values)
        for index, run in enumerate(runs):
            if self.values.pruned:
                break
            directory = RunDirectory(self.settings.root, run_id(run))
            repair(directory)
            if not self.claim.resumed:
                # The run may have been cancelled or have failed outside this trial, which has not tried it yet.
                withdraw_stop(directory)
                forget_failure(directory)
            code = self._train(run, directory)
            if self.values.pruned:
                break
            if code == WorkerExit.STOPPED:
                stopped = directory.stopped()
                return self._fail(f"run {directory.id} was cancelled: {stopped.detail if stopped else 'unknown'}")
            if code == WorkerExit.FAILED:
                return self._failed(directory)
            if code != WorkerExit.DONE:
                return code
            if not self._finish_seed(run, directory):
                return self._fail(f"run {directory.id} {self.objective.absence}")
            self.values.pruned = index + 1 < len(runs) and self.values.should_prune()
        if self.values.pruned:
            self._tell(None, TrialState.PRUNED)
        else:
            self._tell(sum(self.values.done) / len(self.values.done), TrialState.COMPLETE)
        return WorkerExit.DONE

    def _train(self, run: RunSpec, directory: RunDirectory) -> int:
        while True:
            stop = RunStop(self.stopping)
            observer = PruningObserver(self.values, directory, stop, self.study.name)
            code = train_run(run, self.origin, self.settings, self.work, self.stopping, observers=[observer], stop=stop)
            stopped = directory.stopped() if code == WorkerExit.STOPPED else None
            if self.values.pruned or stopped is None or stopped.reason != "pruned":
                return code
            # Another trial that shares this run, perhaps of another study, pruned it.
            withdraw_stop(directory)

    def _finish_seed(self, run: RunSpec, directory: RunDirectory) -> bool:
        """Report all epochs, some of which may not have been reported yet; False if there is no final value."""
        history = finished_epochs(directory)
        if history and isinstance(self.objective.spec, AlignmentObjective):
            history = probed_epochs(history, run, directory, self.settings)
        for record in history:
            self.values.epoch(record, retry=True)
        value = self.objective.value(history[-1]) if history else None
        if value is not None:
            self.values.finish_seed(value)
        return value is not None

    def _failed(self, directory: RunDirectory) -> int:
        failure = directory.failure()
        if failure is not None and not _is_of_configuration(failure):
            forget_failure(directory)
            raise StudyStoppedError(
                f"trial {self.claim.number}: {failure.cause} (run {directory.id}). The cause is not its "
                "configuration: fix it and repeat the command, which continues the trial"
            )
        return self._fail(failure.cause if failure else "no reason is recorded")

    def _fail(self, reason: str) -> int:
        log.warning("trial %d failed: %s", self.claim.number, reason)
        retry_storage(lambda: self.claim.trial.set_user_attr("reason", reason))
        self._tell(None, TrialState.FAIL)
        return WorkerExit.DONE

    def _tell(self, value: float | None, state: TrialState) -> None:
        # A storage that failed in the middle of the request may have stored the result.
        retry_storage(lambda: self.study.optuna.tell(self.claim.number, value, state=state, skip_if_finished=True))


def _is_of_configuration(failure: Failure) -> bool:
    """Whether the configuration is the likely cause of a failure.

    True for divergence and for errors of other packages (out of memory, say), False for this package's errors (damaged
    data, say) and for those of files and networks.
    """
    raised = re.findall(r"^([\w.]+(?:Error|Exception))(?=:|$)", failure.traceback, re.MULTILINE)
    if not raised:
        return True
    module, _, name = raised[-1].rpartition(".")
    if module:
        return not module.startswith("rdc_sweeps.") or name == DivergenceError.__name__
    kind = getattr(builtins, name, Exception)
    return not issubclass(kind, OSError)
