"""Supervised training: the losses of the three tasks (Li et al. 2022, section 3), MTL, and STL's networks."""

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdc_sweeps.contrast.arithmetic import promote
from rdc_sweeps.data.batches import Batch
from rdc_sweeps.data.scene import VOID
from rdc_sweeps.methods.method import Losses, Method
from rdc_sweeps.specs.base import Task


def semantic_loss(logits: Tensor, label: Tensor) -> Tensor:
    """Cross-entropy per image over labelled pixels; `logits` (B, C, H, W), `label` (B, H, W), void -1 -> (B,)."""
    (logits,) = promote(logits)
    loss = F.cross_entropy(logits, label, ignore_index=VOID, reduction="none")
    return _mean_over(loss, label != VOID)


def depth_loss(depth: Tensor, label: Tensor) -> Tensor:
    """L1 per image over valid pixels (label > 0); both (B, 1, H, W), in the label's unit -> (B,)."""
    (depth,) = promote(depth)
    return _mean_over((depth - label).abs(), label > 0)


def normal_loss(normal: Tensor, label: Tensor) -> Tensor:
    """1 - p . l per image over valid pixels (label not zero), p the prediction at length 1; both (B, 3, H, W) -> (B,).

    With labels l of length 1 that is 1 - cosine. The prediction's length does not enter; the label's does, as in MTAN
    (Liu et al., CVPR 2019).
    """
    (normal,) = promote(normal)
    aligned = (F.normalize(normal, dim=1, eps=1e-8) * label).sum(dim=1)
    return _mean_over(1 - aligned, label.abs().sum(dim=1) > 0)


def _mean_over(loss: Tensor, valid: Tensor) -> Tensor:
    """Mean of (B, ...) over the valid elements of each image; 0 for an image without any."""
    # torch.where, not a product: an invalid element may be inf or nan and must not reach the gradient.
    loss = torch.where(valid, loss, 0.0).flatten(1)
    return loss.sum(dim=1) / valid.flatten(1).sum(dim=1).clamp_min(1)


_LOSSES: dict[Task, Callable[[Tensor, Tensor], Tensor]] = {
    "semantic": semantic_loss,
    "depth": depth_loss,
    "normal": normal_loss,
}


def supervised_losses(
    tasks: Sequence[Task], predictions: Mapping[Task, Tensor], labels: Mapping[Task, Tensor], granted: Tensor
) -> dict[Task, Tensor]:
    """Loss of each task, averaged over the batch; an image counts for a task only if it has that label.

    Args:
        tasks: Tasks in the order of the columns of `granted`.
        predictions: By task (B, C, H, W).
        labels: By task, in the form that the task's loss expects.
        granted: Bool (B, K) on any device, which image has which task's label.

    Returns:
        A scalar per task: sum over granted images / B.
    """
    losses = {}
    for column, task in enumerate(tasks):
        per_image = _LOSSES[task](predictions[task], labels[task])
        losses[task] = torch.where(granted[:, column].to(per_image.device), per_image, 0.0).mean()
    return losses


class SupervisedMethod(Method):
    """The sum of the granted tasks' losses on view 1."""

    def __init__(self, tasks: tuple[Task, ...]) -> None:
        super().__init__()
        self.tasks = tasks

    def forward(self, network: nn.Module, batch: Batch, epoch: float) -> Losses:
        """See `Method.forward`; only the first view is used."""
        view = batch.views[0]
        return supervision(supervised_losses(self.tasks, network(view.image), view.labels, batch.granted))


def supervision(losses: Mapping[Task, Tensor]) -> Losses:
    """The unweighted sum of task losses."""
    reported = {f"loss/{task}": loss.detach() for task, loss in losses.items()}
    return Losses(torch.stack(list(losses.values())).sum(), reported)


class SingleTaskNetworks(nn.Module):
    """One network per task, with the interface of a multi-task network.

    All are trained at once, with the supervised losses alone. They share no parameter and Adam is elementwise, so each
    learns what it would learn alone from the same batches.

    Args:
        build: Builds the network of the given tasks, initialised from torch's global generator.
        tasks: Each gets a network, in this order.
    """

    def __init__(self, build: Callable[[tuple[Task, ...]], nn.Module], tasks: tuple[Task, ...]) -> None:
        super().__init__()
        self.networks = nn.ModuleDict({task: build((task,)) for task in tasks})

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Predictions of all tasks, see `MultiTaskNetwork.forward`."""
        return {task: network(image)[task] for task, network in self.networks.items()}
