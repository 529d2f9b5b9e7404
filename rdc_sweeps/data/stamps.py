"""Stamps of files: size and times, by which a file that has changed is recognised without reading it.

Writing to a file, replacing it and setting its times all change its stamp, since no program can set the time of a
file's last change of status (ctime).
"""

import hashlib
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

READERS, CHUNK = 16, 64
"""Threads that look at files, since on a shared disk each costs a round trip, and files that one looks at in turn."""

SETTLED = 2.0
"""Seconds after which another change has another time, on any file system."""


@dataclass(frozen=True)
class Stamps:
    """The stamps of some files.

    Attributes:
        values: (n, 3) int64: size in bytes, times of the last change of content and of status in nanoseconds.
        digest: Of all of them and of the paths.
        settled: Whether every later change gives another stamp; not if a file was changed a moment ago.
    """

    values: NDArray[np.int64]
    digest: str
    settled: bool


def stamps(paths: Sequence[Path], *others: object) -> Stamps:
    """Stamp files.

    Args:
        paths: The files, absolute.
        others: What else the digest is to depend on.

    Raises:
        OSError: A file cannot be looked at.
    """
    now = time.time()
    chunks = [paths[first : first + CHUNK] for first in range(0, len(paths), CHUNK)]
    with ThreadPoolExecutor(READERS) as pool:
        values = np.array([stamp for part in pool.map(_stamps, chunks) for stamp in part], np.int64).reshape(-1, 3)
    digest = hashlib.blake2b(repr((others, [str(path) for path in paths])).encode(), digest_size=16)
    digest.update(values.astype("<i8").tobytes())
    age = np.abs(now - values[:, 1] / 1e9).min(initial=np.inf)
    return Stamps(values, digest.hexdigest(), bool(age > SETTLED))


def constant_stamps(*identity: object) -> Stamps:
    """The stamps of what an identity determines, and no file."""
    return stamps([], *identity)


def number_of(status: os.stat_result) -> int:
    """A file's stamp as one number of 64 bits; 0 if it was changed a moment ago, and may change without another one."""
    if abs(time.time() - status.st_mtime) <= SETTLED:
        return 0
    return hash((status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)) or 1


class SoundFiles:
    """Files that were found sound, by their numbers and stamps, see `number_of`.

    Processes that are forked, such as the loading processes of an epoch, write to the same memory.
    """

    def __init__(self, count: int) -> None:
        self._stamps = np.frombuffer(mmap(-1, 8 * max(1, count)), np.int64)

    def knows(self, number: int, stamp: int) -> bool:
        """Whether a file was found sound when it had this stamp."""
        return stamp != 0 and bool(self._stamps[number] == stamp)

    def add(self, number: int, stamp: int) -> None:
        """Add a file; none whose stamp is 0."""
        if stamp:
            self._stamps[number] = stamp


def image_stamps(dataset: object, indices: Sequence[int]) -> Stamps | None:
    """The stamps of images, by which a change of one is noticed; None of a data set that has no method `stamps`."""
    own = getattr(dataset, "stamps", None)
    found: Stamps | None = None if own is None else own(indices)
    return found


def _stamps(paths: Sequence[Path]) -> list[tuple[int, int, int]]:
    found = [path.stat() for path in paths]
    return [(one.st_size, one.st_mtime_ns, one.st_ctime_ns) for one in found]
