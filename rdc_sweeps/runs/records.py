"""The JSON records of a run directory."""

import os
import secrets
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from rdc_sweeps.files import read_file
from rdc_sweeps.metrics.metric import MetricValues
from rdc_sweeps.runs.states import ACTIVE_STATES, AttemptEnd, StopReason, WorkerState
from rdc_sweeps.seals import LINES, with_header, without_header


class Record(BaseModel):
    """Base class of the records."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Status(Record):
    """A heartbeat: which process works on the run, and its progress."""

    state: WorkerState
    host: str
    process: int
    time: float
    """Seconds since 1970 on the owner's clock."""
    token: str = ""
    """Random for each worker; the run belongs to the worker that wrote last."""
    beat: int = 0
    """Number of this worker's heartbeats; shows without comparing clocks that the owner is alive."""
    interval: float = 1.0
    """Seconds between heartbeats."""
    job: str | None = None
    """The Slurm job: `123` or `123_4`."""
    device: str = ""
    """Name of the GPU, or `cpu`."""
    epoch: int = 0
    epochs: int = 0
    step: int = 0
    """Steps completed over the whole training."""
    steps: int = 0
    """Steps of the whole training."""
    rate: float | None = None
    """Steps per second of this process, evaluation included."""
    values: dict[str, float] = {}
    """Last losses."""
    metrics: MetricValues = {}
    """Test metrics of the last epoch."""

    @classmethod
    def of_this_process(cls, state: WorkerState, interval: float = 1.0) -> Self:
        """The first heartbeat of the calling process, now."""
        return cls(
            state=state,
            host=socket.gethostname(),
            process=os.getpid(),
            time=time.time(),
            token=secrets.token_hex(8),
            interval=interval,
            job=slurm_job(),
        )

    @property
    def live(self) -> bool:
        """Whether the worker was starting or training when it wrote this."""
        return self.state in ACTIVE_STATES


def slurm_job(environ: Mapping[str, str] = os.environ) -> str | None:
    """The Slurm job of this process: `123`, or `123_4` for a task of an array."""
    array, task = environ.get("SLURM_ARRAY_JOB_ID"), environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else environ.get("SLURM_JOB_ID")


class Origin(Record):
    """The table and row, or the study and trial, that first requested a run."""

    table: str
    row: str
    profile: str
    study: str | None = None
    trial: int | None = None


class Stopped(Record):
    """A request to stop the run early."""

    reason: StopReason
    detail: str
    """Who stopped it or why, in one line."""
    time: float
    host: str

    @classmethod
    def now(cls, reason: StopReason, detail: str) -> Self:
        """A record by the calling process, now."""
        return cls(reason=reason, detail=detail, time=time.time(), host=socket.gethostname())


class Attempt(Record):
    """An entry in the history of a run's workers: a start or an orderly end."""

    event: Literal["start", "end"]
    time: float
    host: str
    process: int
    job: str | None = None
    progress: int | None = None
    """Identifies the run's checkpoint (see `RunDirectory.progress`); None without one."""
    state: AttemptEnd | None = None
    """How the worker ended."""
    cause: str | None = None
    """The error that ended it, in one line."""

    @classmethod
    def now(
        cls,
        event: Literal["start", "end"],
        *,
        progress: int | None = None,
        state: AttemptEnd | None = None,
        cause: str | None = None,
    ) -> Self:
        """An entry for the calling process, now."""
        return cls(
            event=event,
            time=time.time(),
            host=socket.gethostname(),
            process=os.getpid(),
            job=slurm_job(),
            progress=progress,
            state=state,
            cause=cause,
        )


def attempts_text(attempts: Iterable[Attempt], run: str) -> bytes:
    """The content of a run's file of attempts: a line for each, after one with their checksum."""
    lines = b"".join(one.model_dump_json(exclude_none=True).encode() + b"\n" for one in attempts)
    return with_header(lines, LINES, run)


def read_attempts(path: Path, run: str) -> list[Attempt]:
    """Read a run's file of attempts; a missing file has none.

    Raises:
        ValueError: The file is damaged.
    """
    try:
        text = read_file(path)
    except (FileNotFoundError, NotADirectoryError):
        return []
    # Files of earlier versions have no checksum.
    lines = text if text.startswith(b'{"event":') else without_header(text, LINES, run)
    return [Attempt.model_validate_json(line) for line in lines.splitlines()]


class Environment(BaseModel):
    """What training reads back of `environment.json`, which has more."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    threads: int = Field(ge=1)
    """CPU threads: sums in a different order round differently."""


class EnvironmentDetails(Environment):
    """What reports show of `environment.json`."""

    commit: str | None = None
    """Of the code; with `+` if there were uncommitted changes, None outside a checkout."""
    packages: dict[str, str] = {}
    """Versions."""
    python: str = ""
    platform: str = ""
    host: str = ""
    cores: int | None = None
    cuda: str | None = None
    devices: list[str] = []
    slurm_job: str | None = None


class Failure(Record):
    """Why a run failed."""

    cause: str
    """One line."""
    traceback: str
    time: float
    host: str


class Selected(Record):
    """Test metrics of the epoch chosen by a selection rule."""

    epoch: int
    metrics: MetricValues
    validation: MetricValues | None = None


class Result(Record):
    """The results of a finished run."""

    run: str
    selected: Mapping[str, Selected | None]
    """By selection rule; None if the data needed by the rule are missing."""
    epochs: int
    images: int
    """Number of training images."""
    parameters: int
    """Number of parameters of the network, without the mapping network."""
    seconds: float
    """Time of training and evaluation, summed over all workers of the run."""
    device: str
    history: Sequence[dict[str, object]] = ()
    """Every epoch's losses, test and validation metrics."""
