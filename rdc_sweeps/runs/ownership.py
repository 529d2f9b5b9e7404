"""Who may work on a run: a kernel lock, and where disks do not carry locks between hosts, the heartbeat.

Two assumptions: hosts have different names, and a live worker's heartbeat reaches the other hosts within
`directory.SILENCE` intervals. No clocks are compared: a worker waits by its own clock for another's counter to move.

Where they do not hold (a process stopped for long, a host out of reach) an owner that lives loses its run. It may not
know for any length of time, so the disk stops it: all that an owner writes is prepared in `writers/<its number>/` and
renamed into its place. The next owner removes that folder before it reads anything; renaming fails from then on.
`mkdir` of the next number, which can succeed only once, decides between two that take over at the same moment.
"""

import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rdc_sweeps.errors import RunLockedError
from rdc_sweeps.runs.directory import SILENCE, RunDirectory
from rdc_sweeps.runs.records import Status


@contextmanager
def own(directory: RunDirectory, patience: float = 0.0) -> Iterator[None]:
    """Own the run: nobody else works on it while the context lasts.

    Whoever owned it before can write nothing any more.

    Args:
        directory: The run; what is written through this object is the owner's.
        patience: Seconds to wait for an owner who may be about to end.

    Raises:
        RunLockedError: Somebody else owns it.
    """
    with directory.lock(patience):
        status = directory.status()
        if status is not None and status.live and status.host != socket.gethostname():
            _await_silence(directory, status)
        directory.claim = _claim(directory)
        try:
            yield
        finally:
            directory.claim = None


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
