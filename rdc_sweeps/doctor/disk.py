"""Checks of the disks: free space, file system, and the file operations that runs rely on."""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from rdc_sweeps.doctor.findings import Finding
from rdc_sweeps.errors import UnavailableError
from rdc_sweeps.files import try_lock, unlock

GIB = 2**30
LITTLE_SPACE = 5 * GIB
SHARED = ("nfs", "lustre", "gpfs", "beegfs", "cephfs", "ceph", "fuse", "9p", "cifs", "smb", "afs")
REPLACEMENTS = 200
SLOW_FLUSH_SECONDS = 0.2
HOLD_SECONDS = 20.0

HOLD = """
import sys, time
from pathlib import Path
from rdc_sweeps.files import try_lock
if try_lock(Path(sys.argv[1])) is not None:
    print("held", flush=True)
    time.sleep(60)
"""


def examine_disk(title: str, folder: Path) -> Iterator[Finding]:
    """Check the disk of a folder that exists or would be created; test files are removed afterwards."""
    present = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
    note = "" if present == folder.absolute() else " (does not exist yet)"
    free, kind = shutil.disk_usage(present).free, _kind(present)
    yield Finding(
        title,
        "warning" if free < LITTLE_SPACE else "ok",
        f"{folder}{note}: {free / GIB:.1f} GiB free, {kind}",
        "free space, or choose another folder" if free < LITTLE_SPACE else None,
    )
    try:
        with tempfile.TemporaryDirectory(prefix=".rdc-sweep-doctor-", dir=present) as name:
            yield from _tests(title, Path(name), kind)
    except OSError as error:
        yield Finding(title, "problem", f"{present}: not writable: {error}", "choose a writable folder")


def _tests(title: str, folder: Path, kind: str) -> Iterator[Finding]:
    works = locks_work(folder)
    between_hosts = ""
    if works and kind.startswith(SHARED):
        between_hosts = "; if locks do not work between hosts, heartbeats are used"
    yield Finding(
        f"{title}: locks",
        "ok" if works else "problem",
        (
            f"work between processes{between_hosts}"
            if works
            else "not exclusive, or not released when their process ends"
        ),
        None if works else "mount the disk with locking (NFS: local_lock=none), or move the folder to another disk",
    )
    torn = torn_reads(folder)
    yield Finding(
        f"{title}: rename",
        "problem" if torn else "ok",
        f"{torn} of {REPLACEMENTS} reads found a partial file or none" if torn else "replaces files atomically",
        "move the folder to another disk" if torn else None,
    )
    seconds = flush_seconds(folder)
    slow = seconds > SLOW_FLUSH_SECONDS
    yield Finding(
        f"{title}: fsync",
        "warning" if slow else "ok",
        f"{1000 * seconds:.1f} ms",
        "every checkpoint waits for it; a faster disk speeds up small runs" if slow else None,
    )


def _kind(folder: Path) -> str:
    """Type of the file system, such as `nfs4`."""
    mounts = {Path(mount.mountpoint): mount.fstype for mount in psutil.disk_partitions(all=True)}
    resolved = folder.resolve()
    return next((mounts[path] for path in (resolved, *resolved.parents) if path in mounts), "unknown file system")


def locks_work(folder: Path) -> bool:
    """Whether a lock excludes other processes and is released when its process is killed."""
    path = folder / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-P", "-c", HOLD, str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert holder.stdout is not None  # it is a pipe
        if holder.stdout.readline() != "held\n":
            return False
        if _acquired(path, 0.0):
            return False
    finally:
        holder.kill()
        holder.wait()
    return _acquired(path, HOLD_SECONDS)


def _acquired(path: Path, patience: float) -> bool:
    deadline = time.monotonic() + patience
    try:
        while (descriptor := try_lock(path)) is None:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)
    except (OSError, UnavailableError):
        return False
    unlock(descriptor)
    return True


def torn_reads(folder: Path) -> int:
    """Number of partial or failed reads of a file while it is replaced repeatedly."""
    path, ended = folder / "replaced", threading.Event()
    contents = {bytes([65 + index]) * 5000 for index in range(2)}
    path.write_bytes(min(contents))
    torn = 0

    def read() -> None:
        nonlocal torn
        while not ended.is_set():
            try:
                torn += path.read_bytes() not in contents
            except OSError:
                torn += 1

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for index in range(REPLACEMENTS):
            new = folder / f"new-{index}"
            new.write_bytes(sorted(contents)[index % 2])
            new.replace(path)
    finally:
        # Also if Ctrl-C ends the command, which would otherwise wait for the reader for ever.
        ended.set()
        reader.join()
    return torn


def flush_seconds(folder: Path, times: int = 9) -> float:
    """Median time in seconds to write a small file and flush it to disk."""
    seconds = []
    with (folder / "flushed").open("wb") as file:
        for _ in range(times):
            start = time.perf_counter()
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)
