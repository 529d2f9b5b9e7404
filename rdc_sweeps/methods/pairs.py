"""Pairs of the prediction of one task and the label of another, and their features from a_theta.

An ordered pair (t, s) maps the prediction of task t and the label of task s into one space. With partial labels, t is
a task without and s a task with a label (section 3.1 of the paper); with all labels, every t differs from s.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from rdc_sweeps.data.noise import Noise
from rdc_sweeps.models.mapping import MappingNetwork, TaskMaps, pair_index
from rdc_sweeps.models.shown import label_input, prediction_input
from rdc_sweeps.parallel.world import world
from rdc_sweeps.specs.base import Task

GUMBEL, CONTRAST = range(2)
"""Tags for `Noise.tagged`: the purposes of an item's noise."""


@dataclass(frozen=True)
class Pairs:
    """N (image, pair) items of a batch, as index tensors (N,) of int64 on the CPU.

    Attributes:
        image: Position of the image in the batch.
        predicted: Position of the task whose prediction is used.
        labelled: Position of the task whose label is used.
    """

    image: Tensor
    predicted: Tensor
    labelled: Tensor

    def __len__(self) -> int:
        return self.image.shape[0]

    def noise(self, of_images: Noise) -> Noise:
        """The noise of each item; the pairs of an image get different noise."""
        return of_images.select(self.image).tagged(self.predicted).tagged(self.labelled)


def task_pairs(granted: Tensor) -> Pairs:
    """All items of a batch, in the order image, predicted task, labelled task.

    Args:
        granted: Bool (B, K) on the CPU: which image has which task's label.
    """
    predicted = ~granted | granted.all(dim=1, keepdim=True)
    paired = predicted[:, :, None] & granted[:, None, :] & ~torch.eye(granted.shape[1], dtype=torch.bool)
    return Pairs(*paired.nonzero(as_tuple=True))


def map_pairs(
    mapping: MappingNetwork,
    predictions: Mapping[Task, Tensor],
    labels: Mapping[Task, Tensor],
    pairs: Pairs,
    noise: Noise,
    tasks: tuple[Task, ...],
    classes: int,
) -> tuple[Tensor, Tensor] | None:
    """Features of the items' predictions and of their labels, in one pass through a_theta.

    If several processes share the batch, a_theta's batch norms use the items of all of them. Each process therefore
    passes every group of maps that occurs in any of them, an empty tensor where it has none, so that it takes part in
    the exchange of statistics and gradients.

    Args:
        mapping: a_theta.
        predictions: Per task (B, C, H, W).
        labels: Per task, see `View.labels`; only those of the items are used.
        pairs: The N items.
        noise: Noise of the N items, see `Pairs.noise`.
        tasks: Tasks in the order of their positions in `pairs`.
        classes: Number of semantic classes.

    Returns:
        Two Tensors (N, d, h, w); None if no process has any item.
    """
    device = next(iter(predictions.values())).device
    as_prediction = [pairs.predicted == position for position in range(len(tasks))]
    as_label = [pairs.labelled == position for position in range(len(tasks))]
    occurs = world().any_rank([bool(chosen.any()) for chosen in (*as_prediction, *as_label)])
    if not any(occurs):
        return None
    count = len(pairs)
    gumbel = noise.tagged(GUMBEL)
    inputs: dict[Task, TaskMaps] = {}
    for position, task in enumerate(tasks):
        maps = []
        if occurs[position]:
            chosen = as_prediction[position]
            uniform = partial(gumbel.select(chosen.nonzero().flatten()).uniform, dtype=torch.float32)
            shown = predictions[task][pairs.image[chosen].to(device, non_blocking=True)]
            maps.append(prediction_input(task, shown, uniform, mapping.spec))
        if occurs[len(tasks) + position]:
            shown = labels[task][pairs.image[as_label[position]].to(device, non_blocking=True)]
            maps.append(label_input(task, shown, classes, mapping.spec))
        if maps:
            items = torch.cat([as_prediction[position].nonzero(), as_label[position].nonzero() + count]).flatten()
            inputs[task] = TaskMaps(maps, items.to(device, non_blocking=True))
    kinds = pair_index(pairs.predicted, pairs.labelled, len(tasks)).to(device, non_blocking=True)
    features = mapping(inputs, kinds.repeat(2))
    return features[:count], features[count:]
