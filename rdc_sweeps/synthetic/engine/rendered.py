"""Rendered data sets: scenes are rendered on first access and cached on disk in MTAN's layout.

A cached file is an `.npy` file and, after the array, a checksum, which other readers of such files ignore.
"""

import io
import zlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np

from rdc_sweeps.data.arrays import AnyArray, Stored
from rdc_sweeps.data.fingerprint import values_digest
from rdc_sweeps.data.mtan import MtanFolder, MtanLayout
from rdc_sweeps.data.provenance import SplitRecord
from rdc_sweeps.data.scene import Floats, Scene
from rdc_sweeps.data.stamps import Stamps, constant_stamps
from rdc_sweeps.errors import DataError
from rdc_sweeps.files import write_atomically
from rdc_sweeps.specs.base import Size, Task
from rdc_sweeps.specs.dataset import DrawnImagesSpec

FIRST_TEST_INDEX = 2**32
"""Index of the first test scene: far beyond any training split, so that a larger one keeps the test scenes."""


@dataclass(frozen=True)
class Renderer:
    """Renders the scenes of a data set.

    Attributes:
        name: The data set.
        version: Increased whenever the same seed and index give a different scene.
        layout: Folders and classes of the cached files.
        render: (seed, index, size) -> scene with all labels.
    """

    name: str
    version: int
    layout: MtanLayout
    render: Callable[[int, int, Size], Scene]

    def splits(self, spec: DrawnImagesSpec, cache: Path) -> "tuple[RenderedScenes, RenderedScenes]":
        """The training split, including the images held out at its end, and the test split."""
        training = spec.train_images + spec.validation_images
        return (
            RenderedScenes(self, spec.seed, 0, training, spec.size, cache),
            RenderedScenes(self, spec.seed, FIRST_TEST_INDEX, spec.test_images, spec.size, cache),
        )


class RenderedScenes:
    """Scenes `first` to `first + count - 1` of the sequence that `seed` determines.

    Any number of processes can share a cache: files are written atomically, and every process writes the same bytes.
    """

    def __init__(self, renderer: Renderer, seed: int, first: int, count: int, size: Size, cache: Path) -> None:
        self._renderer = renderer
        self._seed = seed
        self._first = first
        self._count = count
        name = f"v{renderer.version}-seed{seed}-{size[0]}x{size[1]}"
        self._stored = MtanFolder(cache / renderer.name / name, renderer.layout, size, first + count, _open_cached)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks that the scenes have labels for."""
        return self._stored.tasks

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the semantic classes."""
        return self._stored.classes

    @property
    def size(self) -> Size:
        """Height and width of the scenes."""
        return self._stored.size

    def __len__(self) -> int:
        return self._count

    def image(self, index: int) -> Floats:
        """Image `index`, (H, W, 3) float32 in [0, 1]."""
        return self.scene(index, ()).image

    def scene(self, index: int, tasks: Collection[Task]) -> Scene:
        """Scene `index` with the labels of `tasks`; label files of other tasks are not read."""
        if not 0 <= index < self._count:
            raise IndexError(f"{self._renderer.name}: no image {index}, there are {self._count}")
        number = self._first + index
        try:
            return self._stored.scene(number, tasks)
        except DataError:
            # Missing or damaged: render it (again).
            self._store(number)
        return self._stored.scene(number, tasks)

    def fingerprint(self) -> SplitRecord:
        """What determines the scenes; none is rendered."""
        return SplitRecord(images=self._count, digest=values_digest(self._identity))

    def stamps(self, indices: Sequence[int]) -> Stamps:
        """What determines these images, which never change."""
        return constant_stamps(self._identity, tuple(indices))

    @property
    def _identity(self) -> tuple[object, ...]:
        renderer = self._renderer
        return renderer.name, renderer.version, self._seed, self._first, self._count, self.size

    def _store(self, number: int) -> None:
        scene = self._renderer.render(self._seed, number, self.size)
        layout = self._renderer.layout
        labels = {folder: getattr(scene, task) for task, folder in layout.labels.items()}
        for name, array in {layout.image: np.round(scene.image * 255).astype(np.uint8), **labels}.items():
            target = self._stored.folder / name / f"{number}.npy"
            try:
                # Not flushed to disk, which would take a quarter of the time: a file truncated by a crash is damaged,
                # and rendered again.
                write_atomically(target, partial(_save, path=target, array=array), durable=False)
            except OSError as error:
                raise DataError(
                    f"{target}: cannot be written ({error}); free space or allow writing there, "
                    "or set RDC_SWEEP_CACHE_ROOT to another folder"
                ) from error


def _save(file: IO[bytes], path: Path, array: AnyArray) -> None:
    content = io.BytesIO()
    np.save(content, array)
    file.write(content.getbuffer())
    file.write(_checksum(path, content.getbuffer()))


def _open_cached(path: Path) -> Stored:
    """Read a cached file.

    Raises:
        DataError: It is missing or damaged, or was written for another scene.
    """
    try:
        content = memoryview(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    if content[-4:] != _checksum(path, content[:-4]):
        raise DataError(f"{path}: damaged, or of an earlier version")
    return Stored(path, np.load(io.BytesIO(content)), free=True)


def _checksum(path: Path, content: memoryview) -> bytes:
    """Of the content and of the data set, seed, size, folder and number that the path names."""
    return zlib.crc32(content, zlib.crc32("/".join(path.parts[-4:]).encode())).to_bytes(4)
