"""Cancels runs: their workers save a checkpoint and end, and no worker starts them until the next `run`.

The record in the run directory decides. Workers everywhere check it at each heartbeat and before they start; signals
and Slurm only make it faster.
"""

import os
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from rdc_sweeps.dispatch.slurm.queue import Job
from rdc_sweeps.dispatch.slurm.queue import cancel as end_jobs
from rdc_sweeps.errors import UnavailableError
from rdc_sweeps.monitoring.queueing import jobs_of
from rdc_sweeps.monitoring.views import Subject, inspect
from rdc_sweeps.processes.environment import user_name
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Status, Stopped
from rdc_sweeps.runs.requests import request_stop
from rdc_sweeps.runs.states import STARTABLE_STATES, TERMINAL_STATES, ShownState


@dataclass(frozen=True)
class CancelledRun:
    """The actions taken for one run."""

    subject: Subject
    before: ShownState
    done: Sequence[str]
    """Descriptions; empty if there was nothing to cancel."""


@dataclass
class Cancellation:
    """The actions taken for all runs.

    Attributes:
        outcomes: One per run, in the order given.
        problem: Why Slurm could not cancel jobs, if so; their workers will end as soon as they start.
    """

    outcomes: list[CancelledRun] = field(default_factory=list)
    problem: str | None = None


def cancel(subjects: Sequence[Subject], root: Path) -> Cancellation:
    """Cancel every run that has not ended."""
    cancellation = Cancellation()
    jobs: dict[str, Job] = {}
    try:
        jobs = jobs_of(root)
    except UnavailableError as error:
        cancellation.problem = str(error)
    stopped = Stopped.now("cancelled", f"by {user_name()} on {socket.gethostname()}")
    waiting: list[Job] = []
    for subject in subjects:
        directory, job = RunDirectory(root, subject.run), jobs.get(subject.run)
        view = inspect(subject, root, {})
        done: list[str] = []
        if view.state not in TERMINAL_STATES and directory.folder.is_dir():
            request_stop(directory, stopped)
            if view.state == "running":
                signalled = view.status is not None and _signal(view.status)
                done.append("signalled to stop" if signalled else "stops at its next heartbeat")
            elif job is not None:
                done.append(f"Slurm job {job.job_id} ended")
                waiting.append(job)
            else:
                done.append("will not start" if view.state == "planned" else "will not resume")
        before: ShownState = "queued" if job is not None and view.state in STARTABLE_STATES else view.state
        cancellation.outcomes.append(CancelledRun(subject, before, done))
    if waiting:
        try:
            end_jobs(waiting)
        except UnavailableError as error:
            cancellation.problem = str(error)
    return cancellation


def _signal(status: Status) -> bool:
    """Ask a worker on this host to stop now; False if it is elsewhere, has ended or belongs to another user."""
    if status.host != socket.gethostname():
        return False
    try:
        # A process that started after the heartbeat has only reused the process id.
        if psutil.Process(status.process).create_time() > status.time:
            return False
        os.kill(status.process, signal.SIGTERM)
    except (psutil.Error, OSError):
        return False
    return True
