"""Predictions and labels of pairs of tasks, mapped into one space by a_theta."""

from collections.abc import Mapping

import torch
from torch import Tensor

from rdc_sweeps.methods.pairs import Pairs
from rdc_sweeps.models.mapping import MappingNetwork, TaskMaps, pair_index
from rdc_sweeps.models.mapping_inputs import label_input, prediction_input
from rdc_sweeps.specs.base import Task


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
