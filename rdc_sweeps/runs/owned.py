"""The owner of a run, who alone writes its records: a kernel lock, and where disks carry no locks between hosts, the
heartbeat.

Two assumptions: hosts have different names, and a live worker's heartbeat reaches the other hosts within
`directory.SILENCE` intervals. No clocks are compared: a worker waits by its own clock for another's counter to move.

Where they do not hold (a process stopped for long, a host out of reach) an owner that lives loses its run. It may not
know for any length of time, so the disk stops it: all that an owner writes is prepared in `writers/<its number>/` and
renamed into its place. The next owner removes that folder before it reads anything; renaming fails from then on.
`mkdir` of the next number, which can succeed only once, decides between two that take over at the same moment.
"""

import errno
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from rdc_sweeps.errors import LostRunError, RunLockedError
from rdc_sweeps.files import json_bytes, write_atomically
from rdc_sweeps.runs.directory import SILENCE, RunDirectory
from rdc_sweeps.runs.lock import exclusive
from rdc_sweeps.runs.records import Attempt, Failure, Result, Status, appended

GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ESTALE})
"""Error codes of a file in a folder that was removed."""


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
            LostRunError: Another worker has taken the run over. The disk itself refuses then: the temporary file is in
                a folder that the new owner has removed, however much later this process continues.
        """
        try:
            write_atomically(path, write, durable=durable, staging=self._staging)
        except OSError as error:
            if error.errno not in GONE:
                raise
            raise LostRunError(f"run {self.directory.id}: was taken over by another worker, or set aside") from error

    def write_environment(self, environment: dict[str, Any]) -> None:
        """Record what the run is made with."""
        self._write_json("environment.json", environment)

    def write_status(self, status: Status) -> None:
        """Replace the heartbeat."""
        # Not worth a flush of the disk: it is replaced at once, and void after a crash.
        self._write_json("status.json", status.model_dump(mode="json"), durable=False)

    def write_attempt(self, attempt: Attempt) -> None:
        """Add a line to the history of workers."""
        path = self.directory.folder / "attempts.jsonl"
        content = appended(path, attempt)
        self.write(path, lambda file: file.write(content))

    def write_failure(self, failure: Failure) -> None:
        """Record why the run failed."""
        self._write_json("failure.json", failure.model_dump(mode="json"))

    def write_result(self, result: Result) -> None:
        """Write the result: from now on the run is done."""
        self._write_json("result.json", result.model_dump(mode="json"))

    def _write_json(self, name: str, data: Any, *, durable: bool = True) -> None:
        encoded = json_bytes(data)
        self.write(self.directory.folder / name, lambda file: file.write(encoded), durable=durable)


@contextmanager
def acquire(directory: RunDirectory, patience: float = 0.0) -> Iterator[OwnedRun]:
    """Own the run: no other process works on it while the context lasts, and no earlier owner can write any more.

    Args:
        directory: The run.
        patience: Seconds to wait for an owner who may be about to end.

    Raises:
        RunLockedError: Another process owns it.
    """
    with exclusive(directory, patience):
        status = directory.status()
        if status is not None and status.live and status.host != socket.gethostname():
            _await_silence(directory, status)
        yield OwnedRun(directory, _claim(directory))


def _claim(directory: RunDirectory) -> Path:
    """Become the next owner and stop the earlier ones; the last number stays, so that none is used twice."""
    writers = directory.folder / "writers"
    writers.mkdir(exist_ok=True)
    earlier = [int(folder.name) for folder in writers.iterdir()]
    claim = writers / str(1 + max(earlier, default=0))
    try:
        claim.mkdir()
    except FileExistsError as error:
        raise RunLockedError(f"run {directory.id}: another worker took it over at this moment") from error
    for number in earlier:
        _remove(writers / str(number))
    return claim


def _remove(folder: Path) -> None:
    """Remove a folder although its owner may still be writing into it."""
    for _ in range(100):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
    shutil.rmtree(folder)


def _await_silence(directory: RunDirectory, before: Status) -> None:
    """Give the owner on another host the time of a few heartbeats to show that it lives."""
    deadline = time.monotonic() + SILENCE * before.interval
    while time.monotonic() < deadline:
        time.sleep(before.interval / 4)
        now = directory.status()
        if now is None or not now.live:
            return
        if (now.token, now.beat) != (before.token, before.beat):
            raise RunLockedError(
                f"run {directory.id}: process {now.process} on {now.host} is working on it "
                "(this disk does not carry locks from one host to another)"
            )
