"""NYU-V2 (Silberman et al., ECCV 2012) as its owners distribute it: nyu_depth_v2_labeled.mat."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rdc_sweeps.data.arrays import AnyArray, nearest, nearest_indices
from rdc_sweeps.data.fingerprint import files_digest, spread, values_digest
from rdc_sweeps.data.importing.matlab import MatlabFile, open_matlab, read_v5
from rdc_sweeps.data.importing.normal_maps import NormalMaps, open_normal_maps
from rdc_sweeps.data.importing.nyuv2_facts import IMAGES, LABELS, class_of_label, official_split
from rdc_sweeps.data.importing.pixels import by_area
from rdc_sweeps.data.importing.source import Split
from rdc_sweeps.data.mtan import NYUV2_LAYOUTS, MtanLayout
from rdc_sweeps.data.normals import Intrinsics, normals_from_depth
from rdc_sweeps.data.scene import Floats
from rdc_sweeps.errors import DataError
from rdc_sweeps.specs.base import Size

VERSION = 1
"""Increases whenever other values are written."""

NATIVE = (480, 640)

CAMERA = Intrinsics(fx=518.857901, fy=519.469611, cx=325.582449 - 0.5, cy=253.736166 - 0.5)
"""The colour camera, to which depth is registered, from `camera_params.m` of the owners' toolbox. There the middle of
the first pixel is at (1, 1)."""

BORDER = (slice(44, 471), slice(40, 601))
"""Rows and columns without the white border: 45 to 471 and 41 to 601 in the toolbox, `get_projection_mask.m`."""

NOISE = 1.4e-3
"""Standard deviation of inverse depth in 1/m, of a Kinect: Khoshelham and Elberink (Sensors 2012), 1.4 mm at 1 m,
3.6 cm at 5 m."""

DEPTHS = {"inpainted": "depths", "raw": "rawDepths"}
"""Arrays of depth: with the holes filled in, and as measured."""

TYPES = {"images": np.uint8, "labels": np.uint16, "depths": np.float32, "rawDepths": np.float32}

SAMPLES = 4
"""Images whose normal maps are compared with depth."""


@dataclass(frozen=True)
class NyuV2Source:
    """The labelled images.

    Attributes:
        file: nyu_depth_v2_labeled.mat.
        numbers: Of the images of each split, counted from 1.
        size: Height and width to write.
        cropped: Whether the white border is cut off.
        depth: Depth with holes filled in, or as measured.
        classes: Number of classes.
        maps: Normals that others have computed; None to fit them to depth.
    """

    file: Path
    numbers: Mapping[Split, tuple[int, ...]]
    size: Size
    cropped: bool
    depth: Literal["inpainted", "raw"]
    classes: Literal[13, 40]
    maps: NormalMaps | None = None

    @cached_property
    def description(self) -> Mapping[str, Any]:
        """See `Source.description`."""
        return {
            "name": "nyuv2",
            "version": VERSION,
            "file": files_digest({"labeled": self.file}, blocks=64),
            "split": values_digest(dict(self.numbers)),
            "size": list(self.size),
            "cropped": self.cropped,
            "depth": self.depth,
            "classes": self.classes,
            "normals": self.maps.digest(self.numbers) if self.maps else "fitted to depth",
        }

    @property
    def layout(self) -> MtanLayout:
        """See `Source.layout`."""
        return NYUV2_LAYOUTS[self.classes]

    @property
    def counts(self) -> Mapping[Split, int]:
        """See `Source.counts`."""
        return {split: len(numbers) for split, numbers in self.numbers.items()}

    def scene(self, split: Split, index: int) -> Mapping[str, AnyArray]:
        """See `Source.scene`."""
        number = self.numbers[split][index]
        with open_matlab(self.file) as file:
            stored = {name: file.part(name, number - 1).T for name in ("images", "labels", DEPTHS[self.depth])}
        rows, columns = BORDER if self.cropped else (slice(0, NATIVE[0]), slice(0, NATIVE[1]))
        labels = stored["labels"]
        if (largest := int(labels.max())) > LABELS:
            raise DataError(
                f"{self.file}: image {number} has label {largest}, but labels are 0 to {LABELS}; download it again"
            )
        depth = nearest(stored[DEPTHS[self.depth]][rows, columns], self.size)
        return {
            "image": by_area(stored["images"][rows, columns], self.size),
            "semantic": class_of_label(self.classes)[nearest(labels[rows, columns], self.size)],
            "depth": depth,
            "normal": self._normal(depth, split, number, rows, columns),
        }

    def _normal(self, depth: Floats, split: Split, number: int, rows: slice, columns: slice) -> Floats:
        if self.maps is not None:
            return nearest(self.maps.read(split, number)[rows, columns], self.size)
        taken = (
            part.start + nearest_indices(wanted, part.stop - part.start) + 0.5
            for part, wanted in zip((rows, columns), self.size, strict=True)
        )
        return normals_from_depth(depth, CAMERA.rays(*taken), NOISE)


def open_nyuv2_source(
    file: Path,
    *,
    size: Size = (288, 384),
    cropped: bool = True,
    depth: Literal["inpainted", "raw"] = "inpainted",
    classes: Literal[13, 40] = 13,
    normals: Path | None = None,
    splits: Path | None = None,
) -> NyuV2Source:
    """Check the file's arrays and choose what to write.

    Args:
        file: nyu_depth_v2_labeled.mat.
        size: Height and width to write.
        cropped: Cut off the white border.
        depth: Depth with holes filled in, or as measured.
        classes: Number of classes.
        normals: The folder normals_gt or nyu_normals_gt, see `NormalMaps`; None to fit normals to depth.
        splits: A file like splits.mat with the numbers of the images; None for the official split, which needs no file.

    Raises:
        DataError: A file is missing, damaged, or another one.
    """
    try:
        with open_matlab(file) as opened:
            count = _check_arrays(opened, ("images", "labels", DEPTHS[depth]))
    except DataError as error:
        raise DataError(f"{error}\nthe file is nyu_depth_v2_labeled.mat, see `rdc-sweep data where nyuv2`") from error
    numbers = _official(file, count) if splits is None else _read_splits(splits, count)
    source = NyuV2Source(file, numbers, size, cropped, depth, classes)
    if normals is None:
        return source
    maps = open_normal_maps(normals, numbers)
    fitted = replace(source, size=(NATIVE[0] // 4, NATIVE[1] // 4), cropped=False, depth="inpainted")
    return replace(source, maps=maps.recognised(_compared(maps, fitted)))


def _compared(maps: NormalMaps, fitted: NyuV2Source) -> Iterator[tuple[Floats, Floats]]:
    """Normals as stored and as fitted, of some images."""
    for split, numbers in fitted.numbers.items():
        for index in spread(len(numbers), SAMPLES // 2):
            yield nearest(maps.read(split, numbers[index]), fitted.size), fitted.scene(split, index)["normal"]


def _check_arrays(file: MatlabFile, names: tuple[str, ...]) -> int:
    """The number of images, if all arrays have the shapes and types of the data set."""
    count = file.shape("images")[0] if file.shape("images") else 0
    for name in names:
        expected = (count, 3, *NATIVE[::-1]) if name == "images" else (count, *NATIVE[::-1])
        if file.shape(name) != expected or not count:
            raise DataError(f"{file.path}: {name} has shape {file.shape(name)}, expected {expected}")
        if file.dtype(name) != TYPES[name]:
            raise DataError(
                f"{file.path}: {name} has values of type {file.dtype(name)}, expected {TYPES[name].__name__}"
            )
    return count


def _official(file: Path, count: int) -> dict[Split, tuple[int, ...]]:
    if count != IMAGES:
        raise DataError(
            f"{file}: has {count} images, but the official split is of {IMAGES}; download the file again, or name "
            "another split with --splits"
        )
    training, test = official_split()
    return {"train": training, "val": test}


def _read_splits(path: Path, count: int) -> dict[Split, tuple[int, ...]]:
    found = read_v5(path, ("trainNdxs", "testNdxs"))
    train, val = (tuple(int(one) for one in found[name].ravel()) for name in ("trainNdxs", "testNdxs"))
    numbers = [*train, *val]
    if not train or not val or min(numbers) < 1 or max(numbers) > count or len(set(numbers)) != len(numbers):
        raise DataError(
            f"{path}: has {len(train)} training and {len(val)} test images, from {min(numbers, default=0)} to "
            f"{max(numbers, default=0)}; they must be different numbers from 1 to {count}, at least one of each"
        )
    return {"train": train, "val": val}
