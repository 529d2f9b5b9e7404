"""The exclusive lock of a run."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rdc_sweeps.errors import RunLockedError
from rdc_sweeps.files import is_locked, try_lock, unlock
from rdc_sweeps.runs.directory import RunDirectory

POLL_SECONDS, READER_SECONDS = 0.1, 0.002
"""Delay between attempts while an owner holds the lock, and while readers do (they hold it for microseconds)."""


@contextmanager
def exclusive(run: RunDirectory, patience: float = 0.0) -> Iterator[None]:
    """Hold the run's lock. The kernel releases it when the process ends, however it ends.

    Args:
        run: The run; its directory is created if missing.
        patience: Seconds to wait for another owner of the lock. It always waits for readers.

    Raises:
        RunLockedError: Another process holds the lock.
        UnavailableError: The file system does not support locks.
    """
    deadline = time.monotonic() + patience
    while (descriptor := _try(run)) is None:
        owned = is_locked(run.lock)
        if owned and time.monotonic() >= deadline:
            raise RunLockedError(f"run {run.id}: {run.owner()} is working on it")
        time.sleep(POLL_SECONDS if owned else READER_SECONDS)
    try:
        yield
    finally:
        unlock(descriptor)


def _try(run: RunDirectory) -> int | None:
    try:
        return try_lock(run.lock)
    except FileNotFoundError:
        run.folder.mkdir(parents=True, exist_ok=True)
        return _try(run)
