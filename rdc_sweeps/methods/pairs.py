"""Which prediction meets which label.

An ordered pair (t, s) sends the prediction of task t and the label of task s into one space. With partial labels, t is
a task without and s a task with a label (section 3.1 of the paper); with all labels, every t differs from s.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rdc_sweeps.data.batches import Batch
from rdc_sweeps.models.mapping import MappingNetwork, TaskMaps, label_input, pair_index, prediction_input
from rdc_sweeps.parallel.draws import Share
from rdc_sweeps.specs.base import Task


@dataclass(frozen=True)
class Pairs:
    """N (image, pair) items of a batch, as index tensors (N,) of int64 on the CPU.

    Attributes:
        image: Position of the image in the batch.
        predicted: Position of the task whose prediction is meant.
        labelled: Position of the task whose label is meant.
        whole: The items of all processes that share the batch; None if there is one process.
        first: Where this process's items begin among them.
    """

    image: Tensor
    predicted: Tensor
    labelled: Tensor
    whole: "Pairs | None" = None
    first: int = 0

    def __len__(self) -> int:
        return self.image.shape[0]

    @property
    def of_all(self) -> "Pairs":
        """The items of all processes."""
        return self if self.whole is None else self.whole

    def share(self) -> Share | None:
        """Which of all processes' items these are."""
        return None if self.whole is None else Share(self.first, len(self.whole))

    def share_predicting(self, task: int) -> Share | None:
        """Which of all processes' items with a prediction of `task` are this process's."""
        if self.whole is None:
            return None
        chosen = self.whole.predicted == task
        return Share(int(chosen[: self.first].sum()), int(chosen.sum()))

    def per_image(self) -> Tensor:
        """How many items the image of each item has, (N,)."""
        return self.image.bincount()[self.image]


def batch_pairs(batch: Batch) -> Pairs:
    """All items of a process's batch, which know their place among those of all processes."""
    pairs = task_pairs(batch.granted)
    if batch.whole is None:
        return pairs
    whole = task_pairs(batch.whole)
    return replace(pairs, whole=whole, first=int((whole.image < batch.first).sum()))


def task_pairs(granted: Tensor) -> Pairs:
    """All items of a batch, in the order image, predicted task, labelled task.

    Args:
        granted: Bool (B, K) on the CPU: which image has which task's label.
    """
    labelled = granted[:, None, :]
    wants = ~granted | granted.all(dim=1, keepdim=True)
    meets = wants[:, :, None] & labelled
    meets &= ~torch.eye(granted.shape[1], dtype=torch.bool)
    image, predicted, source = meets.nonzero(as_tuple=True)
    return Pairs(image, predicted, source)


def map_pairs(
    mapping: MappingNetwork,
    predictions: Mapping[Task, Tensor],
    labels: Mapping[Task, Tensor],
    pairs: Pairs,
    tasks: tuple[Task, ...],
    classes: int,
) -> tuple[Tensor, Tensor]:
    """Features of the items' predictions and of their labels, in one pass through a_theta.

    A process without items, beside others that have some, passes nothing, since a_theta's batch norms are everybody's.

    Args:
        mapping: a_theta.
        predictions: Per task (B, C, H, W).
        labels: Per task, see `View.labels`; only those that an item names are looked at.
        pairs: The N items.
        tasks: Tasks in the order of their positions in `pairs`.
        classes: Number of semantic classes.

    Returns:
        Two Tensors (N, d, h, w).
    """
    device = next(iter(predictions.values())).device
    count = len(pairs)
    inputs: dict[Task, TaskMaps] = {}
    for position, task in enumerate(tasks):
        as_prediction, as_label = pairs.predicted == position, pairs.labelled == position
        maps = []
        if (pairs.of_all.predicted == position).any():
            prediction = predictions[task][pairs.image[as_prediction].to(device)]
            maps.append(prediction_input(task, prediction, pairs.share_predicting(position)))
        if (pairs.of_all.labelled == position).any():
            maps.append(label_input(task, labels[task][pairs.image[as_label].to(device)], classes))
        if maps:
            slots = torch.cat([as_prediction.nonzero(), as_label.nonzero() + count]).flatten()
            inputs[task] = TaskMaps(torch.cat(maps), slots.to(device))
    kinds = pair_index(pairs.predicted, pairs.labelled, len(tasks)).to(device)
    features = mapping(inputs, kinds.repeat(2))
    return features[:count], features[count:]
