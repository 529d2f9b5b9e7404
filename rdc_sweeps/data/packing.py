"""Writes packed splits, see `packed`."""

import os
import secrets
import shutil
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rdc_sweeps.data.arrays import AnyArray
from rdc_sweeps.data.packed import (
    ENCODINGS,
    RECORD,
    STAMPS,
    PackedFile,
    PackRecord,
    Source,
    decoded,
    encoded,
    open_pack,
    packs_of,
)
from rdc_sweeps.data.stamps import SETTLED, Stamps
from rdc_sweeps.errors import DataError
from rdc_sweeps.files import unlock, wait_for_lock, write_atomically
from rdc_sweeps.seals import seal_record

LOCK = ".lock"
POLL_SECONDS = 0.5
BLOCK = 2**22
"""Bytes that are read at once to compute a checksum."""

Progress = Callable[[int, int], None]
"""Called with the number of scenes done, and of all."""


class PackReport(NamedTuple):
    """What `pack` did.

    Attributes:
        folder: Of the pack.
        written: False if there was a sound one.
        types: The type of each kind of array.
        bytes: Of all arrays.
    """

    folder: Path
    written: bool
    types: dict[str, str]
    bytes: int


def pack(source: Source, cache_root: Path, progress: Progress | None = None) -> PackReport:
    """Pack a split, unless there is a sound pack of its files; packs of earlier files are removed.

    Memory is that of a scene. A pack appears when it is complete: killed at any point, the next call begins again.
    Another process that packs the same split is waited for.

    Args:
        source: The split.
        cache_root: The cache folder.
        progress: Called after each scene.

    Raises:
        DataError: A file is damaged or was changed meanwhile, or the pack cannot be written.
    """
    packs = packs_of(source, cache_root)
    try:
        packs.mkdir(parents=True, exist_ok=True)
        lock = wait_for_lock(packs / LOCK, POLL_SECONDS)
        try:
            stamped = _settled(source)
            folder = packs / stamped.digest
            if (record := _sound(folder, source)) is not None:
                return _report(folder, record, written=False)
            for old in packs.iterdir():
                if old.name != LOCK:
                    shutil.rmtree(old)
            temporary = packs / f".{os.getpid()}.{secrets.token_hex(4)}"
            temporary.mkdir()
            try:
                record = _write(temporary, source, stamped, progress)
                temporary.rename(folder)
            except BaseException:
                shutil.rmtree(temporary, ignore_errors=True)
                raise
            return _report(folder, record, written=True)
        finally:
            unlock(lock)
    except OSError as error:
        raise DataError(
            f"{packs}: cannot be written ({error}); free space or allow writing there, or set RDC_SWEEP_CACHE_ROOT to "
            "another folder"
        ) from error


def _settled(source: Source) -> Stamps:
    """The stamps of all files, once each later change would give another one."""
    while not (stamped := source.all_stamps()).settled:
        time.sleep(SETTLED / 4)
    return stamped


def _sound(folder: Path, source: Source) -> PackRecord | None:
    """The record of a pack of which every byte is as it was written."""
    packed, _ = open_pack(folder, source)
    if packed is None or any(
        _checksum(folder / f"{kind}.npy") != f.checksum for kind, f in packed.record.files.items()
    ):
        return None
    return packed.record


def _write(folder: Path, source: Source, stamped: Stamps, progress: Progress | None) -> PackRecord:
    split = source.fingerprint()
    kinds = ("image", *source.tasks)
    files = {kind: _Growing(folder / f"{kind}.npy", kind, len(source)) for kind in kinds}
    for index in range(len(source)):
        scene = source.scene(index, source.tasks)
        for kind, file in files.items():
            file.put(index, getattr(scene, kind))
        if progress:
            progress(index + 1, len(source))
    record = PackRecord(split=split, files={kind: file.close() for kind, file in files.items()})
    if source.all_stamps().digest != stamped.digest:
        raise DataError(f"{source.folder}: files were changed while they were packed; pack them again")
    np.save(folder / STAMPS, stamped.values)
    sealed = seal_record(record.model_dump_json().encode(), stamped.digest)
    write_atomically(folder / RECORD, lambda file: file.write(sealed))
    return record


class _Growing:
    """An array that takes the next type once a scene is not exact in this one."""

    def __init__(self, path: Path, kind: str, count: int) -> None:
        self._path, self._kind, self._count = path, kind, count
        self._types = iter(ENCODINGS[kind])
        self._rows: AnyArray | None = None
        self._dtype = next(self._types)

    def put(self, index: int, array: AnyArray) -> None:
        while not _equal(decoded(self._kind, encoded(array, self._dtype)), array):
            self._widen(index)
        if self._rows is None:
            self._rows = self._create(self._path, array.shape)
        self._rows[index] = encoded(array, self._dtype)

    def close(self) -> PackedFile:
        rows = self._rows
        if rows is None:
            rows = self._create(self._path, ())
        rows.flush()  # type: ignore[attr-defined]
        self._rows = None
        return PackedFile(dtype=self._dtype, bytes=self._path.stat().st_size, checksum=_checksum(self._path))

    def _widen(self, done: int) -> None:
        self._dtype = next(self._types)
        if (before := self._rows) is None:
            return
        wider = self._path.with_suffix(".wider")
        self._rows = self._create(wider, before.shape[1:])
        for index in range(done):
            self._rows[index] = encoded(decoded(self._kind, before[index]), self._dtype)
        wider.rename(self._path)

    def _create(self, path: Path, shape: tuple[int, ...]) -> AnyArray:
        array = np.lib.format.open_memmap(path, mode="w+", dtype=np.dtype(self._dtype), shape=(self._count, *shape))
        # On a disk without the space, writing to mapped memory would kill the process; this is an error.
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        return array


def _equal(one: AnyArray, other: AnyArray) -> bool:
    """Whether arrays are equal bit for bit; 0 and -0 are not."""
    return one.dtype == other.dtype and one.tobytes() == other.tobytes()


def _checksum(path: Path) -> int:
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            checksum = zlib.crc32(block, checksum)
    return checksum


def _report(folder: Path, record: PackRecord, *, written: bool) -> PackReport:
    types = {kind: np.dtype(file.dtype).name for kind, file in record.files.items()}
    return PackReport(folder, written, types, sum(file.bytes for file in record.files.values()))
