"""The interfaces of networks and backbones, and the channels of each task."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor, nn

from rdc_sweeps.specs.base import Task


def task_channels(tasks: Sequence[Task], classes: int) -> dict[Task, int]:
    """Channels per task: `classes` logits, one depth, three components of a normal; in the order of `tasks`."""
    channels: dict[Task, int] = {"semantic": classes, "depth": 1, "normal": 3}
    return {task: channels[task] for task in tasks}


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
