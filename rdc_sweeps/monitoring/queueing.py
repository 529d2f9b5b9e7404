"""Runs in Slurm's queue. Slurm is queried only where something was submitted, and not too often."""

import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from rdc_sweeps.dispatch.slurm.queue import Job, LostJob, lost_jobs, queued
from rdc_sweeps.errors import UnavailableError
from rdc_sweeps.monitoring.groups import RunGroup
from rdc_sweeps.monitoring.views import RunView, Waiting
from rdc_sweeps.runs.states import STARTABLE_STATES

RENEWAL_SECONDS = 10.0
"""Seconds for which an answer of Slurm is reused, because its controller serves many users."""


def jobs_of(root: Path) -> dict[str, Job]:
    """Slurm's jobs by run id.

    Raises:
        UnavailableError: Slurm does not answer.
    """
    return queued(root) if (root / "submissions").is_dir() else {}


class SlurmQueue:
    """The queue, read again when the last answer is too old.

    Attributes:
        problem: Why the last request to Slurm failed, if it did; the previous answer is then still used.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.problem: str | None = None
        self._asked = float("-inf")
        self._waiting: dict[str, Waiting] = {}
        self._lost: dict[str, LostJob] = {}
        self._inspected: set[str] = set()

    def read(self) -> dict[str, Waiting]:
        """The waiting runs by id."""
        if time.monotonic() - self._asked > RENEWAL_SECONDS:
            try:
                jobs, self.problem = jobs_of(self.root), None
                self._waiting = {run: Waiting(job.job_id, _reason(job)) for run, job in jobs.items()}
            except UnavailableError as error:
                self.problem = str(error)
            self._asked = time.monotonic()
            self._inspected = set()
        return self._waiting

    def explained(self, groups: Iterable[RunGroup]) -> list[RunGroup]:
        """The groups, with the reason why submitted runs make no progress: how their jobs ended."""
        groups = list(groups)
        if self.problem is not None or not (self.root / "submissions").is_dir():
            return groups
        left = {view.subject.run for group in groups for view in group.views if view.state in STARTABLE_STATES}
        if left - self._inspected:
            self._lost, self._inspected = lost_jobs(self.root, left), left
        return [replace(group, views=[self._explained(view) for view in group.views]) for group in groups]

    def _explained(self, view: RunView) -> RunView:
        gone = self._lost.get(view.subject.run)
        if gone is None or view.state not in STARTABLE_STATES:
            return view
        how = f" ({gone.state})" if gone.state else ""
        return replace(view, cause=f"Slurm job {gone.job_id or gone.submission} has ended{how}; `run` submits it again")


def _reason(job: Job) -> str:
    """Slurm's reason for a pending job; for others the state."""
    return job.reason if job.state == "PENDING" else job.state.lower()
