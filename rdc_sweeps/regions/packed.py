"""The id maps of all images of a run in one file, so that a run begins without reading the images and each map."""

import io
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.files import write_atomically
from rdc_sweeps.regions.maps import NO_REGION, IdMap
from rdc_sweeps.seals import seal_archive, unseal_archive

MAX_REGIONS = np.iinfo(np.uint16).max
"""Maximum number of regions in a stored map; the last 16-bit value represents `NO_REGION`."""


class CompressedMap(NamedTuple):
    """A stored map (H, W), compressed."""

    content: bytes
    shape: tuple[int, int]


class RegionReader:
    """The id map of each image of a data set, kept compressed (a few kB each); picklable for loader processes.

    Attributes:
        maps: The maps.
        digest: Of the content of all maps.
        without_regions: How many maps have no region.
    """

    def __init__(self, maps: Sequence[CompressedMap], digest: str, without_regions: int) -> None:
        self.maps, self.digest, self.without_regions = maps, digest, without_regions

    def __len__(self) -> int:
        return len(self.maps)

    def __call__(self, index: int) -> IdMap:
        """Id map (H, W) of an image."""
        content, shape = self.maps[index]
        return ids_of(np.frombuffer(zlib.decompress(content), "<u2").reshape(shape))


def compress(stored: NDArray[np.uint16]) -> CompressedMap:
    """Compress a map (H, W) as it is stored."""
    height, width = stored.shape
    return CompressedMap(zlib.compress(stored.astype("<u2").tobytes()), (height, width))


def ids_of(stored: NDArray[np.uint16]) -> IdMap:
    """The id map (H, W) of a stored one."""
    regions: IdMap = stored.astype(np.int32)
    regions[stored == MAX_REGIONS] = NO_REGION
    return regions


class PackedMaps(NamedTuple):
    """What the file holds.

    Attributes:
        digests: The images' digests.
        files: Digest of the stamps of the maps' own files.
        reader: The maps.
    """

    digests: Sequence[str]
    files: str
    reader: RegionReader


def save_maps(path: Path, owner: str, packed: PackedMaps) -> None:
    """Write the file; where that fails, the next run reads the maps again.

    Args:
        path: The file.
        owner: What the maps are of, so that a file in another's place is recognised.
        packed: The maps.
    """
    maps, content = packed.reader.maps, io.BytesIO()
    np.savez(
        content,
        allow_pickle=False,
        digests=np.array(packed.digests, str),
        files=np.array(packed.files),
        digest=np.array(packed.reader.digest),
        without_regions=np.array(packed.reader.without_regions),
        shapes=np.array([one.shape for one in maps], np.int64).reshape(-1, 2),
        sizes=np.array([len(one.content) for one in maps], np.int64),
        content=np.frombuffer(b"".join(one.content for one in maps), np.uint8),
    )
    sealed = seal_archive(content.getvalue(), owner)
    with suppress(OSError):
        write_atomically(path, lambda file: file.write(sealed))


def load_maps(path: Path, owner: str) -> PackedMaps | None:
    """Read the file; None if there is none, or it is not what was written."""
    try:
        with np.load(io.BytesIO(unseal_archive(path.read_bytes(), owner)), allow_pickle=False) as file:
            ends = np.cumsum(file["sizes"])
            content = file["content"].tobytes()
            maps = [
                CompressedMap(content[end - size : end], (height, width))
                for end, size, (height, width) in zip(
                    ends.tolist(), file["sizes"].tolist(), file["shapes"].tolist(), strict=True
                )
            ]
            reader = RegionReader(maps, str(file["digest"]), int(file["without_regions"]))
            return PackedMaps(file["digests"].tolist(), str(file["files"]), reader)
    except Exception:  # The errors of the zip and npy readers have no common base class.
        return None
