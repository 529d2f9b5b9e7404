"""TaskExpert (Ye & Xu, ICCV 2023, arXiv 2307.15324): a memorial mixture of experts on a vision transformer.

Its code was never released. From the paper are: mixtures at several depths of the backbone; at each, expert networks
shared by all tasks that decompose the backbone's feature into task-generic ones; a gate per task that works on those
and decides per sample how to mix them; a memory per task that each mixture reads as one more expert and writes back;
predictions from the last memory.

Chosen here: four taps at equal distances; experts of their own at each tap, each a 1x1 convolution to `width` channels
and a 3x3 convolution, both with BN and GELU; gates of two 1x1 convolutions over all experts' features and the memory,
whose softmax weights every position by itself; a residual write through a 3x3 convolution with BN and GELU; a memory
that starts as a learned vector, equal at all positions; and heads of two 3x3 convolutions with BN and GELU, one at
stride 16 and one at stride 4, and a 1x1 convolution. Channels are `width` throughout.
"""

from collections.abc import Mapping
from typing import Literal

import timm
import torch
import torch.nn.functional as F
from timm.layers import LayerNorm2d
from torch import Tensor, nn

from rdc_sweeps.models.network import Backbone, MultiTaskNetwork, Normalise
from rdc_sweeps.specs.backbone import InputValues, TaskExpertSpec
from rdc_sweeps.specs.base import Task

ARCHITECTURES: dict[Literal["large", "tiny"], str] = {
    "large": "vit_large_patch16_384",
    "tiny": "vit_tiny_patch16_384",
}
"""timm's name of each size of `TaskExpertSpec.vit`."""

TAPS = 4


class VisionTransformer(Backbone):
    """The tokens after a quarter, a half, three quarters and all of the blocks, as maps at stride 16.

    Position embeddings stay those of the pretrained size and are resampled to the image's at every step by timm
    (bicubic with antialiasing), so any image whose sides are multiples of 16 will do, and weights of timm's model fit
    as they are. Taps are taken before the last layer norm, which is left out. The public neighbours (InvPT,
    TaskPrompter, MLoRE) give the network `imagenet` input, although these weights were trained with `symmetric`.

    Args:
        architecture: timm's name of a ViT with patches of 16x16.
        values: What the network sees of the image.
        checkpointing: Keep only what goes into each block, and compute the rest again in the backward pass.
    """

    body: timm.models.VisionTransformer

    def __init__(self, architecture: str, values: InputValues, *, checkpointing: bool = False) -> None:
        super().__init__()
        body = timm.create_model(architecture, dynamic_img_size=True)
        depth = len(body.blocks)
        self.taps = tuple(depth * tap // TAPS - 1 for tap in range(1, TAPS + 1))
        body.prune_intermediate_layers(list(self.taps), prune_norm=True, prune_head=True)
        body.set_grad_checkpointing(checkpointing)
        self.architecture = architecture
        self.normalise = Normalise(values)
        self.body = body
        self.channels = (body.embed_dim,) * TAPS

    def forward(self, image: Tensor) -> list[Tensor]:
        """Four maps (B, width, H / 16, W / 16), the shallowest first."""
        maps: list[Tensor] = self.body.forward_intermediates(
            self.normalise(image), indices=list(self.taps), intermediates_only=True
        )
        return maps


class TaskExpert(MultiTaskNetwork):
    """A backbone's taps, a mixture of experts at each, a memory per task carried through them, a head per task.

    A normal's length is free.

    Args:
        backbone: Maps of one scale, the shallowest first.
        out_channels: Channels of each task's output, see `task_channels`.
        experts: Experts per tap, without the memory.
        width: Channels of experts, memories and heads.
    """

    backbone: Backbone

    def __init__(
        self, backbone: Backbone, out_channels: Mapping[Task, int], experts: int = 5, width: int = 256
    ) -> None:
        super().__init__(backbone)
        self.memories = nn.ParameterDict({task: torch.randn(1, width, 1, 1) * 0.02 for task in out_channels})
        self.mixtures = nn.ModuleList(
            MemorialMixture(channels, list(out_channels), experts, width) for channels in backbone.channels
        )
        self.heads = nn.ModuleDict({task: _Head(width, channels) for task, channels in out_channels.items()})

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Predictions of all tasks; see `MultiTaskNetwork.forward`."""
        taps = self.backbone(image)
        memories = {task: memory.expand(len(image), -1, *taps[0].shape[-2:]) for task, memory in self.memories.items()}
        for mixture, features in zip(self.mixtures, taps, strict=True):
            memories = mixture(features, memories)
        return {task: head(memories[task], image.shape[-2:]) for task, head in self.heads.items()}


class MemorialMixture(nn.Module):
    """One tap: experts shared by the tasks, and for each task a gate and a way to write its memory.

    Args:
        in_channels: Channels of the tap.
        tasks: Tasks, each with a memory.
        experts: Number of experts, without the memory.
        width: Channels of experts and memories.
    """

    def __init__(self, in_channels: int, tasks: list[Task], experts: int, width: int) -> None:
        super().__init__()
        self.norm = LayerNorm2d(in_channels)
        # All experts at once: side by side in the channels, in groups that do not see each other.
        self.experts = nn.Sequential(
            *_layer(in_channels, experts * width, 1), *_layer(experts * width, experts * width, 3, groups=experts)
        )
        self.gates = nn.ModuleDict(
            {
                task: nn.Sequential(
                    nn.Conv2d((experts + 1) * width, width, 1), nn.GELU(), nn.Conv2d(width, experts + 1, 1)
                )
                for task in tasks
            }
        )
        self.writes = nn.ModuleDict({task: nn.Sequential(*_layer(width, width, 3)) for task in tasks})

    def forward(self, features: Tensor, memories: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A tap (B, in_channels, h, w) and the memories (B, width, h, w) to the new memories."""
        generic = self.experts(self.norm(features))
        written = {}
        for task, memory in memories.items():
            read = torch.cat([generic, memory], dim=1)
            weights = self.gates[task](read).softmax(dim=1)
            mixed = (weights.unsqueeze(2) * read.unflatten(1, (weights.shape[1], -1))).sum(dim=1)
            written[task] = memory + self.writes[task](mixed)
        return written


class _Head(nn.Module):
    """3x3 conv at stride 16, 3x3 conv at stride 4, 1x1 conv, upsampling to the image."""

    def __init__(self, width: int, channels: int) -> None:
        super().__init__()
        self.coarse = nn.Sequential(*_layer(width, width, 3))
        self.fine = nn.Sequential(*_layer(width, width, 3))
        self.out = nn.Conv2d(width, channels, 1)

    def forward(self, memory: Tensor, size: torch.Size) -> Tensor:
        upsampled = F.interpolate(self.coarse(memory), scale_factor=4, mode="bilinear", align_corners=False)
        prediction = self.out(self.fine(upsampled))
        return F.interpolate(prediction, size=size, mode="bilinear", align_corners=False)


def build_taskexpert(spec: TaskExpertSpec, out_channels: Mapping[Task, int]) -> TaskExpert:
    """The network of a spec, without pretrained weights."""
    backbone = VisionTransformer(ARCHITECTURES[spec.vit], spec.input, checkpointing=spec.checkpointing)
    return TaskExpert(backbone, out_channels, spec.experts, spec.width)


def _layer(in_channels: int, out_channels: int, size: int, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(in_channels, out_channels, size, padding=size // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(out_channels), nn.GELU()]
