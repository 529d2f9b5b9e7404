"""The JSON records of a run directory."""

import os
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict

from rdc_sweeps.metrics.metric import MetricValues
from rdc_sweeps.runs.states import ACTIVE_STATES, AttemptEnd, StopReason, WorkerState


class Record(BaseModel):
    """Base of the records."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Status(Record):
    """A heartbeat: who works on the run, and how far it is."""

    state: WorkerState
    host: str
    process: int
    time: float
    """Seconds since 1970 on the owner's clock."""
    token: str = ""
    """Drawn anew by every worker: who owns the run is who wrote last."""
    beat: int = 0
    """Counts this worker's heartbeats; a reader with another clock sees by it that the owner lives."""
    interval: float = 1.0
    """Seconds between heartbeats."""
    job: str | None = None
    """The Slurm job, `123` or `123_4`."""
    device: str = ""
    """Name of the GPU, or `cpu`."""
    epoch: int = 0
    epochs: int = 0
    step: int = 0
    """Steps taken over the whole training."""
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
        """Whether its writer meant to continue."""
        return self.state in ACTIVE_STATES


def slurm_job(environ: Mapping[str, str] = os.environ) -> str | None:
    """The Slurm job of this process: `123`, or `123_4` for a task of an array."""
    array, task = environ.get("SLURM_ARRAY_JOB_ID"), environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else environ.get("SLURM_JOB_ID")


class Origin(Record):
    """The table and row that asked for a run first, or the study and its trial."""

    table: str
    row: str
    profile: str
    study: str | None = None
    trial: int | None = None


class Stopped(Record):
    """A request to end the run before its end."""

    reason: StopReason
    detail: str
    """One line: by whom or why."""
    time: float
    host: str

    @classmethod
    def now(cls, reason: StopReason, detail: str) -> Self:
        """The record of the calling process, now."""
        return cls(reason=reason, detail=detail, time=time.time(), host=socket.gethostname())


class Attempt(Record):
    """A line of the history of a run's workers: one started, or ended in order."""

    event: Literal["start", "end"]
    time: float
    host: str
    process: int
    job: str | None = None
    progress: int | None = None
    """What tells the run's checkpoint from others; None while there is none."""
    state: AttemptEnd | None = None
    """How it ended."""
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
        """The line of the calling process, now."""
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


def appended(path: Path, attempt: Attempt) -> bytes:
    """The content of a history of workers with one more line."""
    try:
        earlier = path.read_bytes()
    except FileNotFoundError:
        earlier = b""
    # Half a line of a killed process would spoil the next.
    return earlier[: earlier.rfind(b"\n") + 1] + attempt.model_dump_json(exclude_none=True).encode() + b"\n"


class Failure(Record):
    """Why a run failed."""

    cause: str
    """One line."""
    traceback: str
    time: float
    host: str


class Selected(Record):
    """Test metrics of the epoch that a rule chose."""

    epoch: int
    metrics: MetricValues
    validation: MetricValues | None = None


class Result(Record):
    """What a finished run measured."""

    run: str
    selected: Mapping[str, Selected | None]
    """By selection rule; None where the rule has nothing to select by."""
    epochs: int
    images: int
    """Training images."""
    parameters: int
    """Parameters of the network (the mapping network is not part of it)."""
    seconds: float
    """Training and evaluation, summed over all processes that worked on the run."""
    device: str
    history: Sequence[dict[str, object]] = ()
    """Every epoch's losses, test and validation metrics."""
