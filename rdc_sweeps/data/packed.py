"""Packed splits: a memory-mapped array for each kind of array, with the scenes of a split as they are read from files.

A pack is a folder below the cache folder, named after the stamps of all files of the split. It is used only while these
are unchanged, and holds nothing that is not equal to what is read from the files, bit for bit.
"""

import hashlib
import logging
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict

from rdc_sweeps.data.arrays import AnyArray
from rdc_sweeps.data.provenance import SplitRecord
from rdc_sweeps.data.scene import Dataset, Floats, Scene
from rdc_sweeps.data.stamps import Stamps
from rdc_sweeps.seals import unseal_record
from rdc_sweeps.specs.base import Size, Task

RECORD = "pack.json"
"""In the folder of a pack; written last."""

STAMPS = "stamps.npy"
"""The stamps of the files when they were packed, to name one that has changed."""

ENCODINGS = {"image": ("u1", "<f4"), "semantic": ("i1", "<i2"), "depth": ("<f2", "<f4"), "normal": ("<f2", "<f4")}
"""The types of each kind of array, of which a pack has the first that is exact for all images."""

TYPES: Mapping[str, Any] = {"image": np.float32, "semantic": np.int16, "depth": np.float32, "normal": np.float32}
"""The types as which they are read."""

log = logging.getLogger(__name__)


class PackedFile(BaseModel):
    """The array (N, H, W) or (N, H, W, 3) of one kind."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dtype: str
    bytes: int
    checksum: int
    """CRC-32 of the file."""


class PackRecord(BaseModel):
    """What a pack holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    split: SplitRecord
    """The fingerprint of the files."""
    files: Mapping[str, PackedFile]


class Source(Dataset, Protocol):
    """A split in files."""

    @property
    def folder(self) -> Path:
        """Its folder."""
        ...

    @property
    def identity(self) -> tuple[object, ...]:
        """On what its scenes depend besides the files: folders, classes, unit, size."""
        ...

    def files(self) -> Sequence[Path]:
        """All files."""
        ...

    def all_stamps(self) -> Stamps:
        """The stamps of all files, with the identity.

        Raises:
            OSError: A file cannot be looked at.
        """
        ...

    def stamps(self, indices: Sequence[int]) -> Stamps | None:
        """The stamps of images."""
        ...

    def fingerprint(self) -> SplitRecord:
        """The fingerprint of all files."""
        ...


def packs_of(source: Source, cache_root: Path) -> Path:
    """The folder of a split's packs; only one is of the files as they are now."""
    where = hashlib.blake2b(repr((str(source.folder.absolute()), source.identity)).encode(), digest_size=8).hexdigest()
    height, width = source.size
    return cache_root / "packs" / f"{source.folder.parent.name}-{source.folder.name}-{height}x{width}-{where}"


def open_packed(source: Source, cache_root: Path) -> "PackedSplit | None":
    """The pack of a split; None if there is none, or if it is of other files than there are now, which is logged."""
    packs = packs_of(source, cache_root)
    try:
        there = [path.name for path in packs.iterdir() if not path.name.startswith(".")]
        if not there:
            return None
        stamped = source.all_stamps()
    except OSError:
        return None
    if stamped.digest in there:
        packed, problem = open_pack(packs / stamped.digest, source)
    else:
        packed, problem = None, f"{_changed(packs / there[0], source, stamped)} since it was packed"
    if problem:
        _warn(f"{source.folder}: not read from its pack: {problem}; pack it again with `rdc-sweep data pack`")
    return packed


def open_pack(folder: Path, source: Source) -> "tuple[PackedSplit | None, str | None]":
    """Open a pack whose name is that of the files' stamps; if it is damaged, None and how."""
    try:
        record = PackRecord.model_validate_json(unseal_record((folder / RECORD).read_bytes(), folder.name))
        for kind, file in record.files.items():
            if (found := (folder / f"{kind}.npy").stat().st_size) != file.bytes:
                return None, f"{folder / kind}.npy has {found} bytes, expected {file.bytes}"
        return PackedSplit(folder, source, record), None
    except (OSError, ValueError) as error:
        return None, f"{folder} is damaged ({error})"


class PackedSplit:
    """A split that is read from its pack."""

    def __init__(self, folder: Path, source: Source, record: PackRecord) -> None:
        self.folder, self.source, self.record = folder, source, record
        # Mapped now: a pack that is removed, since its files have changed, stays readable for the runs that have begun.
        self._arrays = {kind: self._mapped(kind) for kind in record.files}

    def __getstate__(self) -> dict[str, Any]:
        # A memory-mapped array would be copied to another process as a whole.
        return {**self.__dict__, "_arrays": {}}

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Tasks with labels in this data set."""
        return self.source.tasks

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the semantic classes."""
        return self.source.classes

    @property
    def size(self) -> Size:
        """Height and width of the scenes."""
        return self.source.size

    def __len__(self) -> int:
        return self.record.split.images

    def image(self, index: int) -> Floats:
        """Image `index`, (H, W, 3) float32 in [0, 1]."""
        return self.scene(index, ()).image

    def scene(self, index: int, tasks: Collection[Task]) -> Scene:
        """Scene `index` with the labels of `tasks`; of other labels nothing is read."""
        if not 0 <= index < len(self):
            raise IndexError(f"{self.folder}: no image {index}, there are {len(self)}")
        return Scene(**{kind: decoded(kind, self._rows(kind)[index]) for kind in ("image", *tasks)})

    def stamps(self, indices: Sequence[int]) -> Stamps | None:
        """The stamps of the files of images."""
        return self.source.stamps(indices)

    def fingerprint(self) -> SplitRecord:
        """The fingerprint of the files."""
        return self.record.split

    def _rows(self, kind: str) -> AnyArray:
        if kind not in self._arrays:
            self._arrays[kind] = self._mapped(kind)
        return self._arrays[kind]

    def _mapped(self, kind: str) -> AnyArray:
        # Of copy-on-write pages, so that scenes are writable like those that are read from files.
        return np.asarray(np.lib.format.open_memmap(self.folder / f"{kind}.npy", mode="c"))


def encoded(array: AnyArray, dtype: str) -> AnyArray:
    """An array of a scene as it is packed as this type; not exact in each type."""
    return np.rint(array * 255).astype(dtype) if dtype == "u1" else array.astype(dtype)


def decoded(kind: str, packed: AnyArray) -> AnyArray:
    """The array of a scene from a packed one; division is that of `image_of`."""
    array = packed.astype(TYPES[kind], copy=False)
    if packed.dtype == np.uint8:
        array /= np.float32(255)
    return array


def _changed(old: Path, source: Source, stamped: Stamps) -> str:
    """What is different from when a pack was written, in words."""
    try:
        before = np.load(old / STAMPS, allow_pickle=False)
        if before.shape == stamped.values.shape:
            index = int(np.flatnonzero((before != stamped.values).any(axis=1))[0])
            return f"{source.files()[index]} has changed"
    except (OSError, ValueError, IndexError):
        pass
    return "files have changed"


@cache
def _warn(text: str) -> None:
    """Log a warning once, however often the data are opened."""
    log.warning("%s", text)
