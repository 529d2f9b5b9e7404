"""A run's directory: what is in it, what state that means, and who may write there.

runs/<id>/spec.yaml          the resolved spec
          origin.json        the table and row that asked for it first
          environment.json   packages, device, host, commit
          events.jsonl       the event log: a line per step and per epoch
          panels/            pictures of predictions after each epoch
          checkpoints/       what a resume needs, and the trained weights
          status.json        heartbeat: owner, time, progress
          attempts.jsonl     a line whenever a worker started or ended in order
          lock               held by the owner's process
          writers/<n>/       unfinished files of the n-th owner, who can finish none once it is removed
          stopped.json       somebody cancelled or pruned it
          failure.json       why it failed, with the traceback
          result.json        written last: a run without it is not done
          log.txt, wandb/
"""

import errno
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from rdc_sweeps.errors import LostRunError, RunLockedError, SpecError
from rdc_sweeps.files import json_bytes, try_lock, unlock, write_atomically, write_json
from rdc_sweeps.runs.records import Attempt, Failure, Origin, Result, Status, Stopped
from rdc_sweeps.specs.document import read_document
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.specs.validation import build

# Safe, too, and written in C; not every PyYAML has it.
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

AnyRecord = TypeVar("AnyRecord", bound=BaseModel)
State = Literal["planned", "running", "preempted", "cancelled", "pruned", "failed", "done"]

SILENCE = 3
"""So many missing heartbeats on another host mean that their worker is gone."""

GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE})
"""What a disk says of a file whose folder somebody removed."""


