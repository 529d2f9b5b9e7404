"""Reads the directory of a run, without needing write permission."""

import errno
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from rdc_sweeps.data.provenance import DataRecord
from rdc_sweeps.errors import DamagedError, SpecError, UsageError
from rdc_sweeps.files import is_locked, read_file
from rdc_sweeps.runs.paths import RunPaths
from rdc_sweeps.runs.records import (
    Attempt,
    Environment,
    EnvironmentDetails,
    Failure,
    Origin,
    Result,
    Status,
    Stopped,
    read_attempts,
)
from rdc_sweeps.runs.states import RunState
from rdc_sweeps.seals import RECORD, YAML, has_header, unseal_record, without_header
from rdc_sweeps.specs.document import read_document
from rdc_sweeps.specs.run import RunSpec, run_id
from rdc_sweeps.specs.validation import build

AnyRecord = TypeVar("AnyRecord", bound=BaseModel)

SILENCE = 3
"""A worker on another host counts as dead after this many missed heartbeats."""

SPEC_REMEDY = "`rdc-sweep run` with the row's table writes it again"

CLOCK_LAG, CLOCK_LEAD = 5.0, 600.0
"""Seconds by which a disk's clock may lag or lead this host's for a heartbeat to count as recent."""


OpenRun = Callable[[Path, str], "RunDirectory"]
"""Opens the directory of a run, by the runs folder and the run's id, for reading."""


