"""DiffusionMTL (Ye & Xu, CVPR 2024, arXiv 2403.15389): predictions or features denoised, conditioned on all tasks.

From the paper are: a backbone with a decoder per task that gives first predictions; for each task, its first prediction
(Prediction Diffusion) or the feature behind it (Feature Diffusion) as the signal that a diffusion process noises in a
few steps; a denoiser that is conditioned on the first predictions of all tasks, labelled or not; the denoised
prediction, supervised like the first one.

The authors' code covers Feature Diffusion on PASCAL-Context alone. From it are: the encoder's maps concatenated at
stride 8, a 3x3 convolution to 512 channels, per task two residual blocks and a 1x1 convolution; a condition without
gradient, made by a 3x3 convolution of all first predictions; two steps, whose noise has standard deviations equally
spaced from the root of 0.001 to that of 0.01; a denoiser that predicts the clean signal, through which training passes
once per step, with gradient, and which is supervised after the last; half the weight for the losses of first
predictions (`training.stage_weight`); four cross-attentions at a quarter of the resolution, whose queries come from the
condition, and keys and values from the noised signal; the convolutions before and after.

Chosen here, where these are silent, for Prediction Diffusion:

- the signals are the predictions at the maps' stride (logits, depth, normals), and the denoiser's feature becomes a
  prediction after every step, not only after the last;
- predictions are divided by their root mean square, per image and task, before they are noised and enter the condition,
  and denoised ones are multiplied by it. Otherwise noise that logits would hardly feel would bury disparities of 0.02.

Different from the authors' code:

- In evaluation no noise is drawn, and each random variable is replaced by its mean: equal images have equal predictions
  in any batch. The authors' code draws noise there, too.
- In training every task is denoised for every image, since methods need all predictions; the authors' code denoises the
  tasks with a label. The gradient of the supervised losses is the same.
- The losses of an image are not multiplied by the number of tasks over that of its labels.
- Convolutions and the encoding of the step are initialised as in torch; the attention is, as there, by Glorot & Bengio.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from timm.models.resnet import BasicBlock
from torch import Tensor, nn

from rdc_sweeps.data.noise import Noise, content_noise
from rdc_sweeps.models.network import Backbone, MultiTaskNetwork, Predictions
from rdc_sweeps.models.pyramid import resize
from rdc_sweeps.specs.backbone import DiffusionSpec
from rdc_sweeps.specs.base import Task

VARIANCES = (1e-3, 1e-2)
"""Variances of the noise of the first and of the last step."""

BLOCKS = 4
HEADS = 4

REDUCTION = 4
"""Stride of the attention's tokens on the maps."""

FREQUENCIES = 128
LONGEST_PERIOD = 10_000
"""Of the encoding of the step, in steps over 2 pi (Vaswani et al. 2017)."""

SMALLEST_SCALE = 1e-6
"""Root mean squares are at least this."""


@dataclass(frozen=True)
class NoiseSchedule:
    """The forward process of denoising diffusion and its posterior (Ho et al. 2020, eq. 2 to 7); steps from 0 on.

    Attributes:
        betas: Variance of the noise that each step adds to what it keeps of a signal of unit variance.
    """

    betas: tuple[float, ...]

    @classmethod
    def of(cls, steps: int) -> "NoiseSchedule":
        """The schedule of DiffusionMTL: square roots of `VARIANCES`, and equally spaced ones between them."""
        first, last = (math.sqrt(variance) for variance in VARIANCES)
        return cls(tuple((first + (last - first) * step / max(steps - 1, 1)) ** 2 for step in range(steps)))

    def kept(self, step: int) -> float:
        """Fraction of the signal's variance that is left after a step; 1 before the first, whose number is 0."""
        return math.prod(1 - beta for beta in self.betas[: step + 1])

    def noised(self, clean: Tensor, step: int, noise: Tensor | None) -> Tensor:
        """The signal after a step, eq. 4.

        Args:
            clean: Tensor of any shape.
            step: Its number.
            noise: Standard normal, of the same shape; None: the mean over the noise.
        """
        kept = self.kept(step)
        mean = math.sqrt(kept) * clean
        return mean if noise is None else mean + math.sqrt(1 - kept) * noise

    def previous(self, clean: Tensor, noised: Tensor, step: int, noise: Tensor | None) -> Tensor:
        """The signal before a step, drawn from its posterior, eq. 6 and 7.

        Args:
            clean: What the denoiser takes for the clean signal.
            noised: The signal after the step.
            step: Its number; before step 0 this is `clean`.
            noise: Standard normal, of the same shape; None: the mean over the noise.
        """
        beta, kept, before = self.betas[step], self.kept(step), self.kept(step - 1)
        mean = math.sqrt(before) * beta / (1 - kept) * clean + math.sqrt(1 - beta) * (1 - before) / (1 - kept) * noised
        return mean if noise is None else mean + math.sqrt((1 - before) / (1 - kept) * beta) * noise


