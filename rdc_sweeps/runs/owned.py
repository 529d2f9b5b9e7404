"""Exclusive ownership of a run; only its owner writes its records.

Ownership is decided by a kernel lock and, on disks that do not share locks between hosts, by the heartbeat. The
heartbeat relies on two assumptions: hosts have different names, and a live worker's heartbeat reaches the other hosts
within `directory.SILENCE` intervals. Clocks are not compared: a worker watches, by its own clock, whether the other's
counter changes.

If the second assumption fails (a process suspended for long, an unreachable host), a live owner loses its run and may
not notice for any length of time. It is therefore fenced off by the file system: an owner prepares every file in
`writers/<its number>/` and renames it into place. The next owner removes that folder before it reads anything, so the
renames of the old owner fail from then on. If two workers take over at the same time, `mkdir` of the next number, which
can succeed only once, decides between them.
"""

import errno
import logging
import os
import re
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from rdc_sweeps.data.provenance import DataRecord
from rdc_sweeps.errors import DamagedError, LostRunError, RunLockedError
from rdc_sweeps.files import json_bytes, write_atomically
from rdc_sweeps.runs.directory import SILENCE, RunDirectory
from rdc_sweeps.runs.lock import exclusive
from rdc_sweeps.runs.records import Attempt, Failure, Result, Status, attempts_text
from rdc_sweeps.seals import seal_record

log = logging.getLogger(__name__)

GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE})
"""Error codes for a file whose folder was removed."""

RESERVE, RESERVE_BYTES = "reserve", 2**14
"""A file that an owner can remove to record on a full disk how it ended, and its size."""


class OwnedRun:
    """A run that this process owns: the only way to write its records.

    Attributes:
        directory: The same run, for reading.
    """

    def __init__(self, directory: RunDirectory, staging: Path) -> None:
        self.directory, self._staging = directory, staging

    def write(self, path: Path, write: Callable[[IO[bytes]], object], *, durable: bool = True) -> None:
        """Replace a file of the run atomically (see `files.write_atomically`).

        Raises:
            LostRunError: Another worker has taken over the run. The write then fails however late it comes, because the
                new owner has removed the folder of the temporary file.
        """
        try:
            write_atomically(path, write, durable=durable, staging=self._staging)
        except OSError as error:
            if error.errno not in GONE:
                raise
            raise LostRunError(f"run {self.directory.id}: was taken over by another worker, or moved away") from error

    def discard(self, path: Path) -> None:
        """Remove a file of the run, if it exists.

        Raises:
            LostRunError: Another worker has taken over the run; the file is left to it.
        """
        staged = self._staging / path.name
        try:
            path.replace(staged)
        except FileNotFoundError as error:
            if path.exists():
                raise LostRunError(f"run {self.directory.id}: was taken over by another worker") from error
            return
        staged.unlink()

    def free_reserve(self) -> None:
        """Free the space that is kept for the records of the end; does nothing the second time."""
        (self._staging / RESERVE).unlink(missing_ok=True)

    def write_environment(self, environment: dict[str, Any]) -> None:
        """Record the software and hardware that train the run."""
        self._write_json("environment.json", environment)

    def write_data(self, data: DataRecord) -> None:
        """Record the data that the run is trained on."""
        self._write_json("data.json", data.model_dump(mode="json"))

    def write_status(self, status: Status) -> None:
        """Replace the heartbeat."""
        # Not synced to disk: it is replaced soon, and meaningless after a crash.
        self._write_json("status.json", status.model_dump(mode="json"), durable=False)

    def write_attempt(self, attempt: Attempt) -> None:
        """Add a line to the history of workers."""
        try:
            earlier = self.directory.attempts()
        except DamagedError as error:
            # It was whole when this worker began; the history starts anew.
            log.warning("%s", error)
            earlier = []
        content = attempts_text([*earlier, attempt], self.directory.id)
        self.write(self.directory.folder / "attempts.jsonl", lambda file: file.write(content))

    def write_failure(self, failure: Failure) -> None:
        """Record why the run failed."""
        self._write_json("failure.json", failure.model_dump(mode="json"))

    def write_result(self, result: Result) -> None:
        """Write the result, which makes the run done."""
        self._write_json("result.json", result.model_dump(mode="json"))

    def _write_json(self, name: str, data: Any, *, durable: bool = True) -> None:
        encoded = seal_record(json_bytes(data), self.directory.id)
        self.write(self.directory.folder / name, lambda file: file.write(encoded), durable=durable)


@contextmanager
def acquire(directory: RunDirectory, patience: float = 0.0) -> Iterator[OwnedRun]:
    """Acquire the run: within the context no other process works on it, and earlier owners can no longer write.

    Args:
        directory: The run.
        patience: Seconds to wait for a current owner that may be about to finish.

    Raises:
        RunLockedError: Another process owns the run.
    """
    with exclusive(directory, patience):
        try:
            status = directory.status()
        except DamagedError as error:
            # The heartbeat of an owner that is alive would soon be whole again.
            log.warning("%s", error)
            _await_silence(directory, Status.of_this_process("starting"))
            status = None
        if status is not None and status.live and status.host != socket.gethostname():
            _await_silence(directory, status)
        run = OwnedRun(directory, _claim(directory))
        try:
            yield run
        finally:
            with suppress(OSError):
                run.free_reserve()


def _claim(directory: RunDirectory) -> Path:
    """Become the next owner and fence off earlier ones; the latest number is kept, so no number owns the run twice."""
    writers = directory.folder / "writers"
    writers.mkdir(exist_ok=True)
    earlier = _numbers(writers)
    number = 1 + max(earlier, default=0)
    claim = writers / str(number)
    others = f"run {directory.id}: another worker took it over at the same time"
    try:
        claim.mkdir()
    except FileExistsError as error:
        raise RunLockedError(others) from error
    # Since `earlier` was read, others may have taken this number and the next one, and removed this one again. The
    # latest number is never removed, so it shows here.
    if max(_numbers(writers)) > number:
        _remove(claim)
        raise RunLockedError(others)
    for one in earlier:
        _remove(writers / str(one))
    try:
        # Not zeros, which some disks do not store.
        (claim / RESERVE).write_bytes(os.urandom(RESERVE_BYTES))
    except FileNotFoundError as error:
        raise RunLockedError(others) from error
    return claim


def _numbers(writers: Path) -> list[int]:
    """The numbers of owners that have a folder."""
    return [int(folder.name) for folder in writers.iterdir() if re.fullmatch("[0-9]{1,18}", folder.name)]


def _remove(folder: Path) -> None:
    """Remove a folder even while its owner may be writing to it."""
    if not folder.is_dir():
        folder.unlink(missing_ok=True)
        return
    for _ in range(100):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
    shutil.rmtree(folder)


def _await_silence(directory: RunDirectory, before: Status) -> None:
    """Wait a few heartbeats to see whether the owner on another host is alive.

    Raises:
        RunLockedError: It is alive.
    """
    deadline = time.monotonic() + SILENCE * before.interval
    while time.monotonic() < deadline:
        time.sleep(before.interval / 4)
        now = directory.last_status()
        if now is None:
            continue
        if not now.live:
            return
        if (now.token, now.beat) != (before.token, before.beat):
            raise RunLockedError(
                f"run {directory.id}: process {now.process} on {now.host} is working on it "
                "(this disk does not share locks between hosts)"
            )