class RunDirectory(RunPaths):
    """The directory of one run, for reading. Only an `OwnedRun` writes results there (see `runs.owned`)."""

    def state(self) -> RunState:
        """The state of the run.

        Done if it has a result, running if a process owns it, damaged if one of its records is, failed if it has a
        failure, cancelled or pruned if it was stopped on purpose, preempted if a worker has started it, else planned.
        """
        try:
            return self._state()
        except DamagedError:
            return "damaged"

    def _state(self) -> RunState:
        if self._has_result():
            return "done"
        try:
            present = {path.name for path in self.folder.iterdir()}
        except (FileNotFoundError, NotADirectoryError):
            return "planned"
        if "lock" in present and self.is_owned():
            return "running"
        # Each record that is there must be whole.
        if "attempts.jsonl" in present:
            self.attempts()
        if "data.json" in present:
            self.data()
        status = self.status() if "status.json" in present else None
        stopped = self.stopped() if "stopped.json" in present else None
        if "failure.json" in present and self.failure() is not None:
            return "failed"
        if stopped is not None:
            return stopped.reason
        return "planned" if status is None else "preempted"

    def _has_result(self) -> bool:
        # One file is read for most runs of a large sweep, and its history need not be parsed if its checksum matches.
        text = self._text("result.json")
        return text is not None and (text.sealed or self.result() is not None)

    def damaged(self) -> dict[str, str]:
        """The damaged records: what is wrong with each, by file name."""
        records: dict[str, Callable[[], object]] = {
            "result.json": self.result,
            "status.json": self.status,
            "failure.json": self.failure,
            "stopped.json": self.stopped,
            "attempts.jsonl": self.attempts,
            "origin.json": self.origin,
            "environment.json": self.recorded_environment,
            "data.json": self.data,
        }
        found = {}
        for name, read in records.items():
            try:
                read()
            except DamagedError as error:
                found[name] = str(error)
        return found

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
        status = self.last_status()
        return f"another process ({status.host}, process {status.process})" if status else "another process"

    def read_spec(self) -> RunSpec:
        """The resolved spec.

        Raises:
            SpecError: The spec is missing, invalid, or another run's.
        """
        if not self.spec.exists():
            raise SpecError([f"{self.folder}: no such run (there is no spec.yaml)"])
        spec = build(RunSpec, read_document(self.spec))
        text = read_file(self.spec)
        try:
            if has_header(text, YAML):
                without_header(text, YAML, self.id)
        except ValueError as error:
            raise SpecError([f"{self.spec}: is damaged ({error}); {SPEC_REMEDY}"]) from error
        if (found := run_id(spec)) != self.id:
            raise SpecError(
                [
                    f"{self.spec}: is not the spec of this run, but of run {found}: it was changed, or was planned by "
                    f"another version of rdc-sweep, in which it means another training; {SPEC_REMEDY}"
                ]
            )
        return spec

    def origin(self) -> Origin | None:
        """The table or study that first requested the run."""
        return self._read("origin.json", Origin)

    def data(self) -> DataRecord | None:
        """The data that the run was trained on; None if an earlier version trained it, or nobody has yet."""
        return self._read("data.json", DataRecord)

    def status(self) -> Status | None:
        """The last heartbeat."""
        return self._read("status.json", Status)

    def last_status(self) -> Status | None:
        """The last heartbeat, for messages and estimates: None also if it is damaged."""
        try:
            return self.status()
        except DamagedError:
            return None

    def result(self) -> Result | None:
        """The result of a done run."""
        return self._read("result.json", Result)

    def failure(self) -> Failure | None:
        """Why the run failed."""
        return self._read("failure.json", Failure)

    def stopped(self) -> Stopped | None:
        """Why the run was stopped on purpose, and by whom."""
        return self._read("stopped.json", Stopped)

    def recorded_environment(self) -> Environment | None:
        """What is read back of the software and hardware that train the run."""
        return self._read("environment.json", Environment)

    def environment_details(self) -> EnvironmentDetails | None:
        """The software and hardware that train the run, for display."""
        return self._read("environment.json", EnvironmentDetails)

    def attempts(self) -> list[Attempt]:
        """The history of the run's workers, oldest first."""
        path = self.folder / "attempts.jsonl"
        try:
            return read_attempts(path, self.id)
        except ValueError as error:
            raise _damaged(path, error) from error

    def panels(self) -> dict[str, Path]:
        """The pictures after the last epoch that has any, by title (see `Recorder.evaluated`)."""
        try:
            paths = sorted((self.folder / "panels").iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return {}
        found = [(match, path) for path in paths if (match := re.fullmatch(r"(\d+)-\d+-(.+)\.png", path.name))]
        last = max((match[1] for match, _ in found), default="")
        return {match[2].replace("-", " "): path for match, path in found if match[1] == last}

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
        text = self._text(name)
        if text is None:
            return None
        try:
            record = model.model_validate_json(text.json)
        except ValidationError as error:
            raise _damaged(self.folder / name, f"{error.error_count()} problems") from error
        if isinstance(record, Result) and record.run != self.id:
            raise _damaged(self.folder / name, f"it is the result of run {record.run}")
        return record

    def _text(self, name: str) -> "_Text | None":
        """The text of a record, with its checksum verified; None if there is none."""
        path = self.folder / name
        try:
            text = read_file(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
            # Replaced between opening and reading, on NFS.
            return self._text(name)
        try:
            return (
                _Text(unseal_record(text, self.id), sealed=True)
                if has_header(text, RECORD)
                else _Text(text, sealed=False)
            )
        except ValueError as error:
            raise _damaged(path, f"{error}, or it is another run's") from error


def find_run(root: Path, prefix: str) -> RunDirectory:
    """The run whose id starts with `prefix`.

    Raises:
        UsageError: There is none, or more than one.
    """
    if prefix.isalnum():
        found = sorted(folder.name for folder in root.glob(f"{prefix}*") if (folder / "spec.yaml").exists())
        if len(found) == 1:
            return RunDirectory(root, found[0])
        if found:
            raise UsageError(f"{prefix!r} is the beginning of {', '.join(found)}")
    raise UsageError(f"no run {prefix!r} in {root}")


@dataclass(frozen=True)
class _Text:
    json: bytes
    sealed: bool
    """Whether it had a checksum."""


def _damaged(path: Path, problem: object) -> DamagedError:
    return DamagedError(
        f"{path}: is damaged ({problem}); `rdc-sweep run --retry-failed` moves it aside and continues from the "
        "checkpoint"
    )
