"""The JSON records of a run directory."""

import os
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

Metrics = dict[str, float | None]


class Record(BaseModel):
    """Base of the records."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Status(Record):
    """A heartbeat: who works on the run, and how far it is."""

    state: Literal["starting", "training", "preempted", "failed", "done"]
    host: str
    process: int
    time: float
    """Seconds since 1970 on the owner's clock."""
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
    metrics: Metrics = {}
    """Test metrics of the last epoch."""

    @classmethod
    def of_this_process(cls, state: Literal["starting", "training", "preempted", "failed", "done"]) -> "Status":
        """A heartbeat of the calling process, now."""
        return cls(state=state, host=socket.gethostname(), process=os.getpid(), time=time.time())


class Origin(Record):
    """The table and row that asked for a run first."""

    table: str
    row: str
    profile: str


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
    metrics: Metrics
    validation: Metrics | None = None


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
