"""A look at a few images of a data set before it is trained on."""

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.data.fingerprint import spread
from rdc_sweeps.data.scene import VOID, Dataset, Scene
from rdc_sweeps.errors import DataError
from rdc_sweeps.specs.base import Task

SAMPLES = 4
"""Images per task; each is read with its labels."""


def check_samples(dataset: Dataset, mask: NDArray[np.bool_] | None, title: str) -> None:
    """Read a few images of a split with the labels that they are granted, spread evenly for each task.

    Args:
        dataset: The split.
        mask: (n, K) which labels each of its n images has; None for all.
        title: Name of the split, for messages.

    Raises:
        DataError: A file is damaged or has values that cannot be right, or none of a task's labels has a valid pixel.
    """
    granted = np.ones((len(dataset), len(dataset.tasks)), np.bool_) if mask is None else mask
    for column, task in enumerate(dataset.tasks):
        images = np.flatnonzero(granted[:, column])
        some = images[spread(len(images), SAMPLES)]
        labelled = [_has_label(dataset.scene(index, [task]), task) for index in some.tolist()]
        # Only if all of these are void, which is rare, must the others be read too.
        if images.size and not any(labelled) and not _any_label(dataset, images, task):
            raise DataError(
                f"{title}: none of the {images.size} {task} labels has a valid pixel; write the data set again"
            )


def _any_label(dataset: Dataset, images: NDArray[np.int64], task: Task) -> bool:
    return any(_has_label(dataset.scene(index, [task]), task) for index in images.tolist())


def _has_label(scene: Scene, task: Task) -> bool:
    label = getattr(scene, task)
    return bool((label != VOID).any()) if task == "semantic" else bool(label.any())