class RunDirectory:
    """The directory of one run under the runs folder; nothing is created before it is needed.

    Attributes:
        claim: Set while the run is owned through this object (see `runs.ownership`): the folder in which everything
            that it writes is prepared.
    """

    def __init__(self, root: Path, run_id: str) -> None:
        self.root, self.id = root, run_id
        self.folder = root / run_id
        self.claim: Path | None = None

    # Properties, for to make paths of ten thousand runs that nobody asks for takes longer than all else in planning.

    @property
    def spec(self) -> Path:
        """The resolved spec."""
        return self.folder / "spec.yaml"

    @property
    def environment(self) -> Path:
        """What the run was made with."""
        return self.folder / "environment.json"

    @property
    def events(self) -> Path:
        """The event log (see `runs.events`)."""
        return self.folder / "events.jsonl"

    @property
    def checkpoint(self) -> Path:
        """The last checkpoint."""
        return self.folder / "checkpoints" / "last.pt"

    @property
    def wandb(self) -> Path:
        """What W&B and the uploader keep of the run."""
        return self.folder / "wandb"

    @property
    def log(self) -> Path:
        """What the workers said."""
        return self.folder / "log.txt"

    def state(self) -> State:
        """Done if there is a result, running if somebody works on it, failed if there is a failure, cancelled or
        pruned if it was stopped on purpose, preempted if it was begun, else planned.
        """
        # One question to the disk for most runs of a large sweep, two for the others.
        if (self.folder / "result.json").exists():
            return "done"
        try:
            present = {path.name for path in self.folder.iterdir()}
        except (FileNotFoundError, NotADirectoryError):
            return "planned"
        if "lock" in present and self._is_worked_on():
            return "running"
        if "failure.json" in present:
            return "failed"
        stopped = self.stopped() if "stopped.json" in present else None
        if stopped is not None:
            return stopped.reason
        return "preempted" if "status.json" in present else "planned"

    def _is_worked_on(self) -> bool:
        try:
            with self.lock():
                return self._beats_elsewhere()
        except RunLockedError:
            return True

    def _beats_elsewhere(self) -> bool:
        """Whether a worker on another host beat lately by the clock of the disk, whose locks may end at the host."""
        status = self.status()
        if status is None or not status.live or status.host == socket.gethostname():
            return False
        beaten = (self.folder / "status.json").stat().st_mtime
        return _disk_time(self.folder) - beaten < SILENCE * status.interval

    @contextmanager
    def lock(self, patience: float = 0.0) -> Iterator[None]:
        """Hold the run exclusively. The kernel releases the lock when its process ends, however it ends.

        Args:
            patience: Seconds to wait for another holder.

        Raises:
            RunLockedError: Another process holds it.
        """
        deadline = time.monotonic() + patience
        while (descriptor := self._try_lock()) is None:
            if time.monotonic() >= deadline:
                raise RunLockedError(f"run {self.id}: {self._owner()} is working on it")
            time.sleep(0.1)
        try:
            yield
        finally:
            unlock(descriptor)

    def _try_lock(self) -> int | None:
        try:
            return try_lock(self.folder / "lock")
        except FileNotFoundError:
            self.folder.mkdir(parents=True, exist_ok=True)
            return self._try_lock()

    def _owner(self) -> str:
        status = self.status()
        return f"another process ({status.host}, process {status.process})" if status else "another process"

    def write_spec(self, spec: RunSpec) -> None:
        """Record the resolved spec; the same run always has the same."""
        encoded = yaml.dump(spec.model_dump(mode="json"), Dumper=_Dumper, sort_keys=False).encode()
        try:
            if self.spec.read_bytes() == encoded:
                return
        except FileNotFoundError:
            pass  # the usual case
        write_atomically(self.spec, lambda file: file.write(encoded))

    def write_origin(self, origin: Origin) -> None:
        """Record which table asks for the run; the first to ask stays."""
        if self.origin() is None:
            write_json(self.folder / "origin.json", origin.model_dump(mode="json"))

    def origin(self) -> Origin | None:
        """Which table asked for the run first."""
        return self._read("origin.json", Origin)

    def read_spec(self) -> RunSpec:
        """The resolved spec.

        Raises:
            SpecError: There is none, or it is damaged.
        """
        if not self.spec.exists():
            raise SpecError([f"{self.folder}: no such run (there is no spec.yaml)"])
        return build(RunSpec, read_document(self.spec))

    def status(self) -> Status | None:
        """The last heartbeat."""
        return self._read("status.json", Status)

    def result(self) -> Result | None:
        """The result of a done run."""
        return self._read("result.json", Result)

    def failure(self) -> Failure | None:
        """Why the run failed."""
        return self._read("failure.json", Failure)

    def _read(self, name: str, model: type[AnyRecord]) -> AnyRecord | None:
        try:
            return model.model_validate_json((self.folder / name).read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
            # Replaced between opening and reading, on NFS.
            return self._read(name, model)
        except ValidationError as error:
            raise SpecError(
                [f"{self.folder / name}: is damaged: {error.error_count()} problems; use --rerun"]
            ) from error

    def stopped(self) -> Stopped | None:
        """Who ended the run on purpose, and why."""
        return self._read("stopped.json", Stopped)

    def attempts(self) -> list[Attempt]:
        """The history of the run's workers, the oldest first."""
        try:
            lines = (self.folder / "attempts.jsonl").read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return []
        # A killed process may have left half a line.
        return [Attempt.model_validate_json(line) for line in lines if line.endswith(b"\n")]

    def progress(self) -> int | None:
        """What tells the checkpoint from earlier ones; None while there is none."""
        try:
            return self.checkpoint.stat().st_mtime_ns
        except FileNotFoundError:
            return None

    def deaths(self) -> int:
        """How many workers in a row died, or met an error that is not the run's fault, since the last checkpoint."""
        progress, count = self.progress(), 0
        for attempt in self.attempts():
            if attempt.event == "start":
                count = count + 1 if attempt.progress == progress else 0
            elif attempt.state != "retry":
                count = 0
        return count

    def write_attempt(self, attempt: Attempt) -> None:
        """Add a line to the history of workers."""
        line = attempt.model_dump_json(exclude_none=True) + "\n"
        try:
            earlier = (self.folder / "attempts.jsonl").read_bytes()
        except FileNotFoundError:
            earlier = b""
        # Half a line of a killed process would spoil the next.
        earlier = earlier[: earlier.rfind(b"\n") + 1]
        self.write(self.folder / "attempts.jsonl", lambda file: file.write(earlier + line.encode()))

    def write(self, path: Path, write: Callable[[IO[bytes]], object], *, durable: bool = True) -> None:
        """Replace a file of the run atomically (see `files.write_atomically`).

        Raises:
            LostRunError: The run was owned through this object, and another worker has taken it over. The disk itself
                refuses then: the temporary file is in a folder that the new owner has removed, however much later
                this process goes on.
        """
        try:
            write_atomically(path, write, durable=durable, staging=self.claim)
        except OSError as error:
            if self.claim is None or error.errno not in GONE:
                raise
            raise LostRunError(f"run {self.id}: was taken over by another worker, or set aside") from error

    def _write_json(self, name: str, data: Any, *, durable: bool = True) -> None:
        encoded = json_bytes(data)
        self.write(self.folder / name, lambda file: file.write(encoded), durable=durable)

    def write_environment(self, environment: dict[str, Any]) -> None:
        """Record what the run is made with."""
        self._write_json("environment.json", environment)

    def write_status(self, status: Status) -> None:
        """Replace the heartbeat."""
        # Not worth a flush of the disk: it is replaced at once, and void after a crash.
        self._write_json("status.json", status.model_dump(mode="json"), durable=False)

    def write_stopped(self, stopped: Stopped) -> None:
        """End the run on purpose: its worker stops at the next heartbeat, and none starts."""
        write_json(self.folder / "stopped.json", stopped.model_dump(mode="json"))

    def forget_stopped(self) -> None:
        """Let a stopped run go on from its checkpoint."""
        (self.folder / "stopped.json").unlink(missing_ok=True)

    def write_failure(self, failure: Failure) -> None:
        """Record why the run failed."""
        self._write_json("failure.json", failure.model_dump(mode="json"))

    def write_result(self, result: Result) -> None:
        """Write the result: from now on the run is done."""
        self._write_json("result.json", result.model_dump(mode="json"))

    def forget_failure(self) -> None:
        """Let a failed run be tried again; it goes on from its checkpoint, and earlier deaths do not count."""
        if (self.folder / "failure.json").exists():
            self.write_attempt(Attempt.now("end", state="forgotten"))
            (self.folder / "failure.json").unlink(missing_ok=True)

    def set_aside(self) -> Path | None:
        """Move the directory away, so that the run starts anew; nothing is deleted.

        Returns:
            Where it is now; None if there was nothing.

        Raises:
            RunLockedError: Somebody is working on it.
        """
        if not self.folder.is_dir():
            return None
        with self.lock():
            if self._beats_elsewhere():
                raise RunLockedError(f"run {self.id}: {self._owner()} is working on it")
            target = self.root / "replaced" / f"{self.id}-{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 10**9:09d}"
            target.parent.mkdir(exist_ok=True)
            shutil.move(self.folder, target)
        return target


def _disk_time(folder: Path) -> float:
    """What the disk's own clock says, in seconds since 1970; hosts may have other clocks."""
    clock = folder / f".clock.{os.getpid()}"
    clock.write_bytes(b"")
    try:
        return clock.stat().st_mtime
    finally:
        clock.unlink(missing_ok=True)
