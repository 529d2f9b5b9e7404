"""What a network is to the rest of the project."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from rdc_sweeps.models.backbones import Backbone


class MultiTaskNetwork(nn.Module, ABC):
    """An image to a dense prediction of every task.

    A new network is a subclass in a file of its own, and its spec's line in `registry.NETWORKS`.

    Args:
        backbone: The part that may have pretrained weights; None if nothing has.
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
