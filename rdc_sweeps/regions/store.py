"""Id maps on disk, keyed by the image's content and the generator's settings."""

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.errors import DataError
from rdc_sweeps.files import write_atomically
from rdc_sweeps.regions.generator import image_digest
from rdc_sweeps.regions.maps import NO_REGION, IdMap

MAX_REGIONS = np.iinfo(np.uint16).max
"""Maximum number of regions in a stored map; the last 16-bit value represents `NO_REGION`."""

Progress = Callable[[int, int], None]
"""Progress callback: (finished images, all images)."""


class Images(Protocol):
    """The images of a data set at the training size, without augmentation."""

    def __len__(self) -> int: ...

    def image(self, index: int) -> NDArray[np.floating[Any]]:
        """Image (H, W, 3) in [0, 1]."""


class RegionStore:
    """The id maps of one generator, in their own folder; several processes can read and write them at once.

    Args:
        root: Parent folder of all generators' maps.
        generator_key: `RegionGenerator.key`; also written to `generator.json` in the folder, for people.
    """

    def __init__(self, root: Path, generator_key: str) -> None:
        self.generator_key = generator_key
        source = json.loads(generator_key)["source"]
        self.folder = root / f"{source}-{hashlib.blake2b(generator_key.encode(), digest_size=8).hexdigest()}"

    def path(self, digest: str) -> Path:
        """File of the image with this `image_digest`."""
        return self.folder / digest[:2] / f"{digest}.npz"

    def get(self, digest: str, shape: tuple[int, int]) -> IdMap | None:
        """The id map of an image with this digest and of this shape (H, W), or None if it is not stored.

        Raises:
            DataError: The file is damaged, or is the map of another image or generator.
        """
        encoded = self._read(digest)
        return None if encoded is None else _decode(encoded, self._owner(digest), shape).ids

    def put(self, digest: str, regions: IdMap) -> None:
        """Store an id map (H, W) atomically.

        Raises:
            DataError: The map has more than `MAX_REGIONS` regions, or the folder cannot be written to.
        """
        encoded = _encode(regions, self._owner(digest))
        settings = self.folder / "generator.json"
        try:
            write_atomically(self.path(digest), lambda file: file.write(encoded))
            if not settings.exists():
                write_atomically(settings, lambda file: file.write(self.generator_key.encode()))
        except OSError as error:
            raise DataError(
                f"{self.folder}: cannot write region maps ({error}); free space, or allow writing there, "
                "or set RDC_SWEEP_CACHE_ROOT to another folder"
            ) from error

    def reader(self, images: Images, progress: Progress | None = None) -> "RegionReader":
        """Load the maps of all images, for training.

        Raises:
            DataError: Some are missing or damaged.
        """
        total = len(images)
        maps: list[bytes] = []
        lost: list[int] = []
        content = hashlib.blake2b(digest_size=16)
        for index in range(total):
            image = images.image(index)
            digest = image_digest(image)
            encoded = self._read(digest)
            try:
                if encoded is None:
                    lost.append(index)
                else:
                    content.update(_decode(encoded, self._owner(digest), image.shape[:2]).checksum.to_bytes(4))
                    maps.append(encoded)
            except DataError:
                lost.append(index)
            if progress:
                progress(index + 1, total)
        if lost:
            missing = ", ".join(map(str, lost[:5])) + (", ..." if len(lost) > 5 else "")
            raise DataError(
                f"{self.folder}: no sound region map for {len(lost)} of {total} images (indices {missing}); "
                "compute them with `rdc-sweep regions build`"
            )
        return RegionReader(maps, content.hexdigest())

    def _owner(self, digest: str) -> str:
        """Identifies the image and generator of a map, so that a file in another's place is recognised."""
        return f"{self.folder.name}/{digest}"

    def _read(self, digest: str) -> bytes | None:
        try:
            return self.path(digest).read_bytes()
        except FileNotFoundError:
            return None


class RegionReader:
    """The id map of each image of a data set, kept compressed (a few kB each); picklable for loader processes.

    Attributes:
        digest: Of the content of all maps.
    """

    def __init__(self, maps: Sequence[bytes], digest: str) -> None:
        self._maps, self.digest = maps, digest

    def __len__(self) -> int:
        return len(self._maps)

    def __call__(self, index: int) -> IdMap:
        """Id map (H, W) of an image."""
        return _decode(self._maps[index]).ids


class _Decoded(NamedTuple):
    ids: IdMap
    checksum: int


def _encode(regions: IdMap, owner: str) -> bytes:
    """Encode as compressed `.npz` of 16-bit ids: smaller and faster to read than a 16-bit PNG, with a CRC."""
    if regions.max(initial=NO_REGION) >= MAX_REGIONS:
        raise DataError(f"an id map has more than {MAX_REGIONS} regions; use coarser regions")
    encoded = io.BytesIO()
    stored = np.where(regions < 0, MAX_REGIONS, regions).astype(np.uint16)
    np.savez_compressed(encoded, regions=stored, owner=np.array(owner))
    return encoded.getvalue()


def _decode(encoded: bytes, owner: str | None = None, shape: tuple[int, ...] | None = None) -> _Decoded:
    """Decode a map and check its checksum and, if they are given, its owner and its shape (H, W)."""
    try:
        with ZipFile(io.BytesIO(encoded)) as file:
            # Read as a whole, since the checksum is only verified at the end of a member.
            stored = _array(file.read("regions.npy"))
            checksum = file.getinfo("regions.npy").CRC
            # Maps of earlier versions do not name their owner.
            named = owner is not None and "owner.npy" in file.namelist()
            found = str(_array(file.read("owner.npy"))) if named else owner
    except Exception as error:  # The errors of the zip, zlib and npy readers have no common base class.
        raise _damaged(str(error)) from error
    if stored.dtype != np.uint16 or stored.ndim != 2:
        raise _damaged(f"{stored.dtype} of shape {stored.shape}")
    if found != owner:
        raise _damaged(f"it is the map {found}")
    if shape is not None and stored.shape != shape:
        raise _damaged(f"shape {stored.shape} of an image of shape {shape}")
    regions: IdMap = stored.astype(np.int32)
    regions[stored == MAX_REGIONS] = NO_REGION
    return _Decoded(regions, checksum)


def _array(content: bytes) -> np.ndarray[Any, np.dtype[Any]]:
    array: np.ndarray[Any, np.dtype[Any]] = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    return array


def _damaged(how: str) -> DataError:
    return DataError(f"a stored region map is damaged ({how}); run `rdc-sweep regions build`")
