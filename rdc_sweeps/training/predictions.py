"""Predictions for some test images with their inputs and labels, reduced in size, in a file of the run."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.data.arrays import AnyArray, nearest
from rdc_sweeps.data.scene import VOID
from rdc_sweeps.errors import DamagedError
from rdc_sweeps.files import Write, write_atomically
from rdc_sweeps.specs.base import Size, Task
from rdc_sweeps.training.archives import REMEDY, load_arrays, save_arrays
from rdc_sweeps.training.colours import Picture

Maps = dict[Task, NDArray[Any]]
"""By task: semantic int16 (N, h, w), -1 void; depth float16 (N, h, w), 0 invalid; normal float16 (N, 3, h, w), zero
invalid."""

_STORED_VOID = np.iinfo(np.uint8).max
"""The value of void in a file; one above 8 bits has void as -1."""


def predictions_file(folder: Path) -> Path:
    """The file with the predictions after the last epoch."""
    return folder / "predictions.npz"


@dataclass(frozen=True)
class ImagePredictions:
    """Predictions for N test images; maps are as `Maps` says, reduced to the nearest pixels.

    Attributes:
        epoch: The epoch after which they were made, counted from 0.
        images: int64 (N,), positions in the test split.
        inputs: uint8 (N, h, w, 3), the images.
        truth: The labels.
        predicted: The predictions of the tasks; the class with the highest score.
    """

    epoch: int
    images: NDArray[np.int64]
    inputs: Picture
    truth: Maps
    predicted: Maps

    def __len__(self) -> int:
        return len(self.images)

    def place(self, image: int) -> int | None:
        """Where a test image is in the arrays; None if it is not among them."""
        (places,) = np.nonzero(self.images == image)
        return int(places[0]) if len(places) else None

    def save(self, path: Path, run: str, write: Write = write_atomically) -> None:
        """Write the file, with classes as 8 bits where they fit."""
        arrays: dict[str, NDArray[Any]] = {"epoch": np.array(self.epoch), "images": self.images, "input": self.inputs}
        for kind, maps in (("truth", self.truth), ("prediction", self.predicted)):
            arrays |= {f"{kind}.{task}": _stored(found) for task, found in maps.items()}
        save_arrays(path, run, arrays, write)

    @classmethod
    def load(cls, path: Path, run: str) -> Self | None:
        """Read the file; None if there is none.

        Raises:
            DamagedError: It is damaged, or another run's.
            OSError: The disk cannot be read.
        """
        arrays = load_arrays(path, run)
        if arrays is None:
            return None
        try:
            return cls(
                epoch=int(arrays["epoch"]),
                images=arrays["images"],
                inputs=arrays["input"],
                truth=_maps(arrays, "truth"),
                predicted=_maps(arrays, "prediction"),
            )
        except KeyError as error:
            raise DamagedError(f"{path}: lacks {error}; {REMEDY}") from error


def reduced_size(size: Size, side: int) -> Size:
    """Height and width of which neither exceeds `side`, in the proportions of `size`; never larger than it."""
    height, width = size
    factor = min(1.0, side / max(size))
    return max(1, round(height * factor)), max(1, round(width * factor))


def reduced(maps: AnyArray, size: Size) -> AnyArray:
    """Maps (..., H, W) at another size, each pixel the nearest of before."""
    rows_first = np.moveaxis(maps, (-2, -1), (0, 1))
    picked: AnyArray = np.moveaxis(nearest(rows_first, size), (0, 1), (-2, -1))
    return picked


def half_precision(values: AnyArray) -> NDArray[np.float16]:
    """Values as float16; those beyond its range become its largest."""
    most = float(np.finfo(np.float16).max)
    return np.clip(values, -most, most).astype(np.float16)


def _stored(maps: NDArray[Any]) -> NDArray[Any]:
    if maps.dtype != np.int16 or maps.max(initial=VOID) >= _STORED_VOID:
        return maps
    return np.where(maps < 0, _STORED_VOID, maps).astype(np.uint8)


def _loaded(maps: NDArray[Any]) -> NDArray[Any]:
    if maps.dtype != np.uint8:
        return maps
    return np.where(maps == _STORED_VOID, VOID, maps.astype(np.int16)).astype(np.int16)


def _maps(arrays: Mapping[str, NDArray[Any]], kind: str) -> Maps:
    return {task: _loaded(arrays[f"{kind}.{task}"]) for task in get_args(Task) if f"{kind}.{task}" in arrays}
