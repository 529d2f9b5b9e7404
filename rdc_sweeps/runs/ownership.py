"""Who may work on a run: a kernel lock, and where disks do not carry locks between hosts, the heartbeat.

Two assumptions: hosts have different names, and a live worker's heartbeat reaches the other hosts within
`directory.SILENCE` intervals. No clocks are compared: a worker waits by its own clock for another's counter to move.
"""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rdc_sweeps.errors import RunLockedError
from rdc_sweeps.runs.directory import SILENCE, RunDirectory
from rdc_sweeps.runs.records import Status


@contextmanager
def own(directory: RunDirectory, patience: float = 0.0) -> Iterator[None]:
    """Own the run: nobody else works on it while the context lasts.

    A worker that was out of touch for long may be taken for dead and lose its run; see `Recorder.beat`.

    Args:
        directory: The run.
        patience: Seconds to wait for an owner who may be about to end.

    Raises:
        RunLockedError: Somebody else owns it.
    """
    with directory.lock(patience):
        status = directory.status()
        if status is not None and status.live and status.host != socket.gethostname():
            _await_silence(directory, status)
        yield


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
