"""Runs that wait in Slurm's queue; Slurm is asked only where something was submitted, and not too often."""

import time
from pathlib import Path

from rdc_sweeps.dispatch.slurm.queue import Job, queued
from rdc_sweeps.errors import UnavailableError
from rdc_sweeps.monitoring.views import Waiting

RENEWAL_SECONDS = 10.0
"""How old an answer of Slurm may be: its controller serves many."""


def jobs_of(root: Path) -> dict[str, Job]:
    """Slurm's jobs by run id.

    Raises:
        UnavailableError: Slurm does not answer.
    """
    return queued(root) if (root / "submissions").is_dir() else {}


class SlurmQueue:
    """The queue, renewed now and then.

    Attributes:
        problem: Why Slurm could not be asked the last time; what it said before still stands then.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.problem: str | None = None
        self._asked = float("-inf")
        self._waiting: dict[str, Waiting] = {}

    def read(self) -> dict[str, Waiting]:
        """By run id."""
        if time.monotonic() - self._asked > RENEWAL_SECONDS:
            try:
                jobs, self.problem = jobs_of(self.root), None
                self._waiting = {run: Waiting(job.job_id, _reason(job)) for run, job in jobs.items()}
            except UnavailableError as error:
                self.problem = str(error)
            self._asked = time.monotonic()
        return self._waiting


def _reason(job: Job) -> str:
    """Slurm's reason for a job that waits; of others, what it does instead."""
    return job.reason if job.state == "PENDING" else job.state.lower()
