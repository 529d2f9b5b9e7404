"""Data sets that are drawn here: scenes are rendered when first asked for, and kept on disk in MTAN's layout."""

import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.data.mtan import MtanFolder, MtanLayout
from rdc_sweeps.data.scene import Floats, Scene
from rdc_sweeps.errors import DataError
from rdc_sweeps.specs.base import Size, Task

FIRST_TEST_INDEX = 2**32
"""Scenes from here on are test images, so that a larger training split leaves the test images as they are."""


@dataclass(frozen=True)
class Renderer:
    """How the scenes of a data set are made.

    Attributes:
        name: The data set.
        version: Raised whenever the same seed and index give another scene.
        layout: Folders and classes of its files.
        render: Seed, index and size to a scene with all labels.
    """

    name: str
    version: int
    layout: MtanLayout
    render: Callable[[int, int, Size], Scene]


class RenderedScenes:
    """Scenes `first` to `first + count - 1` of those that `seed` determines.

    Any number of processes may share a cache: files appear whole or not at all, and all write the same.
    """

    def __init__(self, renderer: Renderer, seed: int, first: int, count: int, size: Size, cache: Path) -> None:
        self._renderer = renderer
        self._seed = seed
        self._first = first
        self._count = count
        name = f"v{renderer.version}-seed{seed}-{size[0]}x{size[1]}"
        self._stored = MtanFolder(cache / renderer.name / name, renderer.layout, size, first + count)

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Tasks that scenes have labels for."""
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
        """Scene `index` with the labels of `tasks`; label files of other tasks are not opened."""
        if not 0 <= index < self._count:
            raise IndexError(f"{self._renderer.name}: no image {index}, there are {self._count}")
        number = self._first + index
        try:
            return self._stored.scene(number, tasks)
        except DataError:
            # Not there yet, or damaged: either way the scene is rendered (again).
            self._store(number)
        return self._stored.scene(number, tasks)

    def _store(self, number: int) -> None:
        scene = self._renderer.render(self._seed, number, self.size)
        layout = self._renderer.layout
        labels = {folder: getattr(scene, task) for task, folder in layout.labels.items()}
        for name, array in {layout.image: np.round(scene.image * 255).astype(np.uint8), **labels}.items():
            target = self._stored.folder / name / f"{number}.npy"
            try:
                _write(target, array)
            except OSError as error:
                raise DataError(
                    f"{target}: cannot be written ({error}); free space or allow writing there, "
                    "or set RDC_SWEEP_CACHE_ROOT to another folder"
                ) from error


def _write(target: Path, array: NDArray[np.generic]) -> None:
    """Write an array whole or not at all.

    Unlike a run's files it is not forced to disk, which would take a quarter of the time: what a crash of the machine
    cuts short is rendered again.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        with part.open("xb") as file:
            np.save(file, array)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
