"""The conditional regeneration module of DejaVu: a redacted image and dense predictions to an image."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdc_sweeps.models.mapping_inputs import prediction_input
from rdc_sweeps.models.tasks import task_channels
from rdc_sweeps.specs.base import Task

IMAGE_CHANNELS = 3

DILATIONS = (1, 2, 4)
"""Of the hidden convolutions; with the last one a pixel sees 17x17 pixels, more than a block and its neighbours."""


def condition(task: Task, prediction: Tensor) -> Tensor:
    """A prediction as the regeneration module sees it, differentiable; both Tensor (B, C, H, W).

    Semantic logits become probabilities, depth is divided by its maximum, a normal is brought to unit length and to
    [0, 1]. So nothing is left whose size the supervised losses do not care about, and in which a network could hide
    the image from them: the offset of logits and the length of normals.
    """
    prediction = prediction.float() if prediction.dtype.itemsize < 4 else prediction
    match task:
        case "semantic":
            return prediction.softmax(dim=1)
        case "normal":
            return prediction_input(task, F.normalize(prediction, dim=1, eps=1e-6))
        case "depth":
            return prediction_input(task, prediction)


class RegenerationModule(nn.Module):
    """Three dilated 3x3 convolutions with BN and ReLU, and a 3x3 convolution to the image, at full resolution.

    Args:
        tasks: Whose predictions condition the regeneration.
        classes: Number of semantic classes.
        channels: Channels of the hidden layers.
    """

    def __init__(self, tasks: tuple[Task, ...], classes: int, channels: int) -> None:
        super().__init__()
        self.tasks = tasks
        widths = (IMAGE_CHANNELS + sum(task_channels(tasks, classes).values()), *(channels for _ in DILATIONS))
        layers: list[nn.Module] = []
        for number, dilation in enumerate(DILATIONS):
            layers += [
                nn.Conv2d(widths[number], channels, 3, padding=dilation, dilation=dilation, bias=False),
                nn.BatchNorm2d(channels),
                nn.ReLU(inplace=True),
            ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels, IMAGE_CHANNELS, 3, padding=1))

    def forward(self, redacted: Tensor, predictions: Mapping[Task, Tensor]) -> Tensor:
        """Regenerated images.

        Args:
            redacted: Tensor (B, 3, H, W).
            predictions: Of each task, Tensor (B, C, H, W) as the network gives them.

        Returns:
            Tensor (B, 3, H, W), not clamped.
        """
        conditions = [condition(task, predictions[task]) for task in self.tasks]
        image: Tensor = self.layers(torch.cat([redacted, *conditions], dim=1))
        return image
