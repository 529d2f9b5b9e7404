"""A study: its record, its trials in Optuna's storage, and claims, which keep the number of trials exact."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from rdc_sweeps.errors import DamagedError, UsageError
from rdc_sweeps.files import unlock
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.specs.run import RunSpec, run_id
from rdc_sweeps.tuning.folder import StudyFolder, StudyRecord
from rdc_sweeps.tuning.search import build_pruner, build_sampler, direction, grid, suggest, to_parameters
from rdc_sweeps.tuning.storage import StorageUrl, open_storage
from rdc_sweeps.tuning.tuned_row import TunedRow

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


@dataclass(frozen=True)
class Claim:
    """A trial that this process works on until it releases the claim or ends."""

    trial: optuna.Trial
    values: Mapping[str, Any]
    """The configuration, by path."""
    lock: int
    """The open lock file of the trial."""
    resumed: bool
    """Whether an earlier worker left it unfinished."""

    @property
    def number(self) -> int:
        """The trial's number in its study."""
        return self.trial.number

    def release(self) -> None:
        """Give up the claim: the trial is finished, or another worker may take it."""
        unlock(self.lock)


class Study:
    """An open study; `optuna` is Optuna's own study object."""

    def __init__(self, folder: StudyFolder, record: StudyRecord, url: StorageUrl) -> None:
        """Open the storage; use `open_study` or `load_study` instead."""
        self.folder, self.name = folder, folder.name
        self.tuned: TunedRow = record.tuned
        self.url = url
        storage = open_storage(url, folder.folder)
        if url.is_journal and not os.access(folder.folder, os.W_OK):
            # This user may only look.
            self.optuna = optuna.load_study(study_name=self.name, storage=storage)
        else:
            self.optuna = optuna.create_study(
                storage=storage,
                study_name=self.name,
                direction=direction(self.tuned.spec.objective),
                pruner=build_pruner(self.tuned.spec, self.epochs),
                load_if_exists=True,
            )
        token = self.optuna.user_attrs.get("token")
        if token is None:
            self.optuna.set_user_attr("token", record.token)
        elif token != record.token:
            raise UsageError(
                f"{url.public} already has a study {self.name!r} of another runs folder; choose another name with "
                "--study NAME"
            )
        found, started = len(self.optuna.get_trials(deepcopy=False)), folder.started()
        if found < started:
            raise DamagedError(
                f"study {self.name}: its storage ({url.public}) has {found} of the {started} trials that were started; "
                "restore it from a backup, or start another study with --study NAME, which finds the finished runs of "
                "this one"
            )

    @property
    def epochs(self) -> int:
        """Epochs of a trial, over all of its seeds."""
        return self.tuned.run.length.epochs * len(self.tuned.spec.seeds)

    @property
    def asked(self) -> int:
        """Number of trials that the last call requested, or of combinations if a grid has fewer."""
        return self._at_most(self.optuna.user_attrs.get("asked", self.tuned.spec.trials))

    @property
    def finished(self) -> int:
        """Number of trials that are complete, pruned or failed."""
        return len(self.optuna.get_trials(deepcopy=False, states=FINISHED))

    def ask_for(self, trials: int) -> int:
        """Record the requested number of trials and enqueue the first ones; returns the number there will be.

        That is lower if a grid has fewer combinations.
        """
        spec = self.tuned.spec
        with self.folder.claiming():
            if self.optuna.user_attrs.get("asked") != trials:
                self.optuna.set_user_attr("asked", trials)
            combinations = grid(spec)
            first = self.tuned.enqueued() if combinations is None else combinations
            enqueued = [self._first_parameters(trial) for trial in self.optuna.get_trials(deepcopy=False)]
            for values in first:
                parameters = to_parameters(spec.space, values)
                if parameters not in enqueued:
                    self.optuna.enqueue_trial(parameters)
                    enqueued.append(parameters)
        return self._at_most(trials)

    def claim(self, trials: int) -> Claim | None:
        """Claim a trial that a dead worker left unfinished, or a new one while there are fewer than `trials`.

        No more than `trials` are ever started, and each has one worker at a time, even if workers are killed.
        """
        with self.folder.claiming():
            found = self.optuna.get_trials(deepcopy=False)
            started = [trial for trial in found if trial.state != TrialState.WAITING]
            for trial in started:
                if trial.state == TrialState.RUNNING and (lock := self._adopt(trial)) is not None:
                    return self._claim(
                        optuna.Trial(self._with_sampler(trial.number), trial._trial_id), lock, resumed=True
                    )
            if len(started) >= self._at_most(trials):
                return None
            new = self._with_sampler(len(started)).ask()
            lock = self.folder.lock_trial(new.number)
            if lock is None:
                raise UsageError(
                    f"{self.folder.folder}: another process holds the lock of the new trial {new.number}; check "
                    "whether another study uses this folder"
                )
            return self._claim(new, lock, resumed=False)

    def _adopt(self, trial: FrozenTrial) -> int | None:
        """Lock a running trial whose worker is dead; None if the worker is alive."""
        lock = self.folder.lock_trial(trial.number)
        if lock is None:
            return None
        # On shared disks without locks between hosts, the heartbeat of the run shows that its worker is alive.
        directories = [RunDirectory(self.folder.root, found) for found in trial.user_attrs.get("runs", {}).values()]
        for directory in directories:
            status = directory.last_status()
            if status is not None and status.host != socket.gethostname() and directory.state() == "running":
                unlock(lock)
                return None
        return lock

    def _claim(self, trial: optuna.Trial, lock: int, *, resumed: bool) -> Claim:
        try:
            # A worker may have died between two draws; the values already drawn are kept.
            values = {path: suggest(trial, path, drawn) for path, drawn in self.tuned.spec.space.items()}
            claim = Claim(trial, values, lock, resumed)
            if "runs" not in trial.user_attrs:
                trial.set_user_attr("runs", {str(spec.seed): run_id(spec) for spec in self.runs(claim.values)})
        except BaseException:
            unlock(lock)
            raise
        return claim

    def _with_sampler(self, trials: int) -> optuna.Study:
        """The study with the sampler for its next trial."""
        self.optuna.sampler = build_sampler(self.tuned.spec.sampler, trials)
        return self.optuna

    def runs(self, values: Mapping[str, Any]) -> list[RunSpec]:
        """The runs of a configuration, one per seed."""
        return [self.tuned.run_with(values, seed) for seed in self.tuned.spec.seeds]

    def _at_most(self, trials: int) -> int:
        combinations = grid(self.tuned.spec)
        return trials if combinations is None else min(trials, len(combinations))

    def _first_parameters(self, trial: FrozenTrial) -> dict[str, Any]:
        fixed: dict[str, Any] = trial.system_attrs.get("fixed_params", trial.params)
        return fixed


