"""Whole training steps of runs, on random images with regions; no data and no pretrained weights are needed."""

from __future__ import annotations

from functools import partial
from itertools import cycle
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor

from benchmarks.contrast.scenes import voronoi
from benchmarks.gpu.timing import Cost, cost
from rdc_sweeps.data.batches import Batch, View, jointly_valid
from rdc_sweeps.data.noise import step_noise
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.backbone import BackboneSpec
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.run import RunSpec
from rdc_sweeps.training.evaluation import EVALUATION_BATCH
from rdc_sweeps.training.optimizer import build_optimizer, clip_gradients
from rdc_sweeps.training.setup import build_learner, stored_regions

REGIONS = 60
"""Per image; about as many as Segment Anything finds on NYU-V2."""


class Step:
    """A training step of a run as the training loop takes it, without its batches and records."""

    def __init__(self, spec: RunSpec, device: torch.device) -> None:
        self.spec, self.device = spec, device
        self.learner = build_learner(without_weights(spec), Settings(device="cpu")).to(device).train()
        self.optimizer = build_optimizer(self.learner, spec.training)
        self.batches = cycle([random_batch(spec, seed) for seed in range(2)])

    def __call__(self) -> None:
        half = self.spec.training.precision == "bfloat16"
        batch = next(self.batches).to(self.device)
        # The middle of a training, when everything counts.
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            losses = self.learner(batch, self.spec.length.epochs / 2)
        self.optimizer.zero_grad(set_to_none=True)
        losses.total.backward()
        norm = torch.nn.utils.get_total_norm([one.grad for one in self.learner.parameters() if one.grad is not None])
        if self.spec.training.clip_norm is not None:
            clip_gradients(self.learner, self.spec.training.clip_norm)
        torch.stack([norm.float(), losses.total.detach().float()]).tolist()
        self.optimizer.step()

    @torch.no_grad()
    def evaluate(self) -> None:
        """The network on a batch of test images."""
        self.learner.eval()
        self.learner.network(torch.rand(EVALUATION_BATCH, 3, *self.spec.dataset.size, device=self.device))
        self.learner.train()


def costs(spec: RunSpec, device: torch.device, repeats: int) -> tuple[Cost, Cost] | None:
    """Those of a training step and of a batch of the evaluation; None if there is not enough memory."""
    step = Step(spec, device)
    training, evaluation = cost(step, device, repeats), cost(step.evaluate, device, max(1, repeats // 2))
    return None if training is None or evaluation is None else (training, evaluation)


def random_batch(spec: RunSpec, seed: int, regions: int = REGIONS) -> Batch:
    """A batch of the run's size with noise as images and labels, of which the label setting withholds some."""
    images, tasks = spec.training.batch_size, spec.dataset.tasks
    granted = torch.ones(images, len(tasks), dtype=torch.bool)
    if spec.labels.setting != "full":
        # One label; under random labels 1 to K - 1, equally often.
        most = len(tasks) - 1 if spec.labels.setting == "randomlabels" else 1
        image, column = torch.arange(images)[:, None], torch.arange(len(tasks))
        granted = (column - image) % len(tasks) < 1 + image // len(tasks) % most
    view = partial(_view, spec, granted, regions)
    views = tuple(view(2 * seed + number) for number in range(spec.training.augmentation.views))
    return Batch(torch.arange(images), granted, views, step_noise(0, 0, seed, range(images)))


def _view(spec: RunSpec, granted: Tensor, count: int, seed: int) -> View:
    generator = torch.Generator().manual_seed(seed)
    images, size, tasks = len(granted), spec.dataset.size, spec.dataset.tasks

    def normal(channels: int) -> Tensor:
        return torch.randn(images, channels, *size, generator=generator)

    known = {task: granted[:, column, None, None] for column, task in enumerate(tasks)}
    classes = torch.randint(0, len(spec.dataset.classes), (images, *size), generator=generator)
    labels: dict[Task, Tensor] = {
        "semantic": torch.where(known["semantic"], classes, -1),
        "depth": (normal(1).abs() + 0.5) * known["depth"][:, None],
    }
    if "normal" in tasks:
        labels["normal"] = torch.nn.functional.normalize(normal(3)) * known["normal"][:, None]
    regions = voronoi(images, *size, count, seed).int() if stored_regions(spec) is not None else None
    image = torch.rand(images, 3, *size, generator=generator)
    return View(image, labels, regions, jointly_valid(tasks, labels, granted))


def without_weights(spec: RunSpec) -> RunSpec:
    """The run with a random network, which takes as long as a pretrained one."""
    backbone = _unloaded(spec.backbone.model_dump())
    return spec.model_copy(update={"backbone": TypeAdapter(BackboneSpec).validate_python(backbone)})


def _unloaded(fields: dict[str, Any]) -> dict[str, Any]:
    """A backbone's fields, and those of its encoder, without pretrained weights."""
    changed = {name: _unloaded(value) if name == "encoder" else value for name, value in fields.items()}
    return {**changed, "pretrained": {"source": "none"}} if "pretrained" in fields else changed
