"""Batches: scenes as tensors, in which withheld labels are void."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rdc_sweeps.data.augmentation import Regions
from rdc_sweeps.data.noise import Noise
from rdc_sweeps.data.scene import VOID, Dataset, Scene
from rdc_sweeps.specs.base import Task

RegionsOf = Callable[[int], NDArray[np.int32]]
"""Returns the region ids (H, W) int32 of an image, given its index in the data set; negative: no region."""


@dataclass(frozen=True)
class View:
    """One view of each image of a batch.

    Attributes:
        image: (B, 3, H, W) float32 in [0, 1].
        labels: By task: semantic (B, H, W) int64, -1 void; depth (B, 1, H, W) float32, 0 invalid;
            normal (B, 3, H, W) float32, zero invalid. Withheld labels are void everywhere.
        regions: (B, H, W) int32 ids that are unique within an image, negative for no region, on the CPU; or None.
        valid: (B, H, W) bool on the CPU, False where a label that the image has is void.
    """

    image: Tensor
    labels: dict[Task, Tensor]
    regions: Tensor | None
    valid: Tensor

    def to(self, device: torch.device | str) -> "View":
        """Copy the view to a device, except for what regions are indexed by, which happens on the host."""
        return View(
            self.image.to(device, non_blocking=True),
            {task: label.to(device, non_blocking=True) for task, label in self.labels.items()},
            self.regions,
            self.valid,
        )


@dataclass(frozen=True)
class Batch:
    """Images with their labels.

    Attributes:
        indices: (B,) int64 indices of the images in the data set, on the CPU.
        granted: (B, K) bool on the CPU, which labels each image has; K tasks in the data set's order.
        views: One or two views of the same images.
        noise: Source of random numbers for the B images at this step.
        fraction: Fraction of the step's images on this process; 1 for a single process.
    """

    indices: Tensor
    granted: Tensor
    views: tuple[View, ...]
    noise: Noise
    fraction: float = 1.0

    def __len__(self) -> int:
        return len(self.indices)

    def to(self, device: torch.device | str) -> "Batch":
        """Copy views and noise to a device; `indices` and `granted` are read on the host and stay there."""
        return replace(self, views=tuple(view.to(device) for view in self.views), noise=self.noise.to(device))


def jointly_valid(tasks: Sequence[Task], labels: Mapping[Task, Tensor], granted: Tensor) -> Tensor:
    """Bool Tensor (B, H, W), False where a label that the image has is void.

    Args:
        tasks: Tasks in the order of the columns of `granted`.
        labels: See `View.labels`.
        granted: Bool (B, K), which labels each image has, on the device of the labels.
    """
    valid = torch.ones((), dtype=torch.bool, device=granted.device)
    for column, task in enumerate(tasks):
        valid = valid & (valid_pixels(task, labels[task]) | ~granted[:, column, None, None])
    return valid


def valid_pixels(task: Task, label: Tensor) -> Tensor:
    """Bool Tensor (B, H, W), where a label, see `View.labels`, is not void."""
    match task:
        case "semantic":
            return label != VOID
        case "depth":
            return label[:, 0] > 0
        case "normal":
            return (label != 0).any(dim=1)


def granted_scene(dataset: Dataset, mask: NDArray[np.bool_], index: int) -> Scene:
    """Scene `index` with only the labels that the mask grants it; the others are not read."""
    return dataset.scene(index, [task for task, granted in zip(dataset.tasks, mask[index], strict=True) if granted])


def collated(
    dataset: Dataset,
    mask: NDArray[np.bool_],
    indices: NDArray[np.int64],
    samples: Sequence[Sequence[tuple[Scene, Regions | None]]],
    noise: Noise,
    fraction: float = 1.0,
) -> Batch:
    """Collate samples, each a list of views, into a batch."""
    granted = torch.from_numpy(mask[indices])
    return Batch(
        torch.from_numpy(indices.copy()),
        granted,
        tuple(_view(view, dataset.tasks, granted) for view in zip(*samples, strict=True)),
        noise,
        fraction,
    )


def _view(samples: Sequence[tuple[Scene, Regions | None]], tasks: Sequence[Task], granted: Tensor) -> View:
    scenes = [scene for scene, _ in samples]
    height, width = scenes[0].image.shape[:2]
    count = len(scenes)
    image = np.empty((count, 3, height, width), dtype=np.float32)
    for number, scene in enumerate(scenes):
        image[number] = scene.image.transpose(2, 0, 1)
    labels: dict[Task, Tensor] = {}
    if "semantic" in tasks:
        semantic = np.full((count, height, width), VOID, dtype=np.int64)
        for number, scene in enumerate(scenes):
            if scene.semantic is not None:
                semantic[number] = scene.semantic
        labels["semantic"] = torch.from_numpy(semantic)
    if "depth" in tasks:
        depth = np.zeros((count, 1, height, width), dtype=np.float32)
        for number, scene in enumerate(scenes):
            if scene.depth is not None:
                depth[number, 0] = scene.depth
        labels["depth"] = torch.from_numpy(depth)
    if "normal" in tasks:
        normal = np.zeros((count, 3, height, width), dtype=np.float32)
        for number, scene in enumerate(scenes):
            if scene.normal is not None:
                normal[number] = scene.normal.transpose(2, 0, 1)
        labels["normal"] = torch.from_numpy(normal)
    regions = [ids for _, ids in samples if ids is not None]
    return View(
        torch.from_numpy(image),
        labels,
        torch.from_numpy(np.stack(regions)) if regions else None,
        jointly_valid(tasks, labels, granted),
    )
