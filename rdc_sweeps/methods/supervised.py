"""Supervised training: the losses of the three tasks (Li et al. 2022, section 3), MTL, and STL's networks."""

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdc_sweeps.contrast.arithmetic import promote
from rdc_sweeps.data.batches import Batch
from rdc_sweeps.data.scene import VOID
from rdc_sweeps.methods.method import Losses, Method, Term, ViewNorm, network_outputs
from rdc_sweeps.models.network import Predictions
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.training import TaskWeightsSpec, UncertaintyWeights


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
        losses[task] = torch.where(granted[:, column].to(per_image.device, non_blocking=True), per_image, 0.0).mean()
    return losses


def as_labels(predictions: Predictions) -> Predictions:
    """Labels made of predictions, in the form of `View.labels`."""
    labels: Predictions = {}
    for task, prediction in predictions.items():
        match task:
            case "semantic":
                labels[task] = prediction.argmax(dim=1)
            case "depth":
                labels[task] = prediction.float().clamp_min(0)
            case "normal":
                labels[task] = F.normalize(prediction.float(), dim=1)
    return labels


class Supervision(nn.Module):
    """The weighted sum of the tasks' losses on the first view, over all stages of the network's predictions.

    With `UncertaintyWeights` (Kendall, Gal and Cipolla, CVPR 2018) the loss L of a task counts as exp(-s) L + s, with a
    learned s, the logarithm of its scale, that starts at 0. An image without a task's label carries no information
    about the scale of its loss, so s is weighted by the fraction of images that have the label.

    Args:
        tasks: Tasks in the order of the columns of `Batch.granted`.
        weights: Fixed or learned weights.
        stage_weight: Weight of the losses of each stage but the last, whose weight is 1.
    """

    def __init__(self, tasks: tuple[Task, ...], weights: TaskWeightsSpec, stage_weight: float) -> None:
        super().__init__()
        self.stage_weight = stage_weight
        self.tasks = tasks
        self.weights = weights
        learned = isinstance(weights, UncertaintyWeights)
        self.log_scales = nn.Parameter(torch.zeros(len(tasks))) if learned else None

    def forward(self, stages: Sequence[Predictions], batch: Batch) -> Losses:
        """The loss of a batch; `reported` has the unweighted losses of the final predictions.

        Args:
            stages: Predictions of the first view, see `MultiTaskNetwork.stages`.
            batch: Its first view has the labels.
        """
        labels = batch.views[0].labels
        losses = [supervised_losses(self.tasks, stage, labels, batch.granted) for stage in stages]
        reported = {f"loss/{task}": loss.detach() for task, loss in losses[-1].items()}
        *earlier_totals, total = [self._weighted(of_stage, batch.granted) for of_stage in losses]
        if earlier_totals:
            total = total + self.stage_weight * torch.stack(earlier_totals).sum()
            earlier = torch.stack([loss.detach() for of_stage in losses[:-1] for loss in of_stage.values()])
            reported["loss/earlier_stages"] = earlier.sum()
        if self.log_scales is not None:
            scales = torch.exp(-self.log_scales.detach())
            reported |= {f"weight/{task}": scale for task, scale in zip(self.tasks, scales, strict=True)}
        return Losses(total, reported)

    def _weighted(self, losses: Mapping[Task, Tensor], granted: Tensor) -> Tensor:
        if self.log_scales is None:
            return torch.stack([getattr(self.weights, task) * losses[task] for task in self.tasks]).sum()
        stacked = torch.stack([losses[task] for task in self.tasks])
        present = granted.to(stacked, non_blocking=True).mean(dim=0)
        return (torch.exp(-self.log_scales) * stacked + present * self.log_scales).sum()


class SupervisedMethod(Method):
    """Supervised losses on the first view, and any number of terms.

    Args:
        supervision: The supervised losses.
        terms: What is added, by name.
        view_norm: See `network_outputs`.
    """

    def __init__(self, supervision: Supervision, terms: Mapping[str, Term], view_norm: ViewNorm) -> None:
        super().__init__()
        self.supervision = supervision
        self.terms = nn.ModuleDict(terms)
        self.view_norm: ViewNorm = view_norm

    def film_parameters(self) -> list[nn.Parameter]:
        """FiLM parameters of all terms."""
        return [parameter for term in self._terms() for parameter in term.film_parameters()]

    def forward(self, network: nn.Module, batch: Batch, epoch: float) -> Losses:
        """See `Method.forward`."""
        terms = self._terms()
        outputs = network_outputs(
            network,
            batch,
            last_view=any(term.uses_last_view for term in terms),
            encoder=any(term.uses_encoder for term in terms),
            view_norm=self.view_norm,
        )
        parts = [self.supervision(outputs.stages, batch), *(term(outputs, batch, epoch) for term in terms)]
        reported = {name: value for part in parts for name, value in part.reported.items()}
        counts = {name: value for part in parts for name, value in part.counts.items()}
        return Losses(torch.stack([part.total for part in parts]).sum(), reported, counts)

    def _terms(self) -> list[Term]:
        return list(self.terms.values())  # type: ignore[arg-type]


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

    def forward(self, image: Tensor) -> Predictions:
        """Predictions of all tasks, see `MultiTaskNetwork.forward`."""
        return self.stages(image)[-1]

    def stages(self, image: Tensor) -> Sequence[Predictions]:
        """See `MultiTaskNetwork.stages`."""
        alone = [network.stages(image) for network in self.networks.values()]  # type: ignore[operator]
        return [
            {task: maps for stage in of_tasks for task, maps in stage.items()} for of_tasks in zip(*alone, strict=True)
        ]
