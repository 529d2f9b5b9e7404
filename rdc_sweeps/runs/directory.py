"""A run's directory: what is in it, what state that means, and who may write there.

runs/<id>/spec.yaml          the resolved spec
          origin.json        the table and row that asked for it first
          environment.json   packages, device, host, commit
          metrics.jsonl      a line per step and per epoch
          checkpoints/       what a resume needs, and the trained weights
          status.json        heartbeat: owner, time, progress
          failure.json       why it failed, with the traceback
          result.json        written last: a run without it is not done
          log.txt, wandb/
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeVar

import yaml
from filelock import FileLock, Timeout
from pydantic import BaseModel, ValidationError

from rdc_sweeps.errors import RunLockedError, SpecError
from rdc_sweeps.files import write_atomically, write_json
from rdc_sweeps.runs.records import Failure, Origin, Result, Status
from rdc_sweeps.specs.document import read_document
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.specs.validation import build

AnyRecord = TypeVar("AnyRecord", bound=BaseModel)
State = Literal["planned", "running", "preempted", "failed", "done"]


class RunDirectory:
    """The directory of one run under the runs folder; nothing is created before it is needed."""

    def __init__(self, root: Path, run_id: str) -> None:
        self.root, self.id = root, run_id
        self.folder = root / run_id
        self.spec = self.folder / "spec.yaml"
        self.environment = self.folder / "environment.json"
        self.metrics = self.folder / "metrics.jsonl"
        self.checkpoint = self.folder / "checkpoints" / "last.pt"
        self.log = self.folder / "log.txt"

    def state(self) -> State:
        """Done if there is a result, running if somebody holds the lock, failed if there is a failure, preempted if
        it was begun, else planned.
        """
        if not self.folder.is_dir():
            return "planned"
        if (self.folder / "result.json").exists():
            return "done"
        if self._is_locked():
            return "running"
        if (self.folder / "failure.json").exists():
            return "failed"
        return "preempted" if (self.folder / "status.json").exists() else "planned"

    def _is_locked(self) -> bool:
        if not (self.folder / "lock").exists():
            return False
        try:
            with self.lock():
                return False
        except RunLockedError:
            return True

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run exclusively. The kernel releases the lock when its process ends, however it ends.

        Raises:
            RunLockedError: Another process holds it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.folder / "lock", timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            status = self.status()
            owner = f" ({status.host}, process {status.process})" if status else ""
            raise RunLockedError(f"run {self.id}: another process{owner} is working on it") from error
        try:
            yield
        finally:
            lock.release()

    def write_spec(self, spec: RunSpec) -> None:
        """Record the resolved spec; the same run always has the same."""
        text = yaml.safe_dump(spec.model_dump(mode="json"), sort_keys=False)
        write_atomically(self.spec, lambda file: file.write(text.encode()))

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
        except ValidationError as error:
            raise SpecError(
                [f"{self.folder / name}: is damaged: {error.error_count()} problems; use --rerun"]
            ) from error

    def write_status(self, status: Status) -> None:
        """Replace the heartbeat."""
        write_json(self.folder / "status.json", status.model_dump(mode="json"))

    def write_failure(self, failure: Failure) -> None:
        """Record why the run failed."""
        write_json(self.folder / "failure.json", failure.model_dump(mode="json"))

    def write_result(self, result: Result) -> None:
        """Write the result: from now on the run is done."""
        write_json(self.folder / "result.json", result.model_dump(mode="json"))

    def forget_failure(self) -> None:
        """Let a failed run be tried again; it goes on from its checkpoint."""
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
            target = self.root / "replaced" / f"{self.id}-{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 10**9:09d}"
            target.parent.mkdir(exist_ok=True)
            shutil.move(self.folder, target)
        return target
