"""The interface of a method to the training loop, and what several methods share."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from rdc_sweeps.data.batches import Batch
from rdc_sweeps.specs.base import Task

Predictions = dict[Task, Tensor]
"""Per task (B, C, H, W)."""


@dataclass(frozen=True)
class Losses:
    """What to minimise, and what to report.

    Several processes share a batch: each has losses of its own images, and the run's are the means over all images.

    Attributes:
        total: What to minimise, a mean over the images of the batch.
        reported: Detached scalars by name, means over the images of the batch,
        counts: or over as many items as this says, a scalar by name.
    """

    total: Tensor
    reported: Mapping[str, Tensor]
    counts: Mapping[str, Tensor] = field(default_factory=dict)


class Method(nn.Module, ABC):
    """A training objective, with the parameters it brings besides the network's."""

    def film_parameters(self) -> list[nn.Parameter]:
        """Parameters of the second optimiser group."""
        return []

    @abstractmethod
    def forward(self, network: nn.Module, batch: Batch, epoch: float) -> Losses:
        """Losses of one batch.

        Args:
            network: Image (B, 3, H, W) to a dict of predictions per task.
            batch: Views, labels and which of them are granted.
            epoch: Epochs done so far, with fraction; ramps depend on it.
        """


def ramped(weight: float, ramp_epochs: float, epoch: float) -> float:
    """A weight at a time: linear from 0 to `weight` over the first `ramp_epochs`, then `weight`."""
    return weight * min(1.0, epoch / ramp_epochs) if ramp_epochs else weight


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
