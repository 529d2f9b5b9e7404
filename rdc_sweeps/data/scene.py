"""A scene (an image and its dense labels as NumPy arrays), and the interface of data sets."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.data.stamps import Stamps, image_stamps
from rdc_sweeps.specs.base import Size, Task

VOID = -1
"""Semantic label of an unlabelled pixel. Invalid depth is 0, an invalid normal (0, 0, 0)."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Scene:
    """An image and its requested labels.

    Attributes:
        image: (H, W, 3) float32, RGB in [0, 1].
        semantic: (H, W) int16, class index, -1 void.
        depth: (H, W) float32, metres along the optical axis or, for streets, disparity (raw 16-bit values of
            Cityscapes / 65535); 0 invalid.
        normal: (H, W, 3) float32, unit vectors in the camera's frame (x right, y down, z forward) that face
            the camera, (0, 0, 0) invalid.
    """

    image: Floats
    semantic: NDArray[np.int16] | None = None
    depth: Floats | None = None
    normal: Floats | None = None


class Dataset(Protocol):
    """Scenes by index. Only the files of requested labels are opened."""

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Tasks with labels in this data set."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the semantic classes."""
        ...

    @property
    def size(self) -> Size:
        """Height and width of every scene."""
        ...

    def __len__(self) -> int: ...

    def image(self, index: int) -> Floats:
        """Image `index`, (H, W, 3) float32 in [0, 1]."""
        ...

    def scene(self, index: int, tasks: Collection[Task]) -> Scene:
        """Scene `index` with the labels of `tasks`; label files of other tasks are not opened."""
        ...


class Subset:
    """The given images of a data set, in that order."""

    def __init__(self, dataset: Dataset, indices: NDArray[np.int64]) -> None:
        self._dataset = dataset
        self._indices = indices

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Tasks with labels in this data set."""
        return self._dataset.tasks

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the semantic classes."""
        return self._dataset.classes

    @property
    def size(self) -> Size:
        """Height and width of every scene."""
        return self._dataset.size

    def __len__(self) -> int:
        return len(self._indices)

    def image(self, index: int) -> Floats:
        """Image `index` of the subset."""
        return self._dataset.image(int(self._indices[index]))

    def scene(self, index: int, tasks: Collection[Task]) -> Scene:
        """Scene `index` of the subset with the labels of `tasks`."""
        return self._dataset.scene(int(self._indices[index]), tasks)

    def stamps(self, indices: Sequence[int]) -> Stamps | None:
        """The stamps of images of the subset."""
        return image_stamps(self._dataset, self._indices[list(indices)].tolist())
