"""NYU-V2 and Cityscapes in MTAN's `.npy` layout: `<split>/<folder>/<index>.npy`, one folder per task."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from rdc_sweeps.data import arrays, fingerprint
from rdc_sweeps.data.arrays import READING, AnyArray, Stored, open_array, read_array
from rdc_sweeps.data.memory import Memory
from rdc_sweeps.data.provenance import SplitRecord
from rdc_sweeps.data.scene import Floats, Scene
from rdc_sweeps.data.stamps import SoundFiles, Stamps, stamps
from rdc_sweeps.data.units import DISPARITY, METRES, DepthUnit
from rdc_sweeps.errors import DataError
from rdc_sweeps.specs.base import Size, Task
from rdc_sweeps.specs.dataset import (
    CITYSCAPES_19_CLASSES,
    CITYSCAPES_CLASSES,
    NYU_40_CLASSES,
    NYU_CLASSES,
)

Kind = Literal["image"] | Task


@dataclass(frozen=True)
class MtanLayout:
    """Folder names of one split, and the data set's classes and labels.

    Attributes:
        classes: Names of the semantic classes.
        labels: The folder of each task.
        image: The folder of the images.
        depth_unit: Depth in another unit is refused; None to accept any.
    """

    classes: tuple[str, ...]
    labels: Mapping[Task, str]
    image: str = "image"
    depth_unit: DepthUnit | None = None

    @property
    def folders(self) -> tuple[str, ...]:
        """All folders of a split."""
        return (self.image, *self.labels.values())


STORED_FOLDERS: dict[Task, str] = {"semantic": "label", "depth": "depth", "normal": "normal"}
"""The folder of each task, except of published data sets that have another."""

NYUV2_LAYOUT = MtanLayout(NYU_CLASSES, STORED_FOLDERS, depth_unit=METRES)
"""NYU-V2 (Silberman et al. 2012) as published with MTAN: 13 classes."""

NYUV2_LAYOUTS = {
    13: NYUV2_LAYOUT,
    40: MtanLayout(NYU_40_CLASSES, {**STORED_FOLDERS, "semantic": "label_40"}, depth_unit=METRES),
}
"""By the number of classes."""

CITYSCAPES_LAYOUT = MtanLayout(CITYSCAPES_CLASSES, {"semantic": "label_7", "depth": "depth"}, depth_unit=DISPARITY)
"""Cityscapes (Cordts et al. 2016) as published with MTAN: 7 classes, and disparity in place of depth."""

CITYSCAPES_LAYOUTS = {
    7: CITYSCAPES_LAYOUT,
    19: MtanLayout(CITYSCAPES_19_CLASSES, {"semantic": "label_19", "depth": "depth"}, depth_unit=DISPARITY),
}
"""By the number of classes."""


class MtanFolder:
    """One split in MTAN's layout, read at `size`. Only requested files are opened."""

    def __init__(
        self,
        folder: Path,
        layout: MtanLayout,
        size: Size,
        count: int,
        open_file: Callable[[Path], Stored] | None = None,
    ) -> None:
        self.folder = folder
        self._open_file = open_file or partial(read_array, memory=Memory())
        self._layout = layout
        self._size = size
        self._count = count
        self._sound = SoundFiles(0 if open_file else count * len(layout.folders))
        self._paths: dict[tuple[str, int], Path] = {}

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Tasks with labels in this data set."""
        return tuple(self._layout.labels)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the semantic classes."""
        return self._layout.classes

    @property
    def size(self) -> Size:
        """Height and width at which scenes are read."""
        return self._size

    def __len__(self) -> int:
        return self._count

    def image(self, index: int) -> Floats:
        """Image `index`, (H, W, 3) float32 in [0, 1].

        Raises:
            DataError: The file is damaged.
        """
        return self._array("image", index, self._open(self._layout.image, index))

    def scene(self, index: int, tasks: Collection[Task]) -> Scene:
        """Scene `index` with the labels of `tasks`; label files of other tasks are not opened.

        Raises:
            DataError: A file is damaged, or its labels are out of range.
        """
        image = self._open(self._layout.image, index)
        labels = {task: self._open(self._layout.labels[task], index) for task in tasks}
        for label in labels.values():
            _same_resolution(label, image)
        arrays_of = {task: self._array(task, index, label) for task, label in labels.items()}
        return Scene(self._array("image", index, image), **arrays_of)

    @property
    def identity(self) -> tuple[object, ...]:
        """On what its scenes depend besides the files."""
        layout = self._layout
        return layout.folders, self.tasks, len(layout.classes), layout.depth_unit, self._size, READING

    def files(self) -> list[Path]:
        """All files of the split."""
        return [self._path(folder, index) for folder in self._layout.folders for index in range(self._count)]

    def all_stamps(self) -> Stamps:
        """The stamps of all files.

        Raises:
            OSError: A file cannot be looked at.
        """
        return stamps(self.files(), self.identity)

    def stamps(self, indices: Sequence[int]) -> Stamps | None:
        """The stamps of images; None if a file cannot be looked at."""
        try:
            return stamps([self._path(self._layout.image, index) for index in indices], READING, self._size)
        except OSError:
            # Reading it says what is wrong.
            return None

    def fingerprint(self) -> SplitRecord:
        """The fingerprint of all files of the split.

        Raises:
            DataError: A file is missing or damaged.
        """
        folders = self._layout.folders
        names = [f"{folder}/{index}.npy" for folder in folders for index in range(self._count)]
        some = fingerprint.spread(self._count)
        stored = {folder: [np.asarray(self._open(folder, index).values) for index in some] for folder in folders}
        return SplitRecord(
            images=self._count,
            digest=fingerprint.files_digest({name: self.folder / name for name in names}),
            means=fingerprint.means(stored),
        )

    def _array(self, kind: Kind, index: int, stored: Stored) -> AnyArray:
        """An array of a scene.

        A file that was found sound, and whose array needs no change, is not looked through again while its stamp is the
        same.
        """
        number = index * len(self._layout.folders) + (0 if kind == "image" else 1 + self.tasks.index(kind))
        if self._sound.knows(number, stored.stamp):
            return stored.values.reshape((*self._size, 3) if kind == "image" else self._size)
        match kind:
            case "image":
                array: AnyArray = arrays.image_of(stored, self._size)
            case "semantic":
                array = arrays.semantic_of(stored, self._size, len(self.classes))
            case "depth":
                array = arrays.depth_of(stored, self._size, self._layout.depth_unit)
            case "normal":
                return arrays.normal_of(stored, self._size)
        if array is stored.values or array.base is stored.values:
            self._sound.add(number, stored.stamp)
        return array

    def _open(self, folder: str, index: int) -> Stored:
        if not 0 <= index < self._count:
            raise IndexError(f"{self.folder}: no image {index}, there are {self._count}")
        return self._open_file(self._path(folder, index))

    def _path(self, folder: str, index: int) -> Path:
        # Made once: making a path takes as long as opening its file.
        found = self._paths.get((folder, index))
        if found is None:
            found = self._paths[folder, index] = self.folder.absolute() / folder / f"{index}.npy"
        return found


