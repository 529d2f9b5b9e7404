"""(c) The share of L_RC in a full training step of HRNet18 at 288 x 384, batch 2, two views."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.contrast.scenes import voronoi
from benchmarks.contrast.timing import interleaved, medians, paired_ratio
from rdc_sweeps.contrast import index_regions, region_contrast
from rdc_sweeps.methods.pairs import Pairs
from rdc_sweeps.methods.readings import further_negatives
from rdc_sweeps.models.mapping import MappingNetwork, TaskMaps, pair_index
from rdc_sweeps.models.network import task_channels
from rdc_sweeps.models.registry import new_network
from rdc_sweeps.models.shown import label_input, prediction_input
from rdc_sweeps.specs.backbone import Hrnet18Spec
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.contrast import GaussianContrast
from rdc_sweeps.specs.method import MappingSpec, PairReading

TASKS: tuple[Task, ...] = ("semantic", "depth", "normal")
CLASSES = 13
SIZE, REGION_SIZE, BATCH = (288, 384), (144, 192), 2


class TrainingStep:
    """One label per image, the semantic one: the other two tasks' predictions are mapped against it."""

    def __init__(self, regions: int) -> None:
        torch.manual_seed(0)
        channels = task_channels(TASKS, CLASSES)
        self.network = new_network(Hrnet18Spec(), channels).to(memory_format=torch.channels_last)
        self.mapping = MappingNetwork(channels, MappingSpec())
        self.optimiser = torch.optim.Adam([*self.network.parameters(), *self.mapping.parameters()], 1e-4)
        self.views = torch.rand(2, BATCH, 3, *SIZE)
        self.label = torch.randint(0, CLASSES, (BATCH, *SIZE))
        self.regions = voronoi(BATCH, *REGION_SIZE, regions)

    def __call__(self) -> None:
        """Both views forward, supervised loss on the first, L_RC on the second, backward, Adam."""
        self.optimiser.zero_grad()
        supervised = F.cross_entropy(self.network(self.views[0])["semantic"], self.label)
        predictions = self.network(self.views[1])
        features = [self._features(predictions, task) for task in ("depth", "normal")]
        prediction, label = (torch.cat(side) for side in zip(*features, strict=True))
        loss = supervised + self.contrast(prediction, label, "sum")
        torch.autograd.backward(loss)
        self.optimiser.step()

    def contrast(self, prediction: Tensor, label: Tensor, reading: PairReading) -> Tensor:
        """L_RC of every image and pair, starting from the region maps; up to two tasks against the semantic label."""
        number = len(prediction) // BATCH
        images = torch.arange(BATCH).repeat(number)
        pairs = Pairs(images, 1 + torch.arange(number).repeat_interleave(BATCH), torch.zeros_like(images))
        index = index_regions(self.regions).select(images)
        further = further_negatives(pairs) if reading == "equation" else None
        return region_contrast(prediction, label, index, GaussianContrast(), min_pixels=2, further=further).loss

    def contrast_alone(self, pairs: int, reading: PairReading) -> None:
        """L_RC forward and backward on features of the same shape, with `pairs` task pairs per image."""
        shape = (pairs * BATCH, 32, SIZE[0] // 16, SIZE[1] // 16)
        prediction, label = (torch.randn(shape, requires_grad=True) for _ in range(2))
        torch.autograd.backward(self.contrast(prediction, label, reading))

    def _features(self, predictions: dict[str, Tensor], task: Task) -> tuple[Tensor, Tensor]:
        predicted = prediction_input(task, predictions[task], torch.rand)
        labelled = label_input("semantic", self.label, CLASSES)
        items = torch.arange(BATCH)
        pair = pair_index(torch.tensor(TASKS.index(task)), torch.tensor(0), len(TASKS)).expand(2 * BATCH)
        maps = {task: TaskMaps([predicted], items), "semantic": TaskMaps([labelled], items + BATCH)}
        prediction, label = self.mapping(maps, pair).chunk(2)
        return prediction, label


def run(quick: bool) -> list[dict[str, Any]]:
    """One row per number of regions: seconds of the step, and of L_RC with one and two task pairs per image.

    The step adds up the contrasts of its pairs; negatives in all tasks are timed alone.
    """
    rows = []
    for regions in (30, 100):
        step = TrainingStep(regions)
        seconds = interleaved(
            {
                "step": step,
                "one pair per image": partial(step.contrast_alone, 1, "sum"),
                "two pairs per image": partial(step.contrast_alone, 2, "sum"),
                "negatives in all tasks": partial(step.contrast_alone, 2, "equation"),
            },
            2 if quick else 7,
        )
        # The step holds two pairs per image; a step with one pair lacks the other's contrast (and mapping, neglected).
        rest = [whole - two for whole, two in zip(seconds["step"], seconds["two pairs per image"], strict=True)]
        one_pair = seconds["one pair per image"]
        rows.append(
            {
                "regions": regions,
                "seconds": medians(seconds),
                "share_two_pairs": paired_ratio(seconds["two pairs per image"], seconds["step"]),
                "equation_to_sum": paired_ratio(seconds["negatives in all tasks"], seconds["two pairs per image"]),
                "share_one_pair": paired_ratio(one_pair, [r + o for r, o in zip(rest, one_pair, strict=True)]),
            }
        )
    return rows
