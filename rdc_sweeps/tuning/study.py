"""A study: its record, its trials in Optuna's storage, and claims, which keep the number of trials exact."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock
from optuna.trial import FrozenTrial, TrialState

from rdc_sweeps.errors import UsageError
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.specs.run import RunSpec, run_id
from rdc_sweeps.tuning.folder import StudyFolder, StudyRecord
from rdc_sweeps.tuning.search import build_pruner, build_sampler, direction, grid, suggest, to_parameters
from rdc_sweeps.tuning.storage import StorageUrl, open_storage
from rdc_sweeps.tuning.tuned_row import TunedRow

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


@dataclass(frozen=True)
class Claim:
    """A trial that belongs to this process until it releases the trial or ends."""

    trial: optuna.Trial
    values: Mapping[str, Any]
    """The configuration, by path."""
    lock: FileLock
    resumed: bool
    """Whether an earlier worker has left it unfinished."""

    @property
    def number(self) -> int:
        """The trial's number in its study."""
        return self.trial.number

    def release(self) -> None:
        """Give up the claim: the trial is finished, or left to another worker."""
        self.lock.release()


class Study:
    """An open study; `optuna` is Optuna's own study object."""

    def __init__(self, folder: StudyFolder, record: StudyRecord, url: StorageUrl) -> None:
        """Open the storage; use `open_study` or `load_study` instead."""
        self.folder, self.name = folder, folder.name
        self.tuned: TunedRow = record.tuned
        self.url = url
        self.optuna = optuna.create_study(
            storage=open_storage(url, folder.folder),
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
                f"{url.public} has another study {self.name!r}, of another runs folder; choose another name with "
                "--study NAME"
            )

    @property
    def epochs(self) -> int:
        """Epochs of a trial, over all of its seeds."""
        return self.tuned.run.training.epochs * len(self.tuned.spec.seeds)

    @property
    def asked(self) -> int:
        """How many trials the last call asked for, or fewer if a grid has fewer."""
        return self._at_most(self.optuna.user_attrs.get("asked", self.tuned.spec.trials))

    @property
    def finished(self) -> int:
        """How many trials are complete, pruned or failed."""
        return len(self.optuna.get_trials(deepcopy=False, states=FINISHED))

    def ask_for(self, trials: int) -> int:
        """Record how many trials are wanted and enqueue the first ones; returns how many there will be.

        A grid may have fewer combinations than trials are wanted.
        """
        spec = self.tuned.spec
        with self.folder.claiming():
            if self.optuna.user_attrs.get("asked") != trials:
                self.optuna.set_user_attr("asked", trials)
            combinations = grid(spec)
            first = self.tuned.enqueued() if combinations is None else combinations
            there = [self._first_parameters(trial) for trial in self.optuna.get_trials(deepcopy=False)]
            for values in first:
                parameters = to_parameters(spec.space, values)
                if parameters not in there:
                    self.optuna.enqueue_trial(parameters)
                    there.append(parameters)
        return self._at_most(trials)

    def claim(self, trials: int) -> Claim | None:
        """Claim a trial that a dead worker has left, or a new one while there are fewer than `trials`.

        No more than `trials` are ever started, and each has one worker at a time, even if workers are killed.
        """
        with self.folder.claiming():
            found = self.optuna.get_trials(deepcopy=False)
            begun = [trial for trial in found if trial.state != TrialState.WAITING]
            for trial in begun:
                if trial.state == TrialState.RUNNING and (lock := self._adopt(trial)) is not None:
                    return self._claim(
                        optuna.Trial(self._with_sampler(trial.number), trial._trial_id), lock, resumed=True
                    )
            if len(begun) >= self._at_most(trials):
                return None
            new = self._with_sampler(len(begun)).ask()
            lock = self.folder.lock_trial(new.number)
            if lock is None:
                raise UsageError(
                    f"{self.folder.folder}: somebody holds the lock of trial {new.number}, which is new; does "
                    "another study use this folder?"
                )
            return self._claim(new, lock, resumed=False)

    def _adopt(self, trial: FrozenTrial) -> FileLock | None:
        """Lock a running trial whose worker is dead; None if the worker is alive."""
        lock = self.folder.lock_trial(trial.number)
        if lock is None:
            return None
        # Some shared disks have no locks between hosts; there, the heartbeat of the run shows that its worker is alive.
        directories = [RunDirectory(self.folder.root, found) for found in trial.user_attrs.get("runs", {}).values()]
        for directory in directories:
            status = directory.status()
            if status is not None and status.host != socket.gethostname() and directory.state() == "running":
                lock.release()
                return None
        return lock

    def _claim(self, trial: optuna.Trial, lock: FileLock, *, resumed: bool) -> Claim:
        try:
            # A worker may have died between two draws; the values that it had drawn are kept.
            values = {path: suggest(trial, path, drawn) for path, drawn in self.tuned.spec.space.items()}
            claim = Claim(trial, values, lock, resumed)
            if "runs" not in trial.user_attrs:
                trial.set_user_attr("runs", {str(spec.seed): run_id(spec) for spec in self.runs(claim.values)})
        except BaseException:
            lock.release()
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
        tuned: Its spec, resolved.
        storage: URL; None is a journal in the study's folder.

    Raises:
        UsageError: The name is another study's, or the storage's URL or packages are not right.
        UnavailableError: The storage cannot be reached.
    """
    folder, url = StudyFolder(root, name), StorageUrl.parse(storage)
    with folder.claiming():
        return Study(folder, folder.record_study(tuned, url.public), url)


def load_study(root: Path, name: str, storage: str | None = None) -> Study:
    """Open an existing study.

    Args:
        root: The runs folder.
        name: Of the study.
        storage: Its URL, if it needs a password that is neither in PGPASSWORD nor in ~/.pgpass.

    Raises:
        UsageError: There is none, or its trials are in another storage.
        UnavailableError: The storage cannot be reached.
    """
    folder = StudyFolder(root, name)
    record = folder.read()
    url = StorageUrl.parse(storage or record.storage)
    if url.public != record.storage:
        raise UsageError(f"the trials of study {name} are in {record.storage}, not in {url.public}")
    with folder.claiming():
        return Study(folder, record, url)
