"""DejaVu: conditional regeneration of the image as a second supervision (Borse et al., CVPR 2023, arXiv 2303.01573)."""

import math
from collections.abc import Mapping
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdc_sweeps.contrast.arithmetic import full_precision, promote
from rdc_sweeps.data.batches import Batch
from rdc_sweeps.methods.method import Losses, Outputs, Term, fixed_running_statistics, ramped
from rdc_sweeps.methods.supervised import as_labels, supervised_losses
from rdc_sweeps.models.network import Predictions, task_channels
from rdc_sweeps.models.shown import relative_depth, shifted_normal
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.method import CheckerboardRedaction, DejaVu, RedactionSpec

IMAGE_CHANNELS = 3

DILATIONS = (1, 2, 4)
"""Dilations of the hidden convolutions; with the output convolution the receptive field is 17x17 pixels, two blocks."""


class DejaVuTerm(Term):
    """The error of an image regenerated from a redacted copy and the dense predictions.

    The abstract of the paper describes this: the image is redacted, by sparse sampling in space (checkerboard) or by
    removing frequencies (spectral), which destroys its boundaries and keeps its context. A conditional regeneration
    module restores the image from the redacted one and the base network's dense predictions. The reconstruction loss is
    added to the supervised one and reaches the base network through its predictions. The module is used in training
    only, so the cost of inference does not change.

    The authors' code is not public, and none of their settings is reproduced. Chosen here:

    - one module for all tasks, whose input is the predictions of all of them, whether or not the image has their
      labels (none is used), in the form that `condition` returns;
    - the module itself (`RegenerationModule`): four convolutions, 32 channels;
    - one fixed redaction per run, with zeros in place of what is removed: blocks of 8 pixels, or all frequencies of
      0.1 and above;
    - the mean squared error over all pixels, kept and removed, as the reconstruction loss, without perceptual terms;
    - weight 1, on view 1, like the supervised losses.

    Of the paper's extensions, cyclic consistency (DejaVu-CL) is `cyclic_weight`. Only its name is known here, and read
    like this: the regenerated image passes through the network, and the supervised losses of its predictions are taken
    against the predictions of the image itself, as labels without gradient. The network's batch norms do not count
    regenerated images in their running statistics. Shared attention (DejaVu-SA), a regeneration module with attention
    inside the network, and text supervision (DejaVu-TS) are not described well enough by what is public.
    """

    uses_last_view = False
    value = "loss/reconstruction"

    def __init__(self, spec: DejaVu, tasks: tuple[Task, ...], classes: int) -> None:
        super().__init__()
        self.spec = spec
        self.tasks = tasks
        self.regeneration = RegenerationModule(tasks, classes, spec.channels)

    def forward(self, outputs: Outputs, batch: Batch, epoch: float) -> Losses:
        """See `Term.forward`; only the first view is used."""
        image = batch.views[0].image
        regenerated = self.regeneration(redact(image, self.spec.redaction), outputs.first).to(image.dtype)
        reconstruction = F.mse_loss(regenerated, image)
        total, reported = self.spec.weight * reconstruction, {"loss/reconstruction": reconstruction.detach()}
        if self.spec.cyclic_weight:
            cyclic = self._cyclic(outputs, regenerated)
            total, reported["loss/cyclic"] = total + self.spec.cyclic_weight * cyclic, cyclic.detach()
        return Losses(ramped(1.0, self.spec.ramp_epochs, epoch) * total, reported)

    def _cyclic(self, outputs: Outputs, regenerated: Tensor) -> Tensor:
        """The supervised losses of the regenerated image's predictions against those of the image."""
        assert outputs.network is not None
        with fixed_running_statistics(outputs.network):
            predictions: Predictions = outputs.network(regenerated)
        labels = {task: label.detach() for task, label in as_labels(outputs.first).items()}
        everywhere = torch.ones(len(regenerated), len(self.tasks), dtype=torch.bool)
        losses = supervised_losses(self.tasks, predictions, labels, everywhere)
        return torch.stack(list(losses.values())).sum()


def condition(task: Task, prediction: Tensor) -> Tensor:
    """A prediction in the form that conditions the regeneration, differentiable; both Tensor (B, C, H, W).

    Semantic logits become probabilities, depth is divided by its maximum, a normal is scaled to unit length and
    shifted to [0, 1]. This removes the offset of logits and the length of normals, which the supervised losses ignore:
    a network could use them to pass the image itself to the module.
    """
    (prediction,) = promote(prediction)
    match task:
        case "semantic":
            return prediction.softmax(dim=1)
        case "normal":
            return shifted_normal(F.normalize(prediction, dim=1, eps=1e-6))
        case "depth":
            return relative_depth(prediction)


class RegenerationModule(nn.Module):
    """Three dilated 3x3 convolutions with BN and ReLU, and a 3x3 convolution to the image, at full resolution.

    Args:
        tasks: Tasks whose predictions condition the regeneration.
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
            predictions: By task, Tensor (B, C, H, W) as the network returns them.

        Returns:
            Tensor (B, 3, H, W), not clamped.
        """
        conditions = [condition(task, predictions[task]) for task in self.tasks]
        image: Tensor = self.layers(torch.cat([redacted, *conditions], dim=1))
        return image


def redact(image: Tensor, spec: RedactionSpec) -> Tensor:
    """An image without what the spec removes; both Tensor (B, C, H, W)."""
    if isinstance(spec, CheckerboardRedaction):
        return checkerboard(image, spec.block)
    return without_band(image, spec.lower, spec.upper)


def checkerboard(image: Tensor, block: int) -> Tensor:
    """Set every other block to zero, like the black squares of a checkerboard; the block at the top left is kept.

    Args:
        image: Tensor (B, C, H, W); blocks at the right and bottom edge may be cut.
        block: Side of a block, pixels.
    """
    rows, columns = (torch.arange(length, device=image.device) // block for length in image.shape[-2:])
    kept = (rows[:, None] + columns) % 2 == 0
    return image * kept


def without_band(image: Tensor, lower: float, upper: float | None) -> Tensor:
    """Remove a band of frequencies: the orthogonal projection of each channel onto the other cosines.

    The frequency of the coefficient (u, v) of the orthonormal discrete cosine transform (DCT-II) is the length of
    (u / H, v / W): 1 is half a cycle per pixel along an axis, 0 the mean.

    Args:
        image: Tensor (B, C, H, W).
        lower: Lowest frequency that is removed.
        upper: End of the band, exclusive; None for all frequencies from `lower`.
    """
    height, width = image.shape[-2:]
    with full_precision(image):
        over_rows, over_columns = (_cosines(length).to(image, non_blocking=True) for length in (height, width))
        frequency = torch.hypot(
            (torch.arange(height, device=image.device) / height)[:, None],
            torch.arange(width, device=image.device) / width,
        )
        kept = (frequency < lower) | (frequency >= (math.inf if upper is None else upper))
        spectrum = over_rows @ image @ over_columns.T
        return over_rows.T @ (spectrum * kept) @ over_columns


@lru_cache
def _cosines(length: int) -> Tensor:
    """The orthonormal DCT-II as a matrix (frequency, position), float64."""
    frequency = torch.arange(length, dtype=torch.float64)[:, None]
    place = torch.arange(length, dtype=torch.float64) + 0.5
    matrix = torch.cos(math.pi / length * frequency * place) * math.sqrt(2 / length)
    matrix[0] /= math.sqrt(2)
    return matrix
