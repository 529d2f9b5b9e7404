"""Cross-task consistency in joint pairwise spaces (Li, Liu and Bilen, CVPR 2022, "MTPSL")."""

from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdc_sweeps.contrast.arithmetic import full_precision, promote
from rdc_sweeps.data.batches import Batch
from rdc_sweeps.methods.method import Losses, Outputs, Term, ramped
from rdc_sweeps.methods.pairs import map_pairs, task_pairs
from rdc_sweeps.models.mapping import build_mapping
from rdc_sweeps.models.network import Predictions
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.method import CrossTask, FeatureKind

PROJECTION_SEED = 0
"""The projection is a constant of the method: the same in every run."""


class CrossTaskTerm(Term):
    """Cross-task consistency on the last view.

    For each ordered pair of tasks that `task_pairs` gives, a_theta maps the prediction of s and the label of t to m_s
    and m_t. With f the encoder feature, which gets no gradient, the pair's loss is

        1 - cos(m_s, m_t) + regulariser [(1 - cos(m_s, f)) + (1 - cos(m_t, f))],

    the cosines taken over channels and averaged over places. An image's pairs are summed and the images of the batch
    averaged, as in the authors' code, whose weight of 2 belongs to that sum.

    With SegNet, f has the width and resolution of a_theta's output. Nothing is published for other backbones;
    `encoder_feature` describes two ways. The authors' a_theta sees one map at a time, which is
    `mapping.norm: single`. Its convolutions pad with zeros, and so they do here: the method is a published one.
    """

    uses_encoder = True
    value = "loss/consistency"

    def __init__(self, spec: CrossTask, tasks: tuple[Task, ...], classes: int) -> None:
        super().__init__()
        self.spec = spec
        self.tasks = tasks
        self.classes = classes
        self.mapping = build_mapping(spec.mapping, tasks, classes)

    def film_parameters(self) -> list[nn.Parameter]:
        """FiLM scales and shifts of a_theta."""
        return self.mapping.film_parameters()

    def forward(self, outputs: Outputs, batch: Batch, epoch: float) -> Losses:
        """See `Term.forward`."""
        consistency = self.consistency(outputs.last, outputs.encoder, batch)
        total = ramped(self.spec.weight, self.spec.ramp_epochs, epoch) * consistency
        return Losses(total, {"loss/consistency": consistency.detach()})

    def consistency(self, predictions: Predictions, maps: Sequence[Tensor], batch: Batch) -> Tensor:
        """The sum of the pairs' losses, per image of the batch.

        Args:
            predictions: Of the last view, per task (B, C, H, W).
            maps: Outputs of the encoder for that view, Tensors (B, C_i, H_i, W_i).
            batch: Its last view has the labels.
        """
        view, pairs = batch.views[-1], task_pairs(batch.granted)
        noise = pairs.noise(batch.noise)
        mapped = map_pairs(self.mapping, predictions, view.labels, pairs, noise, self.tasks, self.classes)
        if mapped is None:
            return view.image.new_zeros(())
        predicted, labelled = mapped
        with full_precision(predicted):
            size = (predicted.shape[2], predicted.shape[3])
            feature = encoder_feature(maps, self.mapping.out_channels, size, self.spec.feature)
            feature = feature[pairs.image.to(feature.device, non_blocking=True)]
            losses = _distance(predicted, labelled)
            losses = losses + self.spec.regulariser * (_distance(predicted, feature) + _distance(labelled, feature))
        return losses.sum() / len(batch)


def _distance(one: Tensor, other: Tensor) -> Tensor:
    """1 - cosine over channels, averaged over places; Tensors (N, C, H, W) -> (N,)."""
    one, other = promote(one, other)
    return 1 - F.cosine_similarity(one, other, dim=1, eps=1e-12).mean((1, 2))


def encoder_feature(maps: Sequence[Tensor], width: int, size: tuple[int, int], kind: FeatureKind) -> Tensor:
    """The encoder's maps as one feature of the width and size of a_theta's output.

    With SegNet and an a_theta of five levels up to 512 channels, this leaves the feature unchanged. Others are

    - resized: brought to the first map's size bilinearly, concatenated, through a 3x3 convolution, a normalisation of
      each channel of each image and a ReLU, and to `size` bilinearly. The release contains this and never calls it:
      HRNet's maps concatenated, a convolution of their 270 channels to the 512 of Li et al.'s a_theta with a batch
      norm, which would see one image at a time, and a loss that resizes the feature. That loss detaches the feature,
      so the convolution would keep its initial weights.
    - pooled: averaged to `size`, which uses all places of a fine map where bilinear resizing uses a few, concatenated,
      and through a 1x1 convolution with orthogonal weights and a ReLU.

    Only maps that together do not have `width` channels pass a convolution. It has no bias and is never trained: a
    trained one could collapse to a constant together with a_theta, which the feature is there to prevent.

    Args:
        maps: Tensors (B, C_i, H_i, W_i), the finest first.
        width: Channels of a_theta's output.
        size: Height and width of a_theta's output.
        kind: See `CrossTask.feature`.

    Returns:
        Tensor (B, width, *size), float32 or better.
    """
    if kind == "pooled":
        (feature,) = promote(torch.cat([F.adaptive_avg_pool2d(scale, size) for scale in maps], dim=1))
        if feature.shape[1] != width:
            feature = F.conv2d(feature, _projection(feature.shape[1], width, 1).to(feature, non_blocking=True)).relu()
        return feature
    (feature,) = promote(torch.cat([_bilinear(scale, maps[0].shape[2:]) for scale in maps], dim=1))
    if feature.shape[1] != width:
        feature = F.conv2d(feature, _projection(feature.shape[1], width, 3).to(feature, non_blocking=True), padding=1)
        feature = feature - feature.mean((2, 3), keepdim=True)
        feature = (feature * (feature.square().mean((2, 3), keepdim=True) + 1e-5).rsqrt()).relu()
    return _bilinear(feature, size)


def _bilinear(maps: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(maps, tuple(size), mode="bilinear")


@lru_cache
def _projection(channels: int, width: int, side: int) -> Tensor:
    weight, generator = torch.empty(width, channels, side, side), torch.Generator().manual_seed(PROJECTION_SEED)
    initialise = nn.init.orthogonal_ if side == 1 else nn.init.xavier_normal_
    return initialise(weight, generator=generator)
