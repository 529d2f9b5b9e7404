"""One trial: a run per seed, one after another, each resumed or skipped like any other run."""

import builtins
import logging
import re
import threading
from collections.abc import Sequence
from typing import Protocol

from optuna.trial import TrialState

from rdc_sweeps.dispatch.lifecycle import DONE, FAILED, LOCKED, PREEMPTED, STOPPED
from rdc_sweeps.errors import DivergenceError, RdcError
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Failure, Origin
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.run import RunSpec, run_id
from rdc_sweeps.specs.study import WilcoxonPruner
from rdc_sweeps.training.observers import Observer
from rdc_sweeps.training.records import EpochRecord
from rdc_sweeps.tuning.objective import Objective, PruningObserver, TrialValues
from rdc_sweeps.tuning.storage import retry_storage
from rdc_sweeps.tuning.study import Claim, Study

LOOK_SECONDS = 1.0
"""Between looks at a run that somebody else is training."""

log = logging.getLogger(__name__)


class Work(Protocol):
    """Trains a run; `dispatch.worker.work`, or a simulation."""

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
    """What keeps a study from going on until somebody mends it; no trial is spent on it."""


class RunStop(threading.Event):
    """Asks one run to stop; it is set with the whole worker's event as well."""

    def __init__(self, worker: threading.Event) -> None:
        super().__init__()
        self._worker = worker

    def is_set(self) -> bool:
        """Whether the run is to stop."""
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
    """Train a run unless it is done; if somebody else is at it, wait for that.

    Returns:
        The exit code of `work`, never LOCKED.
    """
    directory = RunDirectory(settings.root, run_id(spec))
    stop = stop or RunStop(stopping)
    while directory.result() is None:
        if stopping.is_set():
            return PREEMPTED
        directory.write_spec(spec)
        directory.write_origin(origin)
        code = work(directory.id, settings, observers=observers, stop=stop)
        if code in {DONE, FAILED} and stop.is_set():
            # A signal that came with the run's end was meant for the worker.
            stopping.set()
        if code != LOCKED:
            return code
        log.info("run %s: another process is working on it; waiting", directory.id)
        stopping.wait(LOOK_SECONDS)
    return DONE


def conduct_trial(
    study: Study, claim: Claim, settings: Settings, objective: Objective, work: Work, stopping: threading.Event
) -> int:
    """Train what a trial lacks and tell Optuna how it ended.

    Returns:
        DONE if the trial is finished (complete, pruned or failed); else what the last run's worker returned: the trial
        stays as it is, for whoever claims it next.

    Raises:
        StudyStoppedError: A run failed for a reason that is not its configuration's.
    """
    return _Conduct(study, claim, settings, objective, work, stopping).run()


class _Conduct:
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
        self.reports = TrialValues(
            claim.trial,
            objective,
            study.tuned.run.training.epochs,
            by_seed=isinstance(spec.pruner, WilcoxonPruner),
        )
        self.origin = Origin(
            table=spec.table, row=spec.row, profile=study.tuned.profile, study=study.name, trial=claim.number
        )

    def run(self) -> int:
        runs = self.study.runs(self.claim.values)
        for index, run in enumerate(runs):
            if self.reports.pruned:
                break
            directory = RunDirectory(self.settings.root, run_id(run))
            if not self.claim.resumed:
                # What others did to the same run is theirs: this trial was not cancelled, and has not failed yet.
                directory.forget_stopped()
                directory.forget_failure()
            code = self._train(run, directory)
            if self.reports.pruned:
                break
            if code == STOPPED:
                stopped = directory.stopped()
                return self._fail(f"run {directory.id} was cancelled: {stopped.detail if stopped else 'unknown'}")
            if code == FAILED:
                return self._failed(directory)
            if code != DONE:
                return code
            if not self._finish_seed(directory):
                return self._fail(f"run {directory.id} has no value on the validation images")
            self.reports.pruned = index + 1 < len(runs) and self.reports.should_prune()
        if self.reports.pruned:
            self._tell(None, TrialState.PRUNED)
        else:
            self._tell(sum(self.reports.done) / len(self.reports.done), TrialState.COMPLETE)
        return DONE

    def _train(self, run: RunSpec, directory: RunDirectory) -> int:
        while True:
            stop = RunStop(self.stopping)
            observer = PruningObserver(self.reports, directory, stop, self.study.name)
            code = train_run(run, self.origin, self.settings, self.work, self.stopping, observers=[observer], stop=stop)
            stopped = directory.stopped() if code == STOPPED else None
            if self.reports.pruned or stopped is None or stopped.reason != "pruned":
                return code
            # Another trial with the same run gave it up, perhaps of another study.
            directory.forget_stopped()

    def _finish_seed(self, directory: RunDirectory) -> bool:
        """Report the whole history, for what could not be reported meanwhile; False if there is no final value."""
        result = directory.result()
        history = [EpochRecord.model_validate(record) for record in result.history] if result else []
        for record in history:
            self.reports.epoch(record, patient=True)
        value = self.objective.value(history[-1].validation) if history else None
        if value is not None:
            self.reports.finish_seed(value)
        return value is not None

    def _failed(self, directory: RunDirectory) -> int:
        failure = directory.failure()
        if failure is not None and not _is_of_configuration(failure):
            directory.forget_failure()
            raise StudyStoppedError(
                f"trial {self.claim.number}: {failure.cause} (run {directory.id}). This is not its configuration's "
                "fault; mend it and give the same command again: the trial goes on"
            )
        return self._fail(failure.cause if failure else "no reason is recorded")

    def _fail(self, reason: str) -> int:
        log.warning("trial %d failed: %s", self.claim.number, reason)
        retry_storage(lambda: self.claim.trial.set_user_attr("reason", reason))
        self._tell(None, TrialState.FAIL)
        return DONE

    def _tell(self, value: float | None, state: TrialState) -> None:
        # A storage that went away in the middle may have taken it all the same.
        retry_storage(lambda: self.study.optuna.tell(self.claim.number, value, state=state, skip_if_finished=True))


def _is_of_configuration(failure: Failure) -> bool:
    """Whether another might not fail so: true of divergence and foreign errors, not of ours, of files and networks."""
    raised = re.findall(r"^([\w.]+(?:Error|Exception))(?=:|$)", failure.traceback, re.MULTILINE)
    if not raised:
        return True
    module, _, name = raised[-1].rpartition(".")
    if module:
        return not module.startswith("rdc_sweeps.") or name == DivergenceError.__name__
    kind = getattr(builtins, name, Exception)
    return not issubclass(kind, OSError)
