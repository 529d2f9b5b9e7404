"""Reads the directory of a run, without needing write permission."""

import errno
import socket
import time
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from rdc_sweeps.errors import SpecError
from rdc_sweeps.files import is_locked
from rdc_sweeps.runs.paths import RunPaths
from rdc_sweeps.runs.records import Attempt, Failure, Origin, Result, Status, Stopped
from rdc_sweeps.runs.states import RunState
from rdc_sweeps.specs.document import read_document
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.specs.validation import build

AnyRecord = TypeVar("AnyRecord", bound=BaseModel)

SILENCE = 3
"""A worker on another host counts as dead after this many missed heartbeats."""

CLOCK_LAG, CLOCK_LEAD = 5.0, 600.0
"""Seconds by which a disk's clock may lag or lead this host's for a heartbeat to count as recent."""


class RunDirectory(RunPaths):
    """The directory of one run, for reading. Only an `OwnedRun` writes results there (see `runs.owned`)."""

    def state(self) -> RunState:
        """The state of the run.

        Done if it has a result, running if a process owns it, failed if it has a failure, cancelled or pruned if it was
        stopped on purpose, preempted if a worker has started it, else planned.
        """
        # One disk access for most runs of a large sweep, two for the others.
        if (self.folder / "result.json").exists():
            return "done"
        try:
            present = {path.name for path in self.folder.iterdir()}
        except (FileNotFoundError, NotADirectoryError):
            return "planned"
        if "lock" in present and self.is_owned():
            return "running"
        if "failure.json" in present:
            return "failed"
        stopped = self.stopped() if "stopped.json" in present else None
        if stopped is not None:
            return stopped.reason
        return "preempted" if "status.json" in present else "planned"

    def is_owned(self) -> bool:
        """Whether a process owns the run: it holds the lock, or sends heartbeats from another host."""
        return is_locked(self.lock) or self.beats_elsewhere()

    def beats_elsewhere(self) -> bool:
        """Whether a worker on another host sent a heartbeat recently; some disks do not share locks between hosts.

        This compares clocks, with a tolerance, so only displayed states depend on it: acquiring a run waits for the
        heartbeat to change instead (see `runs.owned`).
        """
        status = self.status()
        if status is None or not status.live or status.host == socket.gethostname():
            return False
        try:
            age = time.time() - (self.folder / "status.json").stat().st_mtime
        except FileNotFoundError:
            return False
        return -CLOCK_LEAD < age < SILENCE * status.interval + CLOCK_LAG

    def owner(self) -> str:
        """The owner according to its heartbeat, for messages."""
        status = self.status()
        return f"another process ({status.host}, process {status.process})" if status else "another process"

    def read_spec(self) -> RunSpec:
        """The resolved spec.

        Raises:
            SpecError: The spec is missing or invalid.
        """
        if not self.spec.exists():
            raise SpecError([f"{self.folder}: no such run (there is no spec.yaml)"])
        return build(RunSpec, read_document(self.spec))

    def origin(self) -> Origin | None:
        """The table or study that first requested the run."""
        return self._read("origin.json", Origin)

    def status(self) -> Status | None:
        """The last heartbeat."""
        return self._read("status.json", Status)

    def result(self) -> Result | None:
        """The result of a done run."""
        return self._read("result.json", Result)

    def failure(self) -> Failure | None:
        """Why the run failed."""
        return self._read("failure.json", Failure)

    def stopped(self) -> Stopped | None:
        """Why the run was stopped on purpose, and by whom."""
        return self._read("stopped.json", Stopped)

    def attempts(self) -> list[Attempt]:
        """The history of the run's workers, oldest first."""
        try:
            lines = (self.folder / "attempts.jsonl").read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return []
        # A killed process may have left an incomplete line.
        return [Attempt.model_validate_json(line) for line in lines if line.endswith(b"\n")]

    def progress(self) -> int | None:
        """A number that identifies the current checkpoint; None without a checkpoint."""
        try:
            return self.checkpoint.stat().st_mtime_ns
        except FileNotFoundError:
            return None

    def deaths(self) -> int:
        """How many workers in a row died, or hit an error that is not the run's fault, since the last checkpoint."""
        progress, count = self.progress(), 0
        for attempt in self.attempts():
            if attempt.event == "start":
                count = count + 1 if attempt.progress == progress else 0
            elif attempt.state != "retry":
                count = 0
        return count

    def _read(self, name: str, model: type[AnyRecord]) -> AnyRecord | None:
        path: Path = self.folder / name
        try:
            return model.model_validate_json(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
            # Replaced between opening and reading, on NFS.
            return self._read(name, model)
        except ValidationError as error:
            raise SpecError([f"{path}: is damaged: {error.error_count()} problems; use --rerun"]) from error
