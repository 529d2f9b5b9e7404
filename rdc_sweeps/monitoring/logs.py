"""The output of runs: of their workers or, before one has started, of their Slurm jobs."""

import os
from pathlib import Path

from rdc_sweeps.dispatch.slurm.submissions import submissions
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.states import TERMINAL_STATES

BLOCK = 2**16


class GrowingFile:
    """A file that other processes append to; each read continues where the last one ended."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._identity: tuple[int, int] | None = None

    def skip_to_last(self, lines: int) -> None:
        """Start with the last lines instead of the first."""
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                # A newline at the end of the file closes the last line.
                found, start, tail = 0, size, b""
                while start > 0 and found <= lines:
                    start = max(0, start - BLOCK)
                    file.seek(start)
                    tail = file.read(BLOCK) + tail if start else file.read(size)
                    found = tail.rstrip(b"\n").count(b"\n") + 1
        except FileNotFoundError:
            return
        kept = tail.splitlines(keepends=True)[-lines:] if lines else []
        self._offset = size - sum(map(len, kept))

    def news(self) -> bytes:
        """The bytes added since the last read; all bytes if the file was replaced or truncated."""
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                identity = (status.st_dev, status.st_ino)
                if status.st_size < self._offset or self._identity not in {None, identity}:
                    self._offset = 0
                self._identity = identity
                file.seek(self._offset)
                added = file.read()
        except FileNotFoundError:
            return b""
        self._offset += len(added)
        return added


def job_log(root: Path, run: str) -> Path | None:
    """The log of the last Slurm job that was submitted for a run; None if there was none, or it has not started."""
    for directory in reversed(submissions(root)):
        submission = directory.read()
        run_ids = directory.run_ids() if submission.kind == "runs" else []
        if run not in run_ids or submission.job is None:
            continue
        # A requeued job appends to the same file.
        logs = sorted(directory.log.glob(f"{submission.job}_{run_ids.index(run)}_*"), key=lambda path: path.name)
        return logs[0] if logs else None
    return None


class RunOutput:
    """The output of a run: its workers' log; before one has started, the log of its Slurm job.

    Args:
        directory: The run.
        lines: Number of last lines to start with; None for all lines.
    """

    def __init__(self, directory: RunDirectory, lines: int | None = None) -> None:
        self.directory = directory
        self.job_log = job_log(directory.root, directory.id)
        """Log of the run's Slurm job at the time of the last read, if it has one."""
        self.ended = False
        """Whether the run had ended before the last read, which therefore has all of its output."""
        path = directory.log
        self._file = GrowingFile(self.job_log if self.job_log is not None and not path.exists() else path)
        if lines is not None:
            self._file.skip_to_last(lines)

    @property
    def is_of_job(self) -> bool:
        """Whether the log of the Slurm job is read."""
        return self._file.path == self.job_log

    @property
    def exists(self) -> bool:
        """Whether there is anything to read."""
        return self._file.path.exists()

    def news(self) -> bytes:
        """The bytes added since the last read."""
        # Checked first, so that everything printed until then is read.
        self.ended = self.directory.state() in TERMINAL_STATES
        log = self.directory.log
        if self._file.path != log and log.exists():
            self._file = GrowingFile(log)
        elif not self.exists and (found := job_log(self.directory.root, self.directory.id)) is not None:
            self.job_log, self._file = found, GrowingFile(found)
        return self._file.news()
