"""A tiny network and batches for the tests of methods."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdc_sweeps.data.batches import Batch, View, jointly_valid
from rdc_sweeps.data.noise import step_noise
from rdc_sweeps.methods.method import Method
from rdc_sweeps.methods.registry import build_method
from rdc_sweeps.models.network import MultiTaskNetwork, task_channels
from rdc_sweeps.specs.base import Spec, Task
from rdc_sweeps.specs.method import MethodSpec
from rdc_sweeps.specs.training import TrainingSpec

TASKS: tuple[Task, ...] = ("semantic", "depth", "normal")
CLASSES = 5
SIZE = (32, 48)
ONE_LABEL = [[False, True, False], [True, False, False]]


class _Scales(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Conv2d(3, 6, 3, stride=4, padding=1)
        self.coarse = nn.Conv2d(6, 4, 3, stride=2, padding=1)

    def forward(self, image: Tensor) -> list[Tensor]:
        fine = self.fine(image).relu()
        return [fine, self.coarse(fine)]


class ToyNetwork(MultiTaskNetwork):
    """Two scales, of 6 channels at stride 4 and 4 channels at stride 8, and a head per task."""

    def __init__(self, tasks: tuple[Task, ...] = TASKS) -> None:
        super().__init__(None)
        self.backbone = _Scales()  # type: ignore[assignment]
        self.heads = nn.ModuleDict(
            {task: nn.Conv2d(10, channels, 1) for task, channels in task_channels(tasks, CLASSES).items()}
        )

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        fine, coarse = self.backbone(image)  # type: ignore[misc]
        features = torch.cat([fine, F.interpolate(coarse, size=fine.shape[-2:])], dim=1)
        return {task: F.interpolate(head(features), size=image.shape[-2:]) for task, head in self.heads.items()}


def toy_network(tasks: tuple[Task, ...] = TASKS) -> ToyNetwork:
    torch.manual_seed(5)
    return ToyNetwork(tasks)


def toy_method(spec: MethodSpec, tasks: tuple[Task, ...] = TASKS, training: TrainingSpec | None = None) -> Any:
    torch.manual_seed(0)
    return build_method(spec, tasks, CLASSES, training or TrainingSpec())


def toy_term(spec: Spec, tasks: tuple[Task, ...] = TASKS) -> Any:
    """The term of a method that has this one alone."""
    (term,) = toy_method(spec, tasks).terms.values()  # type: ignore[arg-type]
    return term


def toy_view(images: int, seed: int = 0, size: tuple[int, int] = SIZE, granted: Tensor | None = None) -> View:
    generator = torch.Generator().manual_seed(seed)
    labels: dict[Task, Tensor] = {
        "semantic": torch.randint(-1, CLASSES, (images, *size), generator=generator),
        "depth": torch.rand(images, 1, *size, generator=generator) + 0.5,
        "normal": F.normalize(torch.randn(images, 3, *size, generator=generator)),
    }
    if granted is None:
        granted = torch.ones(images, len(TASKS), dtype=torch.bool)
    valid = jointly_valid(TASKS[: granted.shape[1]], labels, granted)
    return View(torch.rand(images, 3, *size, generator=generator), labels, None, valid)


def toy_batch(granted: list[list[bool]], views: int = 1, size: tuple[int, int] = SIZE) -> Batch:
    images = len(granted)
    shown = tuple(toy_view(images, seed, size, torch.tensor(granted)) for seed in range(views))
    return Batch(torch.arange(images), torch.tensor(granted), shown, step_noise(0, 0, 0, range(images)))


def outcome(method: Method, network: nn.Module, batch: Batch, epoch: float = 1.0) -> dict[str, Tensor]:
    """The losses by name, with the total."""
    losses = method(network, batch, epoch)
    return {"total": losses.total, **losses.reported}


def fill_withheld_labels(batch: Batch) -> None:
    """Put noise where a label is withheld."""
    generator = torch.Generator().manual_seed(9)
    for view in batch.views:
        for column, task in enumerate(TASKS[: batch.granted.shape[1]]):
            label, withheld = view.labels[task], ~batch.granted[:, column]
            noise = torch.rand(label.shape, generator=generator) * CLASSES
            label[withheld] = noise.to(label.dtype)[withheld]
