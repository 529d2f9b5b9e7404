"""A worker of a study: claims trials and trains them until the study has as many as were asked for."""

import logging
import threading
from pathlib import Path

from optuna.trial import TrialState

from rdc_sweeps.dispatch.lifecycle import DONE, FAILED, PREEMPTED, RETRY, STOPPED
from rdc_sweeps.errors import InfrastructureError, RdcError, UnavailableError
from rdc_sweeps.processes.signals import stop_signals_set
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Metrics, Origin
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.run import RunSpec, run_id
from rdc_sweeps.training.records import EpochRecord
from rdc_sweeps.tuning.objective import Objective, baseline_metrics
from rdc_sweeps.tuning.reports import persistently
from rdc_sweeps.tuning.study import Study, load_study
from rdc_sweeps.tuning.trial import StudyStoppedError, Work, conduct_trial, train_run

FAILURES = 5
"""So many trials that fail in a row, with none between that does not, are not the configurations' fault."""

log = logging.getLogger(__name__)


def work_on_study(
    root: Path,
    name: str,
    settings: Settings,
    trials: int,
    *,
    storage: str | None = None,
    work: Work | None = None,
) -> int:
    """Work on a study until it has `trials` trials, or a signal asks to stop; workers on all hosts do the same.

    Args:
        root: The runs folder.
        name: Of a study that was opened before.
        settings: For the trainings.
        trials: How many trials the study is to have, those of earlier calls and other workers included.
        storage: Its URL, if it needs a password that is neither in PGPASSWORD nor in ~/.pgpass.
        work: Trains a run; None for `dispatch.worker.work`.

    Returns:
        DONE: there is nothing left to claim. PREEMPTED: stopped by a signal. RETRY: start it again. FAILED: see log.
    """
    if work is None:
        from rdc_sweeps.dispatch.worker import work as train

        work = train
    settings = settings.model_copy(update={"root": root})
    stopping = threading.Event()
    with stop_signals_set(stopping):
        try:
            study = persistently(lambda: load_study(root, name, storage))
            return _Worker(study, settings, trials, work, stopping).run()
        except (InfrastructureError, UnavailableError) as error:
            log.error("%s", error)
            return RETRY
        except RdcError as error:
            log.error("%s", error)
            return FAILED


class _Worker:
    def __init__(self, study: Study, settings: Settings, trials: int, work: Work, stopping: threading.Event) -> None:
        self.study, self.settings, self.trials, self.work, self.stopping = study, settings, trials, work, stopping

    def run(self) -> int:
        objective, code = self._objective()
        if objective is None:
            return code
        failures = 0
        while not self.stopping.is_set():
            claim = persistently(lambda: self.study.claim(self.trials))
            if claim is None:
                return DONE
            log.info("trial %d%s: %s", claim.number, " goes on" if claim.resumed else "", dict(claim.values))
            try:
                code = conduct_trial(self.study, claim, self.settings, objective, self.work, self.stopping)
            finally:
                claim.release()
            if code != DONE:
                return code
            failed = self._state(claim.number) == TrialState.FAIL
            failures = failures + 1 if failed else 0
            if failures == FAILURES:
                raise StudyStoppedError(f"the last {FAILURES} trials have failed; see their reasons")
        return PREEMPTED

    def _state(self, number: int) -> TrialState:
        return persistently(lambda: self.study.optuna.get_trials(deepcopy=False)[number].state)

    def _objective(self) -> tuple[Objective | None, int]:
        """The objective; delta-m needs the baseline row's runs first, which the workers share among them."""
        tuned = self.study.tuned
        if tuned.baseline is None or tuned.baseline_row is None:
            return Objective(tuned.spec.objective, {}), DONE
        runs = [run for seed in tuned.spec.seeds if (run := tuned.baseline_run(seed)) is not None]
        # What somebody else is training comes last.
        runs.sort(key=lambda run: self._directory(run).state() == "running")
        origin = Origin(
            table=tuned.spec.table, row=tuned.baseline_row, profile=tuned.profile, study=self.study.name, trial=None
        )
        for run in runs:
            directory = self._directory(run)
            if directory.result() is None:
                directory.forget_stopped()
                directory.forget_failure()
            code = train_run(run, origin, self.settings, self.work, self.stopping)
            if code == STOPPED:
                raise StudyStoppedError(f"the baseline {tuned.baseline_row} (run {directory.id}) was cancelled")
            if code == FAILED:
                failure = directory.failure()
                raise StudyStoppedError(
                    f"the baseline {tuned.baseline_row} (run {directory.id}) failed: "
                    f"{failure.cause if failure else 'no reason'}; mend it and give the same command again"
                )
            if code != DONE:
                return None, code
        validations = [_last_validation(self._directory(run)) for run in runs]
        return Objective(tuned.spec.objective, baseline_metrics(tuned.metrics, validations, tuned.baseline_row)), DONE

    def _directory(self, run: RunSpec) -> RunDirectory:
        return RunDirectory(self.settings.root, run_id(run))


def _last_validation(directory: RunDirectory) -> Metrics | None:
    result = directory.result()
    return EpochRecord.model_validate(result.history[-1]).validation if result and result.history else None
