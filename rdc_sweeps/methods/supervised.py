"""MTL: supervised losses of the labels that an image has, and nothing else."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from rdc_sweeps.data.batches import Batch
from rdc_sweeps.methods.base import Losses, Method
from rdc_sweeps.methods.losses import supervised_losses
from rdc_sweeps.specs.base import Task


class SupervisedMethod(Method):
    """The sum of the granted tasks' losses on view 1."""

    def __init__(self, tasks: tuple[Task, ...]) -> None:
        super().__init__()
        self.tasks = tasks

    def forward(self, network: nn.Module, batch: Batch, epoch: float) -> Losses:
        """See `Method.forward`; later views are not looked at."""
        view = batch.views[0]
        return supervision(supervised_losses(self.tasks, network(view.image), view.labels, batch.granted))


def supervision(losses: Mapping[Task, Tensor]) -> Losses:
    """The unweighted sum of task losses."""
    reported = {f"loss/{task}": loss.detach() for task, loss in losses.items()}
    return Losses(torch.stack(list(losses.values())).sum(), reported)
