"""Gradients of a term, and of what the labels of the predicted tasks ask for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from rdc_sweeps.methods.method import Outputs, Term
from rdc_sweeps.methods.supervised import supervised_losses
from rdc_sweeps.models.network import Predictions, at_least_float32
from rdc_sweeps.probing.inputs import ProbeBatch
from rdc_sweeps.specs.base import Task

AFTER_RAMPS = 1e9
"""A time in epochs at which every term has its full weight."""

ALL = "all"
"""Name of the gradient of all tasks together."""


def shown_to(outputs: Outputs, predictions: Predictions) -> Outputs:
    """The outputs of a network with other predictions."""
    return replace(outputs, stages=[predictions], last=predictions)


def cosine(one: Tensor, other: Tensor) -> Tensor:
    """The cosine over the last dimension, in float64; 0 where either side is zero."""
    one, other = one.double(), other.double()
    norms = one.norm(dim=-1) * other.norm(dim=-1)
    return torch.where(norms > 0, (one * other).sum(-1) / norms.clamp_min(torch.finfo(norms.dtype).tiny), 0.0)


@dataclass(frozen=True)
class Gradients:
    """Gradients of a term, with its weight, and of the supervised losses of the labels of the predicted tasks.

    Attributes:
        batch: The images.
        tasks: Tasks in the order of the columns of `Batch.granted`.
        predictions: By task, as the network made them, with their graph.
        of_term: By task (B, C, H, W), zero for images whose prediction is not used and where the label is void.
        of_truth: Likewise.
    """

    batch: ProbeBatch
    tasks: tuple[Task, ...]
    predictions: Predictions
    of_term: Predictions
    of_truth: Predictions

    @classmethod
    def of(cls, outputs: Outputs, term: Term, batch: ProbeBatch, tasks: tuple[Task, ...]) -> "Gradients | None":
        """The gradients with respect to the predictions; None if the term has no gradient."""
        leaves = {task: at_least_float32(outputs.last[task].detach()).requires_grad_() for task in tasks}
        total = term(shown_to(outputs, leaves), batch.shown, AFTER_RAMPS).total
        if not total.requires_grad:
            return None
        truth = torch.stack(list(supervised_losses(tasks, leaves, batch.labels, batch.predicted).values())).sum()
        of_term, of_truth = (
            {
                task: torch.where(batch.known(task, column), gradient, 0.0)
                for column, (task, gradient) in enumerate(
                    zip(tasks, torch.autograd.grad(loss, list(leaves.values()), materialize_grads=True), strict=True)
                )
            }
            for loss in (total, truth)
        )
        return cls(batch, tasks, outputs.last, of_term, of_truth)

    def cosines(self) -> dict[Task, dict[int, float]]:
        """By task and image, the cosine with respect to the prediction, where the truth has a gradient."""
        images = self.batch.shown.indices.tolist()
        found = {}
        for task in self.tasks:
            term, truth = (side[task].flatten(1) for side in (self.of_term, self.of_truth))
            values = zip(images, cosine(term, truth).tolist(), truth.any(dim=1).tolist(), strict=True)
            found[task] = {image: value for image, value, known in values if known}
        return found

    def region_cosines(self, task: Task, image: int, slots: Tensor, capacity: int) -> Tensor:
        """The cosine of each region of an image, a Tensor (capacity,) on the CPU.

        Args:
            task: The predicted task.
            image: Position of the image in the batch.
            slots: Tensor (h, w) on the CPU, the slot of each pixel of the region map, -1 for none.
            capacity: Number of slots.
        """
        term, truth = (side[task][image].double().cpu() for side in (self.of_term, self.of_truth))
        stride = term.shape[1] // slots.shape[0]
        target = (slots + 1).repeat_interleave(stride, 0).repeat_interleave(stride, 1).flatten()
        products = torch.stack(
            [(one * other).sum(0).flatten() for one, other in ((term, truth), (term, term), (truth, truth))]
        )
        sums = products.new_zeros(3, capacity + 1).index_add_(1, target, products)[:, 1:]
        norms = (sums[1] * sums[2]).sqrt()
        return torch.where(sums[2] > 0, torch.where(norms > 0, sums[0] / norms, 0.0), torch.nan)

    def through(self, network: nn.Module) -> dict[str, tuple[float, float]]:
        """By task, and for all, the cosine with respect to the network's parameters, and term over truth in norm.

        The gradients are those that reach the parameters through the predictions of the task.
        """
        parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
        sides: dict[str, list[Tensor]] = {
            task: [self._through(task, side[task], parameters) for side in (self.of_term, self.of_truth)]
            for task in self.tasks
            if self.of_truth[task].any()
        }
        if sides:
            sides[ALL] = [torch.stack(of_tasks).sum(0) for of_tasks in zip(*sides.values(), strict=True)]
        return {
            name: (float(cosine(term, truth)), float(term.norm() / truth.norm()))
            for name, (term, truth) in sides.items()
        }

    def _through(self, task: Task, gradient: Tensor, parameters: Sequence[Tensor]) -> Tensor:
        prediction = self.predictions[task]
        found = torch.autograd.grad(
            prediction, parameters, gradient.to(prediction.dtype), retain_graph=True, materialize_grads=True
        )
        return torch.cat([part.flatten() for part in found]).double()
