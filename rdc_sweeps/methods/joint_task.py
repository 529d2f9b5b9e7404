"""Joint-task regularisation: an autoencoder over the stacked maps of all tasks (Nishi et al., CVPR 2024, "JTR").

arXiv 2404.01976. Unlike losses between pairs of tasks, its cost is linear in the number of tasks.
"""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from rdc_sweeps.contrast.arithmetic import promote
from rdc_sweeps.data.batches import Batch, View, jointly_valid
from rdc_sweeps.data.noise import Noise
from rdc_sweeps.methods.method import Losses, Outputs, Term, ramped
from rdc_sweeps.models.network import Predictions, task_channels
from rdc_sweeps.models.segnet import Decoder, Encoder, head, initialise
from rdc_sweeps.models.shown import label_input, prediction_input, shifted_normal
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.method import JointTask

NOISE_TAG = 1000
"""Keeps the Gumbel noise apart from that of pairs of tasks, whose tags are positions of tasks."""


class JointTaskTerm(Term):
    """A distance in the latent space of an autoencoder of all tasks, and the autoencoder's reconstruction.

    Per image, Yp stacks the predictions of all tasks, and Y the labels of the tasks that have one with the predictions
    of the others. With the encoder's output z, 1 - cos(z(Y), z(Yp)) is averaged over places, and

        distance = D_network + reconstruction_weight D_autoencoder,
        L = distance_weight distance + reconstruction_weight (R(Y) + R(Yp)),

    where the gradient of D_network reaches the predictions of tasks without label alone, and those of D_autoencoder and
    of the reconstruction losses R reach the autoencoder alone. R is a binary cross-entropy for semantic maps, summed
    over classes, an L1 distance for depth and 1 - cos for normals, averaged over pixels. Pixels that are void in a
    label of the image are void in both stacks and in R.

    The form of the inputs, the weights and the autoencoder, a SegNet, are those of the authors' code. There, the three
    parts use two crops of the image besides the supervised one, distorted in colour (RandAugment), and stacks pass the
    autoencoder image by image; here all parts use the last view, and each stack passes as one batch. The normals of Y
    and Yp count at unit length here, whatever the network. Semantic predictions are a hard Gumbel one-hot, the same in
    both stacks.
    """

    value = "loss/joint_distance"

    def __init__(self, spec: JointTask, tasks: tuple[Task, ...], classes: int) -> None:
        super().__init__()
        self.spec = spec
        self.tasks = tasks
        self.classes = classes
        self.channels = task_channels(tasks, classes)
        self.autoencoder = Autoencoder(sum(self.channels.values()), spec.width)

    def forward(self, outputs: Outputs, batch: Batch, epoch: float) -> Losses:
        """See `Term.forward`."""
        view = batch.views[-1]
        granted = batch.granted.to(view.image.device, non_blocking=True)
        valid = jointly_valid(self.tasks, view.labels, granted).unsqueeze(1)
        predicted, completed = self.stacks(outputs.last, view, granted, valid, batch.noise)
        encoder = self.autoencoder.encoder
        frozen = {name: value.detach() for name, value in encoder.named_parameters()}
        frozen_latents = [functional_call(encoder, frozen, (stack, [])) for stack in (completed, predicted)]
        network_part = _cosine_distance(*frozen_latents)
        latents, reconstruction = [], network_part.new_zeros(())
        for stack in (completed.detach(), predicted.detach()):
            latent, restored = self.autoencoder(stack)
            latents.append(latent)
            reconstruction = reconstruction + self._reconstruction(restored, stack, valid)
        weight = self.spec.reconstruction_weight
        distance = network_part + weight * _cosine_distance(*latents)
        total = self.spec.distance_weight * distance + weight * reconstruction
        reported = {"loss/joint_distance": network_part.detach(), "loss/joint_reconstruction": reconstruction.detach()}
        return Losses(ramped(1.0, self.spec.ramp_epochs, epoch) * total, reported)

    def stacks(
        self, predictions: Predictions, view: View, granted: Tensor, valid: Tensor, noise: Noise
    ) -> tuple[Tensor, Tensor]:
        """Stacked maps of all tasks (B, C, H, W): predictions alone, and labels completed by predictions.

        Args:
            predictions: Of the view, by task (B, C, H, W).
            view: Images with labels.
            granted: Bool (B, K), which image has which task's label.
            valid: Bool (B, 1, H, W), False where a label of the image is void.
            noise: Noise of the B images.
        """
        noise = noise.tagged(NOISE_TAG)
        predicted, completed = [], []
        for column, task in enumerate(self.tasks):
            has_label = granted[:, column, None, None, None]
            # A label replaces its prediction in Y, so the regularisation is for the predictions without.
            (prediction,) = promote(torch.where(has_label, predictions[task].detach(), predictions[task]))
            label = view.labels[task]
            if task == "semantic":
                prediction = prediction_input(task, prediction, partial(noise.uniform, dtype=torch.float32))
                label = label_input(task, label, self.classes)
            elif task == "normal":
                prediction = F.normalize(prediction, dim=1)
            predicted.append(self._input(task, prediction, valid))
            completed.append(torch.where(has_label, self._input(task, label.to(prediction), valid), predicted[-1]))
        return torch.cat(predicted, dim=1), torch.cat(completed, dim=1)

    def _input(self, task: Task, maps: Tensor, valid: Tensor) -> Tensor:
        """One-hot classes, depth in its unit or unit normals, as values in [0, 1] that are the same wherever void."""
        maps = torch.where(valid, maps, 0.0)
        match task:
            case "semantic":
                return maps
            case "depth":
                cumulative: Tensor = torch.special.ndtr((maps - self.spec.depth_mean) / self.spec.depth_deviation)
                return cumulative
            case "normal":
                return shifted_normal(maps)

    def _reconstruction(self, restored: Tensor, stack: Tensor, valid: Tensor) -> Tensor:
        """R: the sum over tasks of the mean loss of the valid pixels of each image, averaged over images."""
        losses = []
        channels = list(self.channels.values())
        for task, found, target in zip(self.tasks, restored.split(channels, 1), stack.split(channels, 1), strict=True):
            match task:
                case "semantic":
                    loss = F.binary_cross_entropy_with_logits(found, target, reduction="none").sum(1, keepdim=True)
                case "depth":
                    loss = (found.sigmoid() - target).abs()
                case "normal":
                    loss = 1 - F.cosine_similarity(found, 2 * target - 1, dim=1, eps=1e-8).unsqueeze(1)
            pixels = valid.sum((1, 2, 3)).clamp_min(1)
            losses.append((torch.where(valid, loss, 0.0).sum((1, 2, 3)) / pixels).mean())
        return torch.stack(losses).sum()


class Autoencoder(nn.Module):
    """SegNet from stacked maps to logits of stacked maps.

    Args:
        channels: Channels of the stack.
        width: Channels of the first stage.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(channels, width), Decoder(width)
        self.head = head(width, channels)
        initialise(self)

    def forward(self, stack: Tensor) -> tuple[Tensor, Tensor]:
        """Tensor (B, channels, H, W) to the latent (B, 8 width, H / 32, W / 32) and the restored stack."""
        maxima: list[Tensor] = []
        latent = self.encoder(stack.contiguous(memory_format=torch.channels_last), maxima)
        return latent, self.head(self.decoder(latent, maxima))


def _cosine_distance(one: Tensor, other: Tensor) -> Tensor:
    """1 - cosine over channels, averaged over places and images; Tensors (B, C, H, W) -> scalar."""
    one, other = promote(one, other)
    return (1 - F.cosine_similarity(one, other, dim=1, eps=1e-12)).mean()
