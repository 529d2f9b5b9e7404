"""Cityscapes (Cordts et al., CVPR 2016) as its owners distribute it: leftImg8bit, gtFine and disparity."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.data.arrays import AnyArray, nearest
from rdc_sweeps.data.fingerprint import group_digests
from rdc_sweeps.data.importing.files import Key, check_complete, find_files
from rdc_sweeps.data.importing.pixels import by_area, read_pixels
from rdc_sweeps.data.importing.source import SCENES, Split
from rdc_sweeps.data.mtan import CITYSCAPES_LAYOUTS, MtanLayout
from rdc_sweeps.data.scene import VOID
from rdc_sweeps.errors import DataError
from rdc_sweeps.specs.base import Size

VERSION = 1
"""Increases whenever other values are written."""

SPLITS: tuple[Split, ...] = ("train", "val")

LABELS = (
    ("unlabeled", VOID, VOID),
    ("ego vehicle", VOID, VOID),
    ("rectification border", VOID, VOID),
    ("out of roi", VOID, VOID),
    ("static", VOID, VOID),
    ("dynamic", VOID, VOID),
    ("ground", VOID, VOID),
    ("road", 0, 0),
    ("sidewalk", 0, 1),
    ("parking", 0, VOID),
    ("rail track", 0, VOID),
    ("building", 1, 2),
    ("wall", 1, 3),
    ("fence", 1, 4),
    ("guard rail", 1, VOID),
    ("bridge", 1, VOID),
    ("tunnel", 1, VOID),
    ("pole", 2, 5),
    ("polegroup", 2, VOID),
    ("traffic light", 2, 6),
    ("traffic sign", 2, 7),
    ("vegetation", 3, 8),
    ("terrain", 3, 9),
    ("sky", 4, 10),
    ("person", 5, 11),
    ("rider", 5, 12),
    ("car", 6, 13),
    ("truck", 6, 14),
    ("bus", 6, 15),
    ("caravan", 6, VOID),
    ("trailer", 6, VOID),
    ("train", 6, 16),
    ("motorcycle", 6, 17),
    ("bicycle", 6, 18),
)
"""Name, category and training id of each label id, in the order of ids: the data set's own label table. Category and
training id are class indices; label ids whose category is void are void in both."""

_SUFFIXES = {"image": "leftImg8bit", "semantic": "gtFine_labelIds", "depth": "disparity"}


def class_of_id(classes: Literal[7, 19]) -> NDArray[np.int8]:
    """The class of each label id, -1 for void."""
    return np.array([row[1 if classes == 7 else 2] for row in LABELS], dtype=np.int8)


@dataclass(frozen=True)
class CityscapesSource:
    """Images, label ids and disparities of the official train and val splits.

    Attributes:
        folders: `leftImg8bit`, `gtFine` and `disparity`, by `image`, `semantic` and `depth`.
        keys: City and name of each image, in order.
        size: Height and width to write.
        classes: 7 categories, or the 19 classes of the benchmark.
    """

    folders: Mapping[str, Path]
    keys: Mapping[Split, tuple[Key, ...]]
    size: Size
    classes: Literal[7, 19]

    @cached_property
    def description(self) -> Mapping[str, Any]:
        """See `Source.description`."""
        scenes = {
            split: group_digests(
                [{path.name: path for path in (self._path(kind, key) for kind in _SUFFIXES)} for key in keys]
            )
            for split, keys in self.keys.items()
        }
        return {
            "name": "cityscapes",
            "version": VERSION,
            "classes": self.classes,
            "size": list(self.size),
            SCENES: scenes,
        }

    @property
    def layout(self) -> MtanLayout:
        """See `Source.layout`."""
        return CITYSCAPES_LAYOUTS[self.classes]

    @property
    def counts(self) -> Mapping[Split, int]:
        """See `Source.counts`."""
        return {split: len(keys) for split, keys in self.keys.items()}

    def scene(self, split: Split, index: int) -> Mapping[str, AnyArray]:
        """See `Source.scene`."""
        paths = {kind: self._path(kind, self.keys[split][index]) for kind in _SUFFIXES}
        stored = {kind: read_pixels(path, colours=kind == "image") for kind, path in paths.items()}
        expected = {
            "image": ("8-bit RGB", np.uint8, 3),
            "semantic": ("8-bit", np.uint8, 2),
            "depth": ("16-bit", np.uint16, 2),
        }
        for kind, (title, kind_of_value, dimensions) in expected.items():
            values = stored[kind]
            if values.dtype != kind_of_value or values.ndim != dimensions:
                raise DataError(
                    f"{paths[kind]}: values of type {values.dtype} and shape {values.shape}, but the distributed files "
                    f"have {title} values; extract it again from the official archive"
                )
            if values.shape[:2] != stored["image"].shape[:2]:
                raise DataError(
                    f"{paths[kind]}: {values.shape[0]}x{values.shape[1]} pixels, but {paths['image']} has "
                    f"{stored['image'].shape[0]}x{stored['image'].shape[1]}; extract both again"
                )
        return {
            "image": by_area(stored["image"], self.size),
            "semantic": self._classes(nearest(stored["semantic"], self.size), paths["semantic"]),
            "depth": nearest(stored["depth"], self.size).astype(np.float32) / np.float32(65535),
        }

    def _classes(self, ids: AnyArray, path: Path) -> AnyArray:
        largest = int(ids.max())
        if largest >= len(LABELS):
            hint = "; these are training ids (labelTrainIds)" if largest == 255 else ""
            raise DataError(
                f"{path}: id {largest}, but label ids are 0 to {len(LABELS) - 1}{hint}; extract it again from gtFine"
            )
        return class_of_id(self.classes)[ids]

    def _path(self, kind: str, key: Key) -> Path:
        return self.folders[kind] / key.split / key.scene / f"{key.name}_{_SUFFIXES[kind]}.png"


def open_cityscapes_source(
    images: Path, labels: Path, disparity: Path, *, size: Size = (128, 256), classes: Literal[7, 19] = 7
) -> CityscapesSource:
    """Find and match the files of all three folders.

    Args:
        images: The folder `leftImg8bit`.
        labels: The folder `gtFine`.
        disparity: The folder `disparity`.
        size: Height and width to write.
        classes: 7 categories, or the 19 classes of the benchmark.

    Raises:
        DataError: A folder is another one, or files are missing; all of them are listed.
    """
    folders = {"image": images, "semantic": labels, "depth": disparity}
    patterns = {kind: f"{{split}}/{{scene}}/{{name}}_{suffix}.png" for kind, suffix in _SUFFIXES.items()}
    try:
        found = {kind: _find(folders[kind], patterns[kind]) for kind in _SUFFIXES}
        check_complete(found, {kind: str(folders[kind] / patterns[kind]) for kind in _SUFFIXES})
    except DataError as error:
        raise DataError(f"{error}\n{_expected(folders)}") from error
    keys = {split: tuple(key for key in found["image"] if key.split == split) for split in SPLITS}
    if empty := [split for split in SPLITS if not keys[split]]:
        raise DataError(f"{images / empty[0]}: no images\n{_expected(folders)}")
    return CityscapesSource(folders, keys, size, classes)


def _find(folder: Path, pattern: str) -> dict[Key, Path]:
    within = pattern.removeprefix("{split}/")
    # The other splits have no labels, and many images.
    return {
        key._replace(split=split): path for split in SPLITS for key, path in find_files(folder / split, within).items()
    }


def _expected(folders: Mapping[str, Path]) -> str:
    """What the three folders should be, and whether they look like others."""
    coarse = any(next(folders["semantic"].glob(f"{split}/*/*_gtCoarse_labelIds.png"), None) for split in SPLITS)
    note = f"; {folders['semantic']} has the coarse labels, of gtCoarse" if coarse else ""
    return (
        "the folders are leftImg8bit, gtFine and disparity, in this order, of the official archives "
        f"leftImg8bit_trainvaltest, gtFine_trainvaltest and disparity_trainvaltest{note}"
    )
