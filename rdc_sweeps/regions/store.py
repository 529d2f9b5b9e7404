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

from rdc_sweeps.data.stamps import Stamps, image_stamps, stamps
from rdc_sweeps.errors import DataError
from rdc_sweeps.files import write_atomically
from rdc_sweeps.regions.generator import image_digest
from rdc_sweeps.regions.maps import NO_REGION, IdMap
from rdc_sweeps.regions.packed import (
    MAX_REGIONS,
    CompressedMap,
    PackedMaps,
    RegionReader,
    compress,
    ids_of,
    load_maps,
    save_maps,
)

Progress = Callable[[int, int], None]
"""Progress callback: (finished images, all images)."""


class Images(Protocol):
    """The images of a data set at the training size, without augmentation."""

    def __len__(self) -> int: ...

    def image(self, index: int) -> NDArray[np.floating[Any]]:
        """Image (H, W, 3) in [0, 1]."""


class ImageKey(NamedTuple):
    """What a map is found by: the digest of its image, and the image's shape (H, W)."""

    digest: str
    shape: tuple[int, int]


def image_key(image: NDArray[np.floating[Any]]) -> ImageKey:
    """The key of an image (H, W, 3) in [0, 1]."""
    return ImageKey(image_digest(image), (image.shape[0], image.shape[1]))


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
        return None if encoded is None else ids_of(_decode(encoded, self._owner(digest), shape).stored)

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

    def reader(self, images: Images, progress: Progress | None = None) -> RegionReader:
        """Load the maps of all images, for training.

        Images are read, to find their maps, only if they or a map were changed since the last time.

        Raises:
            DataError: Some maps are missing or damaged.
        """
        total = len(images)
        stamped = image_stamps(images, range(total))
        if (known := self.known(stamped)) is not None:
            return known
        keys = []
        for index in range(total):
            keys.append(image_key(images.image(index)))
            if progress:
                progress(index + 1, total)
        return self.read(keys, stamped)

    def known(self, stamped: Stamps | None) -> RegionReader | None:
        """The maps of images with these stamps, if they were read before and neither images nor maps have changed."""
        if stamped is None:
            return None
        found = load_maps(self._packed(stamped), stamped.digest)
        if found is None or self._stamps(found.digests) != found.files:
            return None
        return found.reader

    def read(self, keys: Sequence[ImageKey], stamped: Stamps | None = None) -> RegionReader:
        """Read the maps of images, and keep them in one file, to be found by the images' stamps.

        Args:
            keys: Of the images.
            stamped: Their stamps before they were read; None if these are unknown.

        Raises:
            DataError: Some maps are missing or damaged.
        """
        digests = [key.digest for key in keys]
        files = self._stamps(digests)
        maps: list[CompressedMap] = []
        lost: list[int] = []
        without = 0
        content = hashlib.blake2b(digest_size=16)
        for index, (digest, shape) in enumerate(keys):
            encoded = self._read(digest)
            try:
                if encoded is None:
                    lost.append(index)
                else:
                    decoded = _decode(encoded, self._owner(digest), shape)
                    content.update(decoded.checksum.to_bytes(4))
                    maps.append(compress(decoded.stored))
                    without += bool((decoded.stored == MAX_REGIONS).all())
            except DataError:
                lost.append(index)
        if lost:
            missing = ", ".join(map(str, lost[:5])) + (", ..." if len(lost) > 5 else "")
            raise DataError(
                f"{self.folder}: no sound region map for {len(lost)} of {len(keys)} images (indices {missing}); "
                "compute them with `rdc-sweep regions build`"
            )
        reader = RegionReader(maps, content.hexdigest(), without)
        # Not of images that were changed a moment ago: they could change again with the same stamp.
        if stamped is not None and stamped.settled and files is not None:
            save_maps(self._packed(stamped), stamped.digest, PackedMaps(digests, files, reader))
        return reader

    def _packed(self, stamped: Stamps) -> Path:
        return self.folder / "packed" / stamped.digest

    def _stamps(self, digests: Sequence[str]) -> str | None:
        try:
            return stamps([self.path(digest) for digest in digests]).digest
        except OSError:
            return None

    def _owner(self, digest: str) -> str:
        """Identifies the image and generator of a map, so that a file in another's place is recognised."""
        return f"{self.folder.name}/{digest}"

    def _read(self, digest: str) -> bytes | None:
        try:
            return self.path(digest).read_bytes()
        except FileNotFoundError:
            return None


class _Decoded(NamedTuple):
    stored: NDArray[np.uint16]
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
    return _Decoded(stored, checksum)


def _array(content: bytes) -> np.ndarray[Any, np.dtype[Any]]:
    array: np.ndarray[Any, np.dtype[Any]] = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    return array


def _damaged(how: str) -> DataError:
    return DataError(f"a stored region map is damaged ({how}); run `rdc-sweep regions build`")
