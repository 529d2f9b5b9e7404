"""Random weights, images and labels to compare with, in float64."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdc_sweeps.specs.base import Task

TASKS: tuple[Task, ...] = ("semantic", "depth", "normal")
CLASSES = 13
SIZE = (64, 96)


def generator(seed: int = 0) -> torch.Generator:
    """A source of random numbers."""
    return torch.Generator().manual_seed(seed)


def randomised(module: nn.Module) -> nn.Module:
    """The module in float64, its convolutions as they are, everything that starts at 0 or 1 moved away from there."""
    module.double()
    source = generator(7)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if name.endswith(("norm.weight", "gamma", "beta", "bias", "running_mean", "running_var")) or (
                tensor.dim() == 1 and tensor.is_floating_point()
            ):
                tensor.add_(0.2 * torch.randn(tensor.shape, generator=source, dtype=torch.float64).clamp(-2, 2))
    return module


def images(count: int, seed: int = 0, size: tuple[int, int] = SIZE) -> Tensor:
    """Images (B, 3, H, W) in [0, 1]."""
    return torch.rand(count, 3, *size, generator=generator(seed), dtype=torch.float64)


def labels(count: int, seed: int = 0, size: tuple[int, int] = SIZE) -> dict[Task, Tensor]:
    """Labels of all tasks with invalid pixels of every kind; normals have length 1."""
    source = generator(100 + seed)
    depth = 10 * torch.rand(count, 1, *size, generator=source, dtype=torch.float64)
    normal = F.normalize(torch.randn(count, 3, *size, generator=source, dtype=torch.float64))
    invalid = torch.rand(count, 1, *size, generator=source) < 0.2
    return {
        "semantic": torch.randint(-1, CLASSES, (count, *size), generator=source),
        "depth": torch.where(depth < 1, 0.0, depth),
        "normal": torch.where(invalid, 0.0, normal),
    }


def predictions(count: int, seed: int = 0, size: tuple[int, int] = SIZE) -> dict[Task, Tensor]:
    """Predictions of all tasks; some depths are negative, normals have any length."""
    source = generator(200 + seed)
    channels: dict[Task, int] = {"semantic": CLASSES, "depth": 1, "normal": 3}
    found = {
        task: torch.randn(count, number, *size, generator=source, dtype=torch.float64)
        for task, number in channels.items()
    }
    return found | {"depth": 3 * found["depth"] + 4}


def region_map(count: int, seed: int = 0, size: tuple[int, int] = SIZE, block: int = 12) -> Tensor:
    """Region ids (B, H, W): patches of uneven size, some of whose ids occur at several places."""
    source = generator(300 + seed)
    height, width = size
    coarse = torch.randint(0, 9, (count, height // block + 2, width // block + 2), generator=source)
    fine = coarse.repeat_interleave(block, 1).repeat_interleave(block, 2)
    return fine[:, block // 3 : block // 3 + height, block // 2 : block // 2 + width].contiguous()
