"""The exclusive right to send a run to W&B, held by one session at a time over all hosts.

It is a kernel lock and, for disks that do not share locks between hosts, a stamp file that the holder renews.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rdc_sweeps.errors import RunLockedError
from rdc_sweeps.files import try_lock, unlock, write_json

LOCK, STAMP = "lock", "holder.json"

RENEWAL_SECONDS = 5.0
SILENCE_SECONDS = 30.0
"""A stamp from another host that is older than this belongs to a dead process."""


@contextmanager
def lease(folder: Path, patience: float = 0.0) -> Iterator[None]:
    """Hold the right to send a run.

    Args:
        folder: The `wandb` folder of the run.
        patience: Seconds to wait for another holder.

    Raises:
        RunLockedError: Another process is sending the run.
    """
    deadline = time.monotonic() + patience
    while (descriptor := try_lock(folder / LOCK)) is None:
        if time.monotonic() >= deadline:
            raise RunLockedError(f"{_holder(folder)} is sending the run")
        time.sleep(0.1)
    try:
        while _is_held_elsewhere(folder):
            if time.monotonic() >= deadline:
                raise RunLockedError(f"{_holder(folder)} is sending the run")
            time.sleep(min(1.0, patience))
        write_json(folder / STAMP, {"host": socket.gethostname(), "process": os.getpid()}, durable=False)
        released = threading.Event()
        threading.Thread(target=_renew, args=(folder, released), daemon=True, name="lease").start()
        try:
            yield
        finally:
            released.set()
            (folder / STAMP).unlink(missing_ok=True)
    finally:
        unlock(descriptor)


def _is_held_elsewhere(folder: Path) -> bool:
    """Whether another host renewed the stamp recently. This host is covered by the lock."""
    # Both times come from the disk's clock, since the clocks of hosts may differ.
    os.utime(folder / LOCK)
    now = (folder / LOCK).stat().st_mtime
    try:
        renewed = (folder / STAMP).stat().st_mtime
        host = json.loads((folder / STAMP).read_text())["host"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return host != socket.gethostname() and now - renewed < SILENCE_SECONDS


def _renew(folder: Path, released: threading.Event) -> None:
    while not released.wait(RENEWAL_SECONDS):
        try:
            # This does not create the file: a released lease stays released.
            os.utime(folder / STAMP)
        except OSError:
            # The stamp is gone or unreachable; the lock still protects this host.
            continue


def _holder(folder: Path) -> str:
    try:
        holder = json.loads((folder / STAMP).read_text())
        return f"process {holder['process']} on {holder['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
