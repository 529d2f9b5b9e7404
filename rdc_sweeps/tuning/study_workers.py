"""Workers of a study: each claims trials and trains them until the study has the requested number."""

import logging
import os
import socket
import sys
import threading
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import NoReturn

from optuna.trial import TrialState

from rdc_sweeps.dispatch.preparation import PRELOADED
from rdc_sweeps.errors import InfrastructureError, RdcError, UnavailableError, infrastructure_cause
from rdc_sweeps.processes.children import fork_server, log_to
from rdc_sweeps.processes.devices import restrict_to, slot_masks
from rdc_sweeps.processes.pool import run_pool
from rdc_sweeps.processes.signals import stop_signals_set
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Origin
from rdc_sweeps.runs.requests import forget_failure, withdraw_stop
from rdc_sweeps.runs.states import WorkerExit, should_restart
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.run import RunSpec, run_id
from rdc_sweeps.tuning.epochs import finished_epochs
from rdc_sweeps.tuning.folder import StudyFolder
from rdc_sweeps.tuning.objective import Objective, baseline_metrics
from rdc_sweeps.tuning.storage import retry_storage
from rdc_sweeps.tuning.study import Study, load_study
from rdc_sweeps.tuning.trial import StudyStoppedError, Work, repair, run_trial, train_run

MAX_FAILURES_IN_A_ROW = 5
"""After this many failed trials without a successful one, the configurations are not the cause."""

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
    """Work on a study until it has `trials` trials or a stop signal arrives; workers on all hosts do the same.

    Args:
        root: The runs folder.
        name: Name of an existing study.
        settings: Settings of the runs.
        trials: Total number of trials, including those of earlier calls and other workers.
        storage: Its URL, if it needs a password that is neither in PGPASSWORD nor in ~/.pgpass.
        work: Trains a run; None for `dispatch.worker.work`.

    Returns:
        DONE: no trial is left. PREEMPTED: stopped by a signal. RETRY: to be started again. PARKED: a disk or machine
        failed too often. FAILED: see the log.
    """
    if work is None:
        from rdc_sweeps.dispatch.worker import work as train

        work = train
    settings = settings.model_copy(update={"root": root})
    stopping = threading.Event()
    with stop_signals_set(stopping):
        try:
            study = retry_storage(lambda: load_study(root, name, storage))
            return _Worker(study, settings, trials, work, stopping).run()
        except (InfrastructureError, UnavailableError) as error:
            log.error("%s", error)
            return WorkerExit.RETRY
        except RdcError as error:
            log.error("%s", error)
            return WorkerExit.FAILED
        except OSError as error:
            if infrastructure_cause(error) is None:
                raise
            log.error("%s: %s", type(error).__name__, error)
            return WorkerExit.PARKED


class _Worker:
    def __init__(self, study: Study, settings: Settings, trials: int, work: Work, stopping: threading.Event) -> None:
        self.study, self.settings, self.trials, self.work, self.stopping = study, settings, trials, work, stopping

    def run(self) -> int:
        objective, code = self._objective()
        if objective is None:
            return code
        failures = 0
        while not self.stopping.is_set():
            claim = retry_storage(lambda: self.study.claim(self.trials))
            if claim is None:
                return WorkerExit.DONE
            log.info("trial %d%s: %s", claim.number, " resumes" if claim.resumed else "", dict(claim.values))
            try:
                code = run_trial(self.study, claim, self.settings, objective, self.work, self.stopping)
            finally:
                claim.release()
            if code != WorkerExit.DONE:
                return code
            failed = self._state(claim.number) == TrialState.FAIL
            failures = failures + 1 if failed else 0
            if failures == MAX_FAILURES_IN_A_ROW:
                raise StudyStoppedError(f"the last {MAX_FAILURES_IN_A_ROW} trials have all failed; see their reasons")
        return WorkerExit.PREEMPTED

    def _state(self, number: int) -> TrialState:
        return retry_storage(lambda: self.study.optuna.get_trials(deepcopy=False)[number].state)

    def _objective(self) -> tuple[Objective | None, int]:
        """The objective, after the runs of the baseline row, which delta-m needs and the workers share."""
        tuned = self.study.tuned
        if tuned.baseline is None or tuned.baseline_row is None:
            return Objective(tuned.spec.objective, {}), WorkerExit.DONE
        runs = [run for seed in tuned.spec.seeds if (run := tuned.baseline_run(seed)) is not None]
        # Runs that another worker is training come last.
        runs.sort(key=lambda run: self._directory(run).state() == "running")
        origin = Origin(
            table=tuned.spec.table, row=tuned.baseline_row, profile=tuned.profile, study=self.study.name, trial=None
        )
        for run in runs:
            directory = self._directory(run)
            repair(directory)
            if directory.result() is None:
                withdraw_stop(directory)
                forget_failure(directory)
            code = train_run(run, origin, self.settings, self.work, self.stopping)
            if code == WorkerExit.STOPPED:
                raise StudyStoppedError(f"the baseline {tuned.baseline_row} (run {directory.id}) was cancelled")
            if code == WorkerExit.FAILED:
                failure = directory.failure()
                raise StudyStoppedError(
                    f"the baseline {tuned.baseline_row} (run {directory.id}) failed: "
                    f"{failure.cause if failure else 'no reason'}; fix the cause and repeat the command"
                )
            if code != WorkerExit.DONE:
                return None, code
        histories = [finished_epochs(self._directory(run)) for run in runs]
        validations = [history[-1].validation if history else None for history in histories]
        metrics = baseline_metrics(tuned.metrics, validations, tuned.baseline_row)
        return Objective(tuned.spec.objective, metrics), WorkerExit.DONE

    def _directory(self, run: RunSpec) -> RunDirectory:
        return RunDirectory(self.settings.root, run_id(run))


