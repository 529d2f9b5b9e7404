"""Batches: scenes as tensors, in which withheld labels are void."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rdc_sweeps.data.arrays import AnyArray
from rdc_sweeps.data.augmentation import Sample
from rdc_sweeps.data.memory import Memory
from rdc_sweeps.data.noise import Noise
from rdc_sweeps.data.scene import VOID, Dataset, Scene
from rdc_sweeps.specs.base import Size, Task

AnyTensor = TypeVar("AnyTensor", Tensor, AnyArray)

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


def valid_pixels(task: Task, label: AnyTensor) -> AnyTensor:
    """Bool (B, H, W), where a label, see `View.labels`, a tensor or an array, is not void."""
    valid: AnyTensor
    match task:
        case "semantic":
            valid = label != VOID
        case "depth":
            valid = label[:, 0] > 0
        case "normal":
            # Not `any`, which takes ten times as long over so few channels.
            valid = (label[:, 0] != 0) | (label[:, 1] != 0) | (label[:, 2] != 0)
    return valid


def granted_scene(dataset: Dataset, mask: NDArray[np.bool_], index: int) -> Scene:
    """Scene `index` with only the labels that the mask grants it; the others are not read."""
    return dataset.scene(index, [task for task, granted in zip(dataset.tasks, mask[index], strict=True) if granted])


class Frames:
    """The memory of one view of each image of a batch."""

    def __init__(self, count: int, size: Size, tasks: Sequence[Task], memory: Memory, *, regions: bool) -> None:
        """Reserve it.

        Args:
            count: Number of images.
            size: Height and width.
            tasks: The data set's tasks.
            memory: Where arrays come from.
            regions: Whether the images have regions.
        """
        self._tasks = tasks
        self._image = memory.array((count, 3, *size), np.float32)
        self._labels: dict[Task, AnyArray] = {}
        if "semantic" in tasks:
            self._labels["semantic"] = memory.array((count, *size), np.int64)
        if "depth" in tasks:
            self._labels["depth"] = memory.array((count, 1, *size), np.float32)
        if "normal" in tasks:
            self._labels["normal"] = memory.array((count, 3, *size), np.float32)
        self._regions = memory.array((count, *size), np.int32) if regions else None
        self._valid = memory.array((count, *size), np.bool_)
        self._void: set[tuple[int, Task]] = set()

    def sample(self, number: int, of: Scene) -> Sample:
        """Image `number`, to be written: an array for each that `of` has. The labels that it has not become void."""
        semantic, depth, normal = (self._labels.get(task) for task in ("semantic", "depth", "normal"))
        for task, labels in self._labels.items():
            if getattr(of, task) is None:
                labels[number] = VOID if task == "semantic" else 0
                self._void.add((number, task))
        return (
            Scene(
                self._image[number].transpose(1, 2, 0),
                None if semantic is None or of.semantic is None else semantic[number],
                None if depth is None or of.depth is None else depth[number, 0],
                None if normal is None or of.normal is None else normal[number].transpose(1, 2, 0),
            ),
            None if self._regions is None else self._regions[number],
        )

    def valid(self, number: int) -> NDArray[np.bool_]:
        """Where (H, W) is to be written whether no label that image `number` has is void."""
        valid: NDArray[np.bool_] = self._valid[number]
        return valid

    def copy(self, number: int, sample: Sample) -> None:
        """Write image `number`."""
        (scene, regions), (seen, seen_regions) = sample, self.sample(number, sample[0])
        for array, into in (
            (scene.image, seen.image),
            (scene.semantic, seen.semantic),
            (scene.depth, seen.depth),
            (scene.normal, seen.normal),
            (regions, seen_regions),
        ):
            if array is not None and into is not None:
                np.copyto(into, array)
        valid = self._valid[number]
        valid[:] = True
        for task, labels in self._labels.items():
            if getattr(scene, task) is not None:
                valid &= valid_pixels(task, labels[number : number + 1])[0]

    def view(self, granted: Tensor) -> View:
        """The view, once all images are written; `granted` is that of `Batch`."""
        for number, column in granted.nonzero().tolist() if self._void else ():
            if (number, self._tasks[column]) in self._void:
                self._valid[number] = False
        return View(
            torch.from_numpy(self._image),
            {task: torch.from_numpy(array) for task, array in self._labels.items()},
            None if self._regions is None else torch.from_numpy(self._regions),
            torch.from_numpy(self._valid),
        )


def collated(
    mask: NDArray[np.bool_], indices: NDArray[np.int64], views: Sequence[Frames], noise: Noise, fraction: float = 1.0
) -> Batch:
    """A batch of the images with these indices, from its views."""
    granted = torch.from_numpy(mask[indices])
    return Batch(
        torch.from_numpy(indices.copy()), granted, tuple(frames.view(granted) for frames in views), noise, fraction
    )


def whole_images(
    dataset: Dataset,
    mask: NDArray[np.bool_],
    indices: NDArray[np.int64],
    regions: RegionsOf | None,
    noise: Noise,
    memory: Memory | None = None,
) -> Batch:
    """A batch of one view, without augmentation.

    Args:
        dataset: The images.
        mask: (n, K) which labels each of its n images has.
        indices: (B,) which images.
        regions: Returns the region ids of an image, given its index; None: there are none.
        noise: Of the B images.
        memory: That of earlier batches, to be used again.
    """
    frames = Frames(len(indices), dataset.size, dataset.tasks, memory or Memory(), regions=regions is not None)
    for number, index in enumerate(indices.tolist()):
        frames.copy(number, (granted_scene(dataset, mask, index), None if regions is None else regions(index)))
    return collated(mask, indices, [frames], noise)
