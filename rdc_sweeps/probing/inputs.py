"""What a term is shown in a probe: batches with all labels at hand, and substitutes for predictions."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from rdc_sweeps.data.batches import Batch, valid_pixels
from rdc_sweeps.models.network import Predictions, at_least_float32
from rdc_sweeps.probing.record import Substitute
from rdc_sweeps.specs.base import Task

NOISE_TAG = 0x9806E
"""Tag for `Noise.tagged`: predictions made of noise."""

LEAST_PROBABILITY = 1e-12
"""Of a class on the path to the truth, so that logits stay finite."""


@dataclass(frozen=True)
class ProbeBatch:
    """A batch as a training step sees it, with all labels of its images.

    Attributes:
        shown: The batch, with one view; withheld labels are void.
        labels: All labels, see `View.labels`.
    """

    shown: Batch
    labels: Mapping[Task, Tensor]

    @property
    def predicted(self) -> Tensor:
        """Bool (B, K) on the CPU, whether terms use an image's prediction of a task, see `methods.pairs`."""
        granted = self.shown.granted
        return ~granted | granted.all(dim=1, keepdim=True)

    def to(self, device: torch.device | str) -> "ProbeBatch":
        """Copy it to a device."""
        return ProbeBatch(self.shown.to(device), {task: label.to(device) for task, label in self.labels.items()})

    def known(self, task: Task, column: int) -> Tensor:
        """Bool (B, 1, H, W), where the prediction of a task is used and its label is not void."""
        label = self.labels[task]
        return valid_pixels(task, label).unsqueeze(1) & self.predicted[:, column, None, None, None].to(label.device)


@torch.no_grad()
def substitutes(predictions: Predictions, batch: ProbeBatch, tasks: tuple[Task, ...]) -> dict[Substitute, Predictions]:
    """Maps (B, C, H, W) by task to show in place of predictions."""
    own: Predictions = {task: at_least_float32(predictions[task]) for task in tasks}
    noise = batch.shown.noise.tagged(NOISE_TAG)
    constant: Predictions = {}
    random: Predictions = {}
    for column, task in enumerate(tasks):
        maps = own[task]
        deviation, mean = torch.std_mean(maps, (0, 2, 3), keepdim=True)
        constant[task] = mean.expand_as(maps)
        random[task] = mean + deviation * noise.tagged(column).normal(maps.shape, torch.float32).to(maps)
    return {
        "own": own,
        "other": {task: maps.roll(1, 0) for task, maps in own.items()},
        "constant": constant,
        "noise": random,
        "truth": towards_truth(own, batch, tasks, 1.0),
    }


@torch.no_grad()
def towards_truth(predictions: Predictions, batch: ProbeBatch, tasks: tuple[Task, ...], fraction: float) -> Predictions:
    """Predictions a part of the way to the labels of the predicted tasks; unchanged where these are void.

    Class probabilities, depths and normals are mixed linearly.

    Args:
        predictions: By task (B, C, H, W).
        batch: Their images.
        tasks: Tasks in the order of the columns of `Batch.granted`.
        fraction: 0 is the prediction, 1 the label.
    """
    moved: Predictions = {}
    for column, task in enumerate(tasks):
        maps, label = at_least_float32(predictions[task]), batch.labels[task]
        if task == "semantic":
            truth = F.one_hot(label.clamp_min(0), maps.shape[1]).movedim(-1, 1).to(maps)
            mixed = ((1 - fraction) * maps.softmax(1) + fraction * truth).clamp_min(LEAST_PROBABILITY).log()
        else:
            mixed = (1 - fraction) * maps + fraction * label
        moved[task] = torch.where(batch.known(task, column), mixed, maps)
    return moved