def find_files(folder: Path, layout: MtanLayout, setting: str) -> tuple[int, list[str]]:
    """The number of scenes of a split, and what is wrong with the names of its files.

    Args:
        folder: The split's folder.
        layout: Its folders.
        setting: Name of the setting that locates the data set, for messages.

    Raises:
        DataError: There are no such folders, or no files.
    """
    if not folder.is_dir():
        raise DataError(
            f"{folder}: no such folder; {setting} must name the folder that holds {folder.name}/{layout.image}/0.npy"
        )
    missing = [name for name in layout.folders if not (folder / name).is_dir()]
    if missing:
        raise DataError(
            "\n".join(f"{folder / name}: no such folder; a split has {', '.join(layout.folders)}" for name in missing)
        )
    names = {name: {path.name for path in (folder / name).glob("[!.]*.npy")} for name in layout.folders}
    count = max(sum(path.removesuffix(".npy").isdecimal() for path in found) for found in names.values())
    if not count:
        raise DataError(f"{folder}: contains no files 0.npy, 1.npy, ...; write the data set there, or set {setting}")
    expected = {f"{index}.npy" for index in range(count)}
    problems = [
        f"{folder / name}: must contain 0.npy to {count - 1}.npy like the other folders, found {len(found)} files; "
        + _difference(expected, found)
        for name, found in names.items()
        if found != expected
    ]
    return count, problems


def open_mtan(folder: Path, layout: MtanLayout, size: Size, setting: str) -> MtanFolder:
    """Open a split after a quick check of its folders, file names, and the first and last file of each folder.

    Args:
        folder: The split's folder.
        layout: Its folders and classes.
        size: Height and width at which to read.
        setting: Name of the setting that locates the data set, for messages.

    Raises:
        DataError: Everything that is wrong with the split, one problem per line.
    """
    count, problems = find_files(folder, layout, setting)
    if problems:
        raise DataError("\n".join(problems))
    for index in {0, count - 1}:
        image = open_array(folder / layout.image / f"{index}.npy")
        for name in layout.labels.values():
            _same_resolution(open_array(folder / name / f"{index}.npy"), image)
    return MtanFolder(folder, layout, size, count)


def _difference(expected: set[str], found: set[str]) -> str:
    missing, extra = sorted(expected - found, key=_by_number), sorted(found - expected, key=_by_number)
    parts = []
    if missing:
        parts.append(f"add {_some(missing)}")
    if extra:
        parts.append(f"remove or rename {_some(extra)}")
    return " and ".join(parts)


def _by_number(name: str) -> tuple[int, str]:
    stem = name.removesuffix(".npy")
    return (int(stem) if stem.isdecimal() else -1, name)


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _same_resolution(label: Stored, image: Stored) -> None:
    there, wanted = label.values.shape, image.values.shape
    if there[:2] != wanted[:2]:
        raise DataError(
            f"{label.path}: shape {there}, but {image.path} has {wanted}; write both at the same resolution"
        )
