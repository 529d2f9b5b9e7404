"""Id maps on disk, keyed by the image's content and the generator's settings."""

import hashlib
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

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

    def get(self, digest: str) -> IdMap | None:
        """The id map (H, W), or None if it is not stored.

        Raises:
            DataError: The file is damaged.
        """
        encoded = self._read(digest)
        return None if encoded is None else _decode(encoded)

    def put(self, digest: str, regions: IdMap) -> None:
        """Store an id map (H, W) atomically.

        Raises:
            DataError: The map has more than `MAX_REGIONS` regions, or the folder cannot be written to.
        """
        encoded = _encode(regions)
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
        for index in range(total):
            encoded = self._read(image_digest(images.image(index)))
            if encoded is None or not _is_whole(encoded):
                lost.append(index)
            else:
                maps.append(encoded)
            if progress:
                progress(index + 1, total)
        if lost:
            missing = ", ".join(map(str, lost[:5])) + (", ..." if len(lost) > 5 else "")
            raise DataError(
                f"{self.folder}: no region map for {len(lost)} of {total} images (indices {missing}); "
                "compute them with `rdc-sweep regions build`"
            )
        return RegionReader(maps)

    def _read(self, digest: str) -> bytes | None:
        try:
            return self.path(digest).read_bytes()
        except FileNotFoundError:
            return None


class RegionReader:
    """The id map of each image of a data set, kept compressed (a few kB each); picklable for loader processes."""

    def __init__(self, maps: Sequence[bytes]) -> None:
        self._maps = maps

    def __len__(self) -> int:
        return len(self._maps)

    def __call__(self, index: int) -> IdMap:
        """Id map (H, W) of an image."""
        return _decode(self._maps[index])


def _encode(regions: IdMap) -> bytes:
    """Encode as compressed `.npz` of 16-bit ids: smaller and faster to read than a 16-bit PNG, with a CRC."""
    if regions.max(initial=NO_REGION) >= MAX_REGIONS:
        raise DataError(f"an id map has more than {MAX_REGIONS} regions; use coarser regions")
    encoded = io.BytesIO()
    np.savez_compressed(encoded, regions=np.where(regions < 0, MAX_REGIONS, regions).astype(np.uint16))
    return encoded.getvalue()


def _decode(encoded: bytes) -> IdMap:
    try:
        with np.load(io.BytesIO(encoded), allow_pickle=False) as file:
            stored = file["regions"]
    except Exception as error:  # The errors of the zip, zlib and npy readers have no common base class.
        raise DataError(f"a stored region map is damaged ({error}); run `rdc-sweep regions build`") from error
    regions: IdMap = stored.astype(np.int32)
    regions[stored == MAX_REGIONS] = NO_REGION
    return regions


def _is_whole(encoded: bytes) -> bool:
    try:
        _decode(encoded)
    except DataError:
        return False
    return True
