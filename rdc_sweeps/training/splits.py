"""The training, validation and test images of a run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.data.roots import open_cityscapes, open_nyuv2
from rdc_sweeps.data.scene import Dataset, Subset
from rdc_sweeps.errors import DataError
from rdc_sweeps.specs.base import Spec
from rdc_sweeps.specs.dataset import CityscapesSpec, DatasetSpec, NyuV2Spec, RoomsSpec, StreetsSpec
from rdc_sweeps.specs.extensions import implementation
from rdc_sweeps.synthetic.rooms.scenes import open_rooms
from rdc_sweeps.synthetic.streets.scenes import open_streets

OPENERS: dict[type[Spec], Callable[[Any, Path | None, Path], tuple[Dataset, Dataset]]] = {
    NyuV2Spec: open_nyuv2,
    RoomsSpec: open_rooms,
    CityscapesSpec: open_cityscapes,
    StreetsSpec: open_streets,
}
"""Opens each built-in data set: (spec, root, cache folder) -> (training split, test split)."""


@dataclass(frozen=True)
class Splits:
    """The images of a run.

    Attributes:
        train, validation, test: Data sets, read at the size in the spec.
        train_indices, validation_indices: Positions of these images in the original training split, for label settings.
        whole: The original training and test split, of which the images are.
    """

    train: Dataset
    validation: Dataset
    test: Dataset
    train_indices: NDArray[np.int64]
    validation_indices: NDArray[np.int64]
    whole: tuple[Dataset, Dataset]

    @property
    def training_images(self) -> int:
        """Number of images in the original training split."""
        return len(self.whole[0])


def open_splits(spec: DatasetSpec, *, root: Path | None, cache: Path) -> Splits:
    """Open a data set and select its images.

    The last images of the training split are held out for validation, since neighbours often show the same scene; the
    training and test images are spread evenly over the remaining ones.

    Args:
        spec: The data set.
        root: Its folder; None for synthetic data sets.
        cache: Folder for rendered synthetic data sets.

    Raises:
        DataError: The data set is missing, damaged or has too few images.
    """
    training, testing = open_whole(spec, root, cache)
    total = len(training)
    left = total - spec.validation_images
    if left < 1:
        raise DataError(
            f"{spec.name}: validation_images is {spec.validation_images}, but the training split has {total} images; "
            "lower dataset.validation_images"
        )
    train_indices = _spread(left, spec.train_images, f"{spec.name}: dataset.train_images")
    test_indices = _spread(len(testing), spec.test_images, f"{spec.name}: dataset.test_images")
    validation_indices = np.arange(left, total)
    return Splits(
        Subset(training, train_indices),
        Subset(training, validation_indices),
        Subset(testing, test_indices),
        train_indices,
        validation_indices,
        (training, testing),
    )


def open_whole(spec: DatasetSpec, root: Path | None, cache: Path) -> tuple[Dataset, Dataset]:
    """The whole training split and the whole test split.

    Raises:
        DataError: The data set is missing or damaged.
    """
    opened: tuple[Dataset, Dataset] = implementation("rdc_sweeps.datasets", spec, OPENERS)(spec, root, cache)
    return opened


def other_count(spec: DatasetSpec, splits: Splits) -> str | None:
    """How many images the splits have if the published data set has other numbers; None if they are the same.

    This includes data sets that nobody has published.
    """
    found = tuple(map(len, splits.whole))
    published: tuple[int, int] | None = getattr(spec, "published", None)
    if published is None or found == published:
        return None
    return (
        f"{spec.name}: has {found[0]} training and {found[1]} test images, but {published[0]} and {published[1]} "
        "are published"
    )


def _spread(available: int, wanted: int | None, field: str) -> NDArray[np.int64]:
    """`wanted` indices spread evenly over `available`; all if `wanted` is None."""
    if wanted is None:
        return np.arange(available)
    if wanted > available:
        raise DataError(f"{field} is {wanted}, but there are only {available}; lower it, or set it to null for all")
    return np.arange(wanted) * available // wanted
