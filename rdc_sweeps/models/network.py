"""The interfaces of networks and backbones, and the channels of each task."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rdc_sweeps.specs.backbone import InputValues
from rdc_sweeps.specs.base import Task

MEANS_AND_DEVIATIONS: dict[InputValues, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "unit": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "symmetric": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
"""Mean and standard deviation of red, green and blue that `Normalise` takes out of an image in [0, 1]."""

Predictions = dict[Task, Tensor]
"""Per task a Tensor (B, C, H, W)."""


def task_channels(tasks: Sequence[Task], classes: int) -> dict[Task, int]:
    """Channels per task: `classes` logits, one depth, three components of a normal; in the order of `tasks`."""
    channels: dict[Task, int] = {"semantic": classes, "depth": 1, "normal": 3}
    return {task: channels[task] for task in tasks}


def at_least_float32(maps: Tensor) -> Tensor:
    """Half-precision maps in float32, others as they are."""
    return maps.float() if maps.dtype.itemsize < 4 else maps


class Normalise(nn.Module):
    """An image in [0, 1] to the values that a network expects; see `MEANS_AND_DEVIATIONS`.

    Args:
        values: What the network expects.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, values: InputValues) -> None:
        super().__init__()
        for name, numbers in zip(("mean", "deviation"), MEANS_AND_DEVIATIONS[values], strict=True):
            # Constants: on the network's device and of its type, but not in its state.
            self.register_buffer(name, torch.tensor(numbers).view(3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Tensor (B, 3, H, W) to one of the same shape."""
        return (image - self.mean) / self.deviation


class Backbone(nn.Module, ABC):
    """An image to feature maps at several scales.

    To add a backbone, write a subclass in a file of its own and add a line for its network to `registry.NETWORKS`.

    Attributes:
        architecture: The timm model whose weights fit `body`.
        body: The part that pretrained weights are loaded into.
        channels: Channels of each map that `forward` returns.
    """

    architecture: str
    body: nn.Module
    channels: tuple[int, ...]

    @abstractmethod
    def forward(self, image: Tensor) -> list[Tensor]:
        """Feature maps of a batch.

        Args:
            image: Tensor (B, 3, H, W), RGB in [0, 1]; H and W are multiples of 32.

        Returns:
            One Tensor (B, channels[i], H / s_i, W / s_i) per scale, the finest first.
        """


class MultiTaskNetwork(nn.Module, ABC):
    """An image to a dense prediction of every task.

    To add a network, write a subclass in a file of its own and add a line for its spec to `registry.NETWORKS`.

    Args:
        backbone: The part that pretrained weights are for; None if there are none.
    """

    def __init__(self, backbone: Backbone | None) -> None:
        super().__init__()
        self.backbone = backbone

    @abstractmethod
    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Predictions of all tasks.

        Args:
            image: Tensor (B, 3, H, W), RGB in [0, 1]; H and W are multiples of 32.

        Returns:
            Per task a Tensor (B, C, H, W): semantic logits, depth in the data set's unit, normals. Their length is
            free unless the network says otherwise.
        """

    def stages(self, image: Tensor) -> Sequence[Predictions]:
        """Predictions that are trained, from coarse to final; the last are what `forward` returns.

        A network that refines its predictions returns the earlier ones too, and the supervised losses are summed over
        all of them.

        Args:
            image: See `forward`.
        """
        return [self(image)]
