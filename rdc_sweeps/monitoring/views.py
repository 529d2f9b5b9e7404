"""Views of runs: the state in their directories, and whether they wait in the queue of the batch system."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rdc_sweeps.errors import DamagedError
from rdc_sweeps.files import read_file
from rdc_sweeps.runs.directory import OpenRun, RunDirectory
from rdc_sweeps.runs.records import Status
from rdc_sweeps.runs.states import ShownState
from rdc_sweeps.specs.catalogue import Run


@dataclass(frozen=True)
class Waiting:
    """A run's place in a queue."""

    job: str | None = None
    reason: str = ""
    """Why it waits, in the words of the batch system."""


Queue = Mapping[str, Waiting]
"""Waiting runs by id."""


@dataclass(frozen=True)
class Subject:
    """A run to inspect, and its names."""

    run: str
    table: str = ""
    row: str = ""
    profile: str = ""
    seed: int | None = None
    study: str | None = None
    trial: int | None = None
    steps: int = 0
    """Steps of the whole training; 0 if unknown."""

    @property
    def name(self) -> str:
        """Name of the run within its group: the row, or the trial of a study."""
        if self.study is None:
            return self.row
        return "baseline" if self.trial is None else f"trial {self.trial}"

    @property
    def title(self) -> str:
        """`table/row seed N`, the name of the run in messages."""
        named = f"{self.table or 'run'}/{self.name or self.run}" if self.study is None else f"{self.study} {self.name}"
        return named if self.seed is None else f"{named} seed {self.seed}"


@dataclass(frozen=True)
class RunView:
    """A run at one moment."""

    subject: Subject
    state: ShownState
    status: Status | None = None
    waiting: Waiting | None = None
    cause: str | None = None
    """Why the run failed, was stopped or is interrupted, in one line; None if it is unknown."""

    @property
    def progress(self) -> float | None:
        """Share of the steps that are done."""
        if self.state == "done":
            return 1.0
        return min(1.0, self.status.step / self.status.steps) if self.status and self.status.steps else None

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the training is done at its present speed, if it is running."""
        status = self.status
        if self.state != "running" or status is None or not status.rate:
            return None
        return max(0.0, (status.steps - status.step) / status.rate)

    @property
    def problem(self) -> str | None:
        """Why the run failed or is damaged, or why no worker is training it."""
        if self.state in {"failed", "damaged"}:
            return self.cause or "unknown"
        return self.cause if self.state in {"preempted", "planned"} else None

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        status, subject = self.status, self.subject
        return {
            "run": subject.run,
            "table": subject.table,
            "row": subject.row,
            "seed": subject.seed,
            "profile": subject.profile,
            "study": subject.study,
            "trial": subject.trial,
            "state": self.state,
            "progress": self.progress,
            "step": status.step if status else 0,
            "steps": status.steps if status and status.steps else subject.steps,
            "epoch": status.epoch if status else 0,
            "epochs": status.epochs if status else None,
            "seconds_left": self.seconds_left,
            "device": status.device if status else None,
            "host": status.host if status else None,
            "job": self.waiting.job if self.waiting else status.job if status else None,
            "waits_for": self.waiting.reason if self.waiting else None,
            "heartbeat": status.time if status else None,
            "losses": status.values if status else {},
            "metrics": status.metrics if status else {},
            "cause": self.cause,
        }


def subject_of(run: Run) -> Subject:
    """The names of a resolved run."""
    profile, steps = run.profile.profile, run.spec.length.steps
    return Subject(run.id, run.table.table, run.row.id, profile, run.spec.seed, steps=steps)


def subject_of_directory(root: Path, run: str) -> Subject:
    """The names of a run from its directory; none if they cannot be read."""
    try:
        origin = RunDirectory(root, run).origin()
    except (OSError, DamagedError):
        origin = None
    return Subject(run) if origin is None else Subject(run, **origin.model_dump())


def seed_of(directory: RunDirectory) -> int | None:
    """The seed in a run's spec; None if it cannot be read."""
    try:
        found = re.search(rb"^seed: (\d+)$", read_file(directory.spec), re.MULTILINE)
    except (OSError, DamagedError):
        return None
    return int(found.group(1)) if found else None


def inspect(subject: Subject, root: Path, queue: Queue, open_run: OpenRun = RunDirectory) -> RunView:
    """Read a run's state, progress and cause of failure from its directory."""
    directory = open_run(root, subject.run)
    waiting = queue.get(subject.run)
    status = None
    try:
        state: ShownState = directory.state()
        if state == "planned":
            return RunView(subject, "queued" if waiting else state, None, waiting)
        status = directory.last_status()
        if state == "preempted" and waiting:
            return RunView(subject, "queued", status, waiting)
        return RunView(subject, state, status, None, _cause(directory, state))
    except (DamagedError, OSError) as error:
        # One run that cannot be read must not hide the others.
        return RunView(subject, "damaged", status, None, " ".join(str(error).split()))


def _cause(directory: RunDirectory, state: ShownState) -> str | None:
    if state == "damaged":
        return "; ".join(directory.damaged().values())
    if state == "failed" and (failure := directory.failure()):
        return failure.cause
    if state in {"cancelled", "pruned"} and (stopped := directory.stopped()):
        return stopped.detail
    if state == "preempted" and (attempts := directory.attempts()):
        return attempts[-1].cause
    return None
