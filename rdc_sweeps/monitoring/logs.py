"""What a run's workers have printed, and where there are none yet, what its Slurm job has."""

import os
from pathlib import Path

from rdc_sweeps.dispatch.slurm.submissions import submissions

BLOCK = 2**16


class GrowingFile:
    """A file that others add to, read on from where the last look ended."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._identity: tuple[int, int] | None = None

    def skip_to_last(self, lines: int) -> None:
        """Begin with the last lines instead of the first."""
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                # A newline at the very end closes the last line.
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
        """What was added; all of it if the file was replaced or cut."""
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
    """The log of the last Slurm job that was submitted for a run; None if there was none, or it has not begun."""
    for directory in reversed(submissions(root)):
        submission = directory.read()
        run_ids = directory.run_ids() if submission.kind == "runs" else []
        if run not in run_ids or submission.job is None:
            continue
        # A job that was queued again adds to the same file.
        logs = sorted(directory.log.glob(f"{submission.job}_{run_ids.index(run)}_*"), key=lambda path: path.name)
        return logs[0] if logs else None
    return None
