"""Batches and scenes of the package in the form that the references take."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.fidelity.references.crops import Window
from benchmarks.fidelity.references.released_step import Example, Uniform
from rdc_sweeps.data.augmentation import Regions
from rdc_sweeps.data.batches import Batch
from rdc_sweeps.data.noise import Noise
from rdc_sweeps.data.scene import Scene
from rdc_sweeps.methods.pairs import GUMBEL, task_pairs
from rdc_sweeps.specs.base import Size, Task
from rdc_sweeps.specs.training import AugmentationSpec


def gumbel_numbers(noise: Noise, granted: Tensor, size: Size, classes: int = 13) -> Uniform:
    """The numbers in (0, 1) with which the semantic predictions of a batch are sampled.

    Args:
        noise: Of the images.
        granted: Bool (B, K) which labels each image has.
        size: Height and width.
        classes: Number of semantic classes.
    """
    pairs = task_pairs(granted)
    numbers = pairs.noise(noise).tagged(GUMBEL)
    items = {
        (int(image), int(source), int(target)): item
        for item, (image, source, target) in enumerate(zip(pairs.image, pairs.predicted, pairs.labelled, strict=True))
    }

    def uniform(image: int, source: int, target: int) -> Tensor:
        chosen = numbers.select(torch.tensor([items[image, source, target]]))
        # As many bits as the package takes, also where it computes in float64.
        return chosen.uniform((1, classes, *size), dtype=torch.float32)

    return uniform


def example(batch: Batch, classes: int = 13) -> Example:
    """A batch of two views with regions."""
    first, second = batch.views
    assert second.regions is not None
    return Example(
        images=(first.image, second.image),
        labels=(by_name(first.labels), by_name(second.labels)),
        regions=second.regions,
        granted=batch.granted,
        uniform=gumbel_numbers(batch.noise, batch.granted, (second.image.shape[2], second.image.shape[3]), classes),
    )


def by_name(maps: Mapping[Task, Tensor]) -> dict[str, Tensor]:
    """Predictions or labels by the names of their tasks."""
    return {str(task): tensor for task, tensor in maps.items()}


def in_double(batch: Batch) -> Batch:
    """The batch with its images and labels in float64."""
    views = tuple(
        replace(
            view,
            image=view.image.double(),
            labels={
                task: label.double() if label.is_floating_point() else label for task, label in view.labels.items()
            },
        )
        for view in batch.views
    )
    return replace(batch, views=views)


def drawn_windows(spec: AugmentationSpec, seed: int, size: Size) -> list[Window]:
    """The windows that `augment` draws with `crop: released` and without flips, one within the other."""
    rng, windows = np.random.default_rng(seed), []
    for _ in range(spec.views):
        zoom, down, right = spec.scales[rng.integers(len(spec.scales))], rng.random(), rng.random()
        rooms = [side - int(side / zoom) + 1 for side in size]
        windows.append(Window(zoom, int(down * rooms[0]), int(right * rooms[1])))
    return windows


def channels_first(scene: Scene, regions: Regions | None) -> dict[str, Tensor]:
    """The maps of a scene by name, (C, H, W) in float64."""
    arrays: dict[str, NDArray[Any] | None] = {"image": scene.image, "normal": scene.normal}
    flat = {"semantic": scene.semantic, "depth": scene.depth, "regions": regions}
    arrays |= {name: None if array is None else array[..., None] for name, array in flat.items()}
    return {name: torch.from_numpy(array).movedim(2, 0).double() for name, array in arrays.items() if array is not None}
