"""The interface that every backbone has."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Backbone(nn.Module, ABC):
    """An image to feature maps at several scales.

    A new backbone is a subclass in a file of its own, and its network's line in `registry.NETWORKS`.

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
