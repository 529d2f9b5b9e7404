"""Predictions of the first and the last view of a batch, in one pass."""

import torch
from torch import Tensor, nn

from rdc_sweeps.data.batches import Batch
from rdc_sweeps.specs.base import Task

Predictions = dict[Task, Tensor]
"""Per task (B, C, H, W)."""


def predictions_of_views(network: nn.Module, batch: Batch) -> tuple[Predictions, Predictions]:
    """Predictions of the first and of the last view; the same ones twice if there is one view.

    Both views pass the network together, so its BatchNorm sees them as one batch.
    """
    first, last = batch.views[0], batch.views[-1]
    if first is last:
        predictions = network(first.image)
        return predictions, predictions
    both = network(torch.cat([first.image, last.image]))
    count = len(batch)
    return {task: maps[:count] for task, maps in both.items()}, {task: maps[count:] for task, maps in both.items()}
