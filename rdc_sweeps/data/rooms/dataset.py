"""The `rooms` data set: scenes that are rendered when first asked for, and kept on disk in MTAN's layout."""

import uuid
from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.data.mtan import MtanFolder
from rdc_sweeps.data.nyuv2 import LAYOUT
from rdc_sweeps.data.rooms.render import GENERATOR_VERSION, render
from rdc_sweeps.data.scene import Floats, Scene
from rdc_sweeps.errors import DataError
from rdc_sweeps.specs.base import Size, Task
from rdc_sweeps.specs.dataset import RoomsSpec

FIRST_TEST_INDEX = 2**32
"""Scenes from here on are test images, so that a larger training split leaves the test images as they are."""


class Rooms:
    """Scenes `first` to `first + count - 1` of the rooms that `seed` determines.

    Any number of processes may share a cache: files appear whole or not at all, and all write the same.
    """

    def __init__(self, seed: int, first: int, count: int, size: Size, cache: Path) -> None:
        self._seed = seed
        self._first = first
        self._count = count
        name = f"v{GENERATOR_VERSION}-seed{seed}-{size[0]}x{size[1]}"
        self._stored = MtanFolder(cache / "rooms" / name, LAYOUT, size, first + count)

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
            raise IndexError(f"rooms: no image {index}, there are {self._count}")
        number = self._first + index
        try:
            return self._stored.scene(number, tasks)
        except DataError:
            # Not there yet, or damaged: either way the scene is rendered (again).
            self._store(number)
        return self._stored.scene(number, tasks)

    def _store(self, number: int) -> None:
        scene = render(self._seed, number, self.size)
        labels = {folder: getattr(scene, task) for task, folder in LAYOUT.labels.items()}
        for name, array in {LAYOUT.image: np.round(scene.image * 255).astype(np.uint8), **labels}.items():
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


def open_rooms(spec: RoomsSpec, root: Path | None, cache: Path) -> tuple[Rooms, Rooms]:
    """The training split, with the images that are held out at its end, and the test split; nothing is read."""
    training = spec.train_images + spec.validation_images
    return (
        Rooms(spec.seed, 0, training, spec.size, cache),
        Rooms(spec.seed, FIRST_TEST_INDEX, spec.test_images, spec.size, cache),
    )