def open_study(root: Path, name: str, tuned: TunedRow, storage: str | None = None) -> Study:
    """Create a study, or open the study of this name to continue it.

    Args:
        root: The runs folder.
        name: Name of the study in this folder and storage.
        tuned: The resolved spec.
        storage: URL of the storage; None for a journal in the study's folder.

    Raises:
        UsageError: Another study has this name, the URL is not valid, or a package is missing.
        UnavailableError: The storage cannot be reached.
    """
    folder, url = StudyFolder(root, name), StorageUrl.parse(storage)
    with folder.claiming():
        return Study(folder, folder.record_study(tuned, url.public), url)


def load_study(root: Path, name: str, storage: str | None = None) -> Study:
    """Open an existing study.

    Args:
        root: The runs folder.
        name: Name of the study.
        storage: Its URL, if it needs a password that is neither in PGPASSWORD nor in ~/.pgpass.

    Raises:
        UsageError: There is no such study, or its trials are in another storage.
        UnavailableError: The storage cannot be reached.
    """
    folder = StudyFolder(root, name)
    record = folder.read()
    url = StorageUrl.parse(storage or record.storage)
    if url.public != record.storage:
        raise UsageError(f"the trials of study {name} are in {record.storage}, not in {url.public}")
    with folder.observing():
        return Study(folder, record, url)