def work_in_pool(
    root: Path,
    name: str,
    settings: Settings,
    trials: int,
    *,
    workers: int,
    gpus: int = 0,
    storage: str | None = None,
    work: Work | None = None,
    watch: Callable[[], None] = lambda: None,
    interval: float = 0.5,
) -> list[int]:
    """Work on a study with several processes until it has `trials` trials.

    A worker that is killed is replaced as long as the study advances. Interrupted (KeyboardInterrupt, SIGTERM), all
    workers save checkpoints and leave their trials to the next call; then the interrupt is raised again.

    Args:
        root: The runs folder.
        name: Name of an existing study, for which `Study.ask_for(trials)` has been called.
        settings: Settings of the runs; `threads` is per worker.
        trials: Total number of trials.
        workers: Number of processes.
        gpus: Number of GPUs of this machine to use; 0 for the CPU.
        storage: Its URL, if it needs a password that is neither in PGPASSWORD nor in ~/.pgpass.
        work: Trains a run; None for `dispatch.worker.work`.
        watch: Called every `interval` seconds.
        interval: Seconds between two checks of the processes.

    Returns:
        The last exit code of each worker; a negative one is the signal that killed it.
    """
    context = fork_server(*PRELOADED, __name__)
    masks = slot_masks(gpus, settings.gpus_per_run, workers)
    study = load_study(root, name, storage)
    codes: dict[int, int] = {}
    to_start = set(range(workers))
    # One more than a run's retries: the last worker finds that the run has used them up.
    left, finished = settings.retries + 1, study.finished

    def start(slot: int) -> ForkServerProcess | None:
        if slot not in to_start:
            return None
        to_start.remove(slot)
        process = context.Process(target=_enter, args=(root, name, settings, trials, storage, work, masks[slot]))
        process.start()
        return process

    def ended(slot: int, process: ForkServerProcess) -> None:
        nonlocal left, finished
        codes[slot] = code = process.exitcode or 0
        # A worker that was stopped on purpose stays stopped; one that died is replaced while the study advances.
        if code == WorkerExit.PREEMPTED or not should_restart(code):
            return
        if (now := retry_storage(lambda: study.finished)) > finished:
            left, finished = settings.retries + 1, now
        if left > 0:
            left -= 1
            to_start.add(slot)

    run_pool(workers, start, ended, watch=watch, interval=interval)
    return [codes[slot] for slot in range(workers)]


def enter_worker(
    root: Path, name: str, settings: Settings, trials: int, storage: str | None = None, work: Work | None = None
) -> NoReturn:
    """Work on a study in this process, log to the study's folder, and end the process with the exit code."""
    log_to(StudyFolder(root, name).workers / f"{socket.gethostname()}-{os.getpid()}.log")
    sys.exit(work_on_study(root, name, settings, trials, storage=storage, work=work))


def enter_slurm_worker(root: Path, name: str, settings: Settings, trials: int) -> NoReturn:
    """Work on a study in this process, a Slurm job, and end it with an exit code that does not requeue failures.

    A worker fails where something must be fixed first; Slurm would restart it forever.
    """
    try:
        enter_worker(root, name, settings, trials)
    except SystemExit as end:
        sys.exit(WorkerExit.STOPPED if end.code == WorkerExit.FAILED else end.code)


def _enter(
    root: Path, name: str, settings: Settings, trials: int, storage: str | None, work: Work | None, mask: str | None
) -> None:
    restrict_to(mask)
    enter_worker(root, name, settings, trials, storage, work)
