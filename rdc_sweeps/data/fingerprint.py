"""Fingerprints of data: cheap, and the same on any machine, in any folder and with any number of processes.

Of every file the size and a block in its middle are read. A file that was replaced or rescaled as a whole is therefore
noticed; one that was changed elsewhere in a few places is not.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from rdc_sweeps.data.arrays import AnyArray
from rdc_sweeps.data.provenance import SplitRecord
from rdc_sweeps.data.scene import Dataset
from rdc_sweeps.errors import DataError

BLOCK = 4096
"""Bytes of a block."""

READERS, CHUNK = 16, 64
"""Threads that read files, since on a shared disk each costs a round trip or two, and files that one reads in turn."""

WEIGHT_BLOCKS = 64
"""Blocks of a file of weights: all of a network's values are different after another training."""

SAMPLES = 8
"""Images whose values are read for means and, in data sets that are not files of ours, for the digest."""


def split_record(split: Dataset) -> SplitRecord:
    """The fingerprint of a split: its own `fingerprint()` if it has that method, else one of sampled scenes."""
    own = getattr(split, "fingerprint", None)
    if own is not None:
        record: SplitRecord = own()
        return record
    kinds: dict[str, list[AnyArray]] = {}
    for index in spread(len(split)):
        scene = split.scene(index, split.tasks)
        for kind in ("image", *split.tasks):
            kinds.setdefault(kind, []).append(getattr(scene, kind))
    digest = _digest(array.tobytes() for arrays in kinds.values() for array in arrays)
    return SplitRecord(images=len(split), digest=digest, means=means(kinds))


def files_digest(files: Mapping[str, Path], blocks: int = 1) -> str:
    """A digest of files by name, from the size of each and evenly spaced blocks of it.

    Raises:
        DataError: A file cannot be read.
    """
    items = list(files.items())
    # In chunks, since handing over a single file costs more than reading it from a fast disk.
    chunks = [items[first : first + CHUNK] for first in range(0, len(items), CHUNK)]
    with ThreadPoolExecutor(READERS) as pool:
        return _digest(part for parts in pool.map(partial(_samples, blocks=blocks), chunks) for part in parts)


def group_digests(groups: Sequence[Mapping[str, Path]]) -> list[str]:
    """A digest of each group of files, as `files_digest` computes it of one group.

    Raises:
        DataError: A file cannot be read.
    """
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(lambda files: _digest(_samples(list(files.items()), blocks=1)), groups))


def values_digest(values: object) -> str:
    """A digest of plain values, such as a tuple of names and numbers."""
    return _digest([repr(values).encode()])


def spread(count: int, wanted: int = SAMPLES) -> list[int]:
    """At most `wanted` indices, spread evenly over `count`."""
    return sorted({index * count // wanted for index in range(wanted)}) if count else []


def means(kinds: Mapping[str, Iterable[AnyArray]]) -> dict[str, float]:
    """The mean magnitude of the finite values that are not 0, for each kind of array over some arrays."""
    found: dict[str, list[float]] = {}
    for kind, arrays in kinds.items():
        for array in arrays:
            with np.errstate(invalid="ignore"):  # signalling NaNs of a damaged file
                values = np.abs(array.astype(np.float64))
            if (counted := (values > 0) & (values < np.finfo(np.float32).max)).any():
                found.setdefault(kind, []).append(float(values[counted].mean()))
    return {kind: round(float(np.mean(values)), 6) for kind, values in found.items()}


def _samples(items: Sequence[tuple[str, Path]], blocks: int) -> list[bytes]:
    return [part for name, path in items for part in (name.encode(), _sample(path, blocks))]


def _sample(path: Path, blocks: int) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            size = os.fstat(descriptor).st_size
            first = [max(0, size * (2 * block + 1) // (2 * blocks) - BLOCK // 2) for block in range(blocks)]
            content = b"".join(os.pread(descriptor, BLOCK, offset) for offset in first)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); restore it, or allow reading it") from error
    return b"%d " % size + hashlib.blake2b(content, digest_size=16).digest()


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.hexdigest()
