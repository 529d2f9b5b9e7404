"""The interface between a method and the training loop, and functions that several methods share."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from rdc_sweeps.data.batches import Batch
from rdc_sweeps.specs.base import Task

Predictions = dict[Task, Tensor]
"""By task, Tensor (B, C, H, W)."""


@dataclass(frozen=True)
class Losses:
    """The loss of a batch, and values to report.

    If several processes share a batch, each returns the losses of its own images; the losses of the run are means over
    all images.

    Attributes:
        total: The value to minimise, a mean over the images of the batch.
        reported: Detached scalars by name, means over the images of the batch unless `counts` has their name.
        counts: By name, the number of items over which a reported value is averaged.
    """

    total: Tensor
    reported: Mapping[str, Tensor]
    counts: Mapping[str, Tensor] = field(default_factory=dict)


class Method(nn.Module, ABC):
    """A training objective; may have parameters of its own in addition to those of the network."""

    def film_parameters(self) -> list[nn.Parameter]:
        """Parameters of the second optimiser group."""
        return []

    @abstractmethod
    def forward(self, network: nn.Module, batch: Batch, epoch: float) -> Losses:
        """Losses of one batch.

        Args:
            network: Image (B, 3, H, W) to a dict of predictions per task.
            batch: Views, labels, which labels are granted, and noise.
            epoch: Time in epochs, including the fraction of the current one; ramps depend on it.
        """


def ramped(weight: float, ramp_epochs: float, epoch: float) -> float:
    """The weight at a time of training: linear from 0 over the first `ramp_epochs`, then constant."""
    return weight * min(1.0, epoch / ramp_epochs) if ramp_epochs else weight


def predictions_of_views(network: nn.Module, batch: Batch) -> tuple[Predictions, Predictions]:
    """Predictions for the first and the last view; the same ones twice if there is one view.

    Both views pass through the network together, so its batch norms see them as one batch.
    """
    first, last = batch.views[0], batch.views[-1]
    if first is last:
        predictions = network(first.image)
        return predictions, predictions
    both = network(torch.cat([first.image, last.image]))
    count = len(batch)
    return {task: maps[:count] for task, maps in both.items()}, {task: maps[count:] for task, maps in both.items()}