class DiffusionNetwork(MultiTaskNetwork):
    """First predictions, and denoised ones.

    A normal's length is free. The noise of an image in training is a function of the run's seed, of how many passes the
    network made before, and of the image's pixels, so it does not depend on which process has the image.

    Args:
        backbone: Feature maps, finest first.
        out_channels: Channels of each task's output, see `task_channels`.
        spec: What is denoised, steps and sizes.
    """

    backbone: Backbone
    noise_key: Tensor
    passes: Tensor

    def __init__(self, backbone: Backbone, out_channels: Mapping[Task, int], spec: DiffusionSpec) -> None:
        super().__init__(backbone)
        width = spec.width
        self.tasks = tuple(out_channels)
        self.stride = spec.stride
        self.of_predictions = spec.denoise == "prediction"
        self.schedule = NoiseSchedule.of(spec.steps)
        self.embedding = nn.Conv2d(sum(backbone.channels), width, 3, padding=1)
        self.decoders = nn.ModuleDict(
            {task: nn.Sequential(BasicBlock(width, width), BasicBlock(width, width)) for task in out_channels}
        )
        self.first_heads = nn.ModuleDict({task: nn.Conv2d(width, count, 1) for task, count in out_channels.items()})
        # Their sum is one convolution of the concatenated predictions.
        self.conditions = nn.ModuleDict(
            {task: nn.Conv2d(count, width, 3, padding=1) for task, count in out_channels.items()}
        )
        signals = out_channels if self.of_predictions else dict.fromkeys(out_channels, width)
        self.denoiser = Denoiser(signals, width)
        self.heads = nn.ModuleDict({task: nn.Conv2d(width, count, 1) for task, count in out_channels.items()})
        self.register_buffer("noise_key", torch.randint(2**62, ()))
        self.register_buffer("passes", torch.zeros((), dtype=torch.int64))

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Denoised predictions of all tasks; see `MultiTaskNetwork.forward`."""
        return {str(task): maps for task, maps in self.stages(image)[-1].items()}

    def stages(self, image: Tensor) -> list[Predictions]:
        """First and denoised predictions; see `MultiTaskNetwork.stages`."""
        size = image.shape[-2:]
        coarse = torch.Size((size[0] // self.stride, size[1] // self.stride))
        scales = self.backbone(image.contiguous(memory_format=torch.channels_last))
        shared = self.embedding(torch.cat([resize(scale, coarse) for scale in scales], dim=1))
        features = {task: self.decoders[task](shared) for task in self.tasks}
        first = {task: self.first_heads[task](features[task]) for task in self.tasks}
        scales = {task: _scale(first[task]) for task in self.tasks} if self.of_predictions else {}
        shown = {task: first[task] / scales[task] for task in self.tasks} if self.of_predictions else first
        condition = self._condition(shown)
        noise = self._noise(image) if self.training else None
        denoised: Predictions = {}
        for number, task in enumerate(self.tasks):
            own_noise = None if noise is None else noise.tagged(number)
            head = self.heads[task]
            if self.of_predictions:
                denoised[task] = self._denoised(task, head, shown[task], condition, own_noise) * scales[task]
            else:
                clean = self._denoised(task, nn.Identity(), features[task], condition, own_noise)
                denoised[task] = head(clean)
        return [{task: resize(maps, size) for task, maps in stage.items()} for stage in (first, denoised)]

    def _condition(self, predictions: Predictions) -> Tensor:
        """What the denoiser of every task sees, Tensor (B, width, h, w), without gradient to the predictions."""
        return torch.stack([self.conditions[task](maps.detach()) for task, maps in predictions.items()]).sum(dim=0)

    def _noise(self, image: Tensor) -> Noise:
        noise = content_noise(image, self.noise_key + self.passes)
        self.passes.add_(1)
        return noise

    def _denoised(self, task: Task, head: nn.Module, signal: Tensor, condition: Tensor, noise: Noise | None) -> Tensor:
        """The signal noised and denoised again.

        Args:
            task: Whose signal it is.
            head: Makes a clean signal of the denoiser's feature.
            signal: Tensor (B, C, h, w).
            condition: Tensor (B, width, h, w).
            noise: Of the B images; None: without noise.
        """

        def drawn(step: int) -> Tensor | None:
            return None if noise is None else noise.tagged(step).normal(signal.shape, torch.float32)

        last = len(self.schedule.betas) - 1
        noised = self.schedule.noised(signal, last, drawn(last + 1))
        for step in range(last, 0, -1):
            clean = head(self.denoiser(task, noised, condition, step))
            noised = self.schedule.previous(clean, noised, step, drawn(step))
        denoised: Tensor = head(self.denoiser(task, noised, condition, 0))
        return denoised


class Denoiser(nn.Module):
    """A noised signal to a feature of the clean one.

    Args:
        channels: Of each task's signal.
        width: Channels of the condition and of the result.
    """

    def __init__(self, channels: Mapping[Task, int], width: int) -> None:
        super().__init__()
        self.inputs = nn.ModuleDict({task: nn.Conv2d(count, width, 3, padding=1) for task, count in channels.items()})
        self.step = nn.Sequential(nn.Linear(2 * FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))
        self.blocks = nn.ModuleList(CrossAttentionBlock(width) for _ in range(BLOCKS))
        self.outputs = nn.ModuleDict(
            {
                task: nn.Sequential(
                    nn.Conv2d(width, width, 1),
                    *(layer for _ in range(3) for layer in (nn.Conv2d(width, width, 3, padding=1), nn.ReLU())),
                )
                for task in channels
            }
        )
        for module in self.blocks.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, task: Task, noised: Tensor, condition: Tensor, step: int) -> Tensor:
        """The feature of the clean signal.

        Args:
            task: Whose signal it is.
            noised: Tensor (B, C, h, w); h and w are multiples of `REDUCTION`.
            condition: Tensor (B, width, h, w).
            step: Number of the step whose noise is in the signal.

        Returns:
            Tensor (B, width, h, w).
        """
        signal = self.inputs[task](noised) + self.step(self._encoded(step))[:, None, None]
        size = signal.shape[-2:]
        coarse = torch.Size((size[0] // REDUCTION, size[1] // REDUCTION))
        tokens, keys = (resize(maps, coarse).flatten(2).mT for maps in (condition, signal))
        for block in self.blocks:
            tokens, keys = block(tokens, keys)
        attended = resize(tokens.mT.unflatten(2, coarse), size)
        feature: Tensor = self.outputs[task](attended + signal)
        return feature

    def _encoded(self, step: int) -> Tensor:
        """Cosines and sines of a step's number, Tensor (2 `FREQUENCIES`,)."""
        weight = next(self.step.parameters())
        exponents = torch.arange(FREQUENCIES, device=weight.device, dtype=weight.dtype) / FREQUENCIES
        angles = step * LONGEST_PERIOD**-exponents
        return torch.cat([angles.cos(), angles.sin()])


class CrossAttentionBlock(nn.Module):
    """Tokens attend to keys; an MLP of the keys comes first, one of the tokens last, all with a residual path."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.keys_mlp = _mlp(width)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.query = nn.Linear(width, width, bias=False)
        self.keys_values = nn.Linear(width, 2 * width, bias=False)
        self.output = nn.Linear(width, width)
        self.mlp = _mlp(width)

    def forward(self, tokens: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
        """New tokens and keys; all Tensor (B, N, width)."""
        keys = keys + self.keys_mlp(keys)
        query = self.query(self.norms[0](tokens))
        key, value = self.keys_values(self.norms[1](keys)).chunk(2, dim=2)
        heads = (part.unflatten(2, (HEADS, -1)).transpose(1, 2) for part in (query, key, value))
        attended = F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)
        tokens = tokens + self.output(attended)
        return tokens + self.mlp(tokens), keys


def _mlp(width: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))


def _scale(maps: Tensor) -> Tensor:
    """The root mean square of each image's maps, without gradient; Tensor (B, C, H, W) -> (B, 1, 1, 1)."""
    mean_square = maps.detach().float().square().mean(dim=(1, 2, 3), keepdim=True)
    return mean_square.sqrt().clamp_min(SMALLEST_SCALE)
