"""The records of submissions on the shared disk.

runs/submissions/lock                    held during a submission
                 <id>/submission.json    who submitted what, and the job id
                      settings.json      of the workers
                      runs.txt           a run id per line; task 0 of the array trains the first
                      job.sbatch         the job file
                      log/               output of the jobs
                      prepared           of a preparation: it has succeeded
"""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from rdc_sweeps.errors import SpecError, UnavailableError
from rdc_sweeps.files import try_lock, write_json
from rdc_sweeps.runs.records import Record

LOCK_SECONDS = 600.0


class Submission(Record):
    """One call of `sbatch`."""

    id: str
    kind: Literal["runs", "preparation", "command"]
    time: float
    """Seconds since 1970."""
    host: str
    user: str
    table: str
    node: str
    """Name of the node profile."""
    runs: int
    """Number of runs: the tasks of the array."""
    after: str | None = None
    """Id of the submission that prepares the inputs of this one."""
    job: str | None = None
    """Slurm's job id; None while it is unknown."""
    ended: bool = False
    """Whether Slurm no longer has a job of this submission."""

    @property
    def name(self) -> str:
        """Name of the job, by which it is found in Slurm."""
        return f"rdc-{self.id}"


def new_id() -> str:
    """An id that sorts by time."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(3)}"


class SubmissionDirectory:
    """The directory of one submission."""

    def __init__(self, root: Path, submission_id: str) -> None:
        self.id = submission_id
        self.folder = root / "submissions" / submission_id
        self.record = self.folder / "submission.json"
        self.settings = self.folder / "settings.json"
        self.runs = self.folder / "runs.txt"
        self.batch = self.folder / "job.sbatch"
        self.log = self.folder / "log"
        self.prepared = self.folder / "prepared"

    def read(self) -> Submission:
        """The record.

        Raises:
            SpecError: It is damaged.
        """
        try:
            return Submission.model_validate_json(self.record.read_bytes())
        except ValidationError as error:
            raise SpecError(
                [f"{self.record}: is damaged; if `squeue --name=rdc-{self.id}` is empty, delete {self.folder}"]
            ) from error

    def write(self, submission: Submission) -> None:
        """Replace the record."""
        write_json(self.record, submission.model_dump(mode="json"))

    def run_ids(self) -> list[str]:
        """The ids of the runs, in the order of the array's tasks."""
        return self.runs.read_text(encoding="utf-8").split()


def submissions(root: Path) -> list[SubmissionDirectory]:
    """All submissions of a runs folder, oldest first; folders without a record are ignored."""
    return [
        SubmissionDirectory(root, record.parent.name)
        for record in sorted((root / "submissions").glob("*/submission.json"))
    ]


@contextmanager
def submission_lock(root: Path, patience: float = LOCK_SECONDS) -> Iterator[int]:
    """Hold the lock for submitting runs of a runs folder.

    The kernel releases it when all processes with the yielded descriptor have ended: an `sbatch` that inherits it
    keeps the lock even if the process that called it is killed meanwhile.

    Yields:
        Descriptor of the lock file.

    Raises:
        UnavailableError: Another process holds it for too long, or the file system has no locks.
    """
    path = root / "submissions" / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + patience
    while (descriptor := _try_lock(path)) is None:
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"{path}: another rdc-sweep has been submitting for {patience:.0f} s; look for it on the "
                "login nodes and end it, or try again later"
            )
        time.sleep(0.1)
    try:
        yield descriptor
    finally:
        # Only closed, not unlocked: an sbatch that is still running keeps the lock.
        os.close(descriptor)


def _try_lock(path: Path) -> int | None:
    try:
        return try_lock(path)
    except OSError as error:
        raise UnavailableError(f"{path}: cannot be locked ({error}); put root on another disk") from error
