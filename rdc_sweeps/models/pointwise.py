"""1x1 convolutions of small batches on one thread, which torch does not give to its fast library (oneDNN)."""

import torch
from torch import Tensor, nn

ENOUGH = 16
"""Maps in a batch from which on torch takes the library, whatever the number of threads."""


class PointwiseConvolution(nn.Conv2d):
    """A 1x1 convolution with stride 1, whose input counts as many small maps where torch would take a slow way.

    With one thread and fewer than 16 maps, torch multiplies matrices by another library, which took twice as long. A
    1x1 convolution does not mind where a map ends, so each row of pixels may count as a map of its own.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Tensor (B, C, H, W) to Tensor (B, out_channels, H, W)."""
        count, channels, height, width = maps.shape
        small = torch.get_num_threads() == 1 and count < ENOUGH <= count * height
        if not small or maps.device.type != "cpu" or maps.dtype != torch.float32:
            return super().forward(maps)
        rows = maps.permute(0, 2, 3, 1).reshape(count * height, 1, width, channels).permute(0, 3, 1, 2)
        convolved = super().forward(rows).permute(0, 2, 3, 1)
        return convolved.reshape(count, height, width, -1).permute(0, 3, 1, 2)


def speed_up_pointwise(network: nn.Module) -> None:
    """Make every plain 1x1 convolution of a network a `PointwiseConvolution`, with the same parameters and names."""
    for module in network.modules():
        if type(module) is nn.Conv2d and _is_pointwise(module):
            module.__class__ = PointwiseConvolution


def _is_pointwise(convolution: nn.Conv2d) -> bool:
    sizes = (*convolution.kernel_size, *convolution.stride, convolution.groups)
    return set(sizes) == {1} and convolution.padding in ((0, 0), "valid", "same")
