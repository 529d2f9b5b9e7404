"""The training step of the released code on the same batch, with plain modules of torch.

Both views pass the network as one batch in the default layout of memory; a_theta maps one map at a time; the contrast
takes NumPy's moments and SciPy's root region by region and has no gradient. The losses are those of its log.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.fidelity.references.layers import Weights
from benchmarks.fidelity.references.released_step import Example, ReleasedTraining
from rdc_sweeps.data.batches import Batch
from rdc_sweeps.methods.region_contrast import RegionContrastTerm
from rdc_sweeps.methods.supervised import SupervisedMethod
from rdc_sweeps.models.pointwise import PointwiseConvolution
from rdc_sweeps.models.pyramid import ConvolutionalBackbone, PyramidNetwork
from rdc_sweeps.training.setup import Learner

EPOCH = 10
"""Counted from 0; the weight of the contrast is not 0, which makes no difference to the time."""


class PlainNetwork(nn.Module):
    """The network of a row from its plain modules."""

    def __init__(self, network: PyramidNetwork) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).to(memory_format=torch.contiguous_format)
        for module in self.network.modules():
            if isinstance(module, PointwiseConvolution):
                module.__class__ = nn.Conv2d  # type: ignore[assignment]

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Predictions of all tasks at the size of the image."""
        backbone = self.network.backbone
        assert isinstance(backbone, ConvolutionalBackbone)
        finest, *others = backbone(image)
        size = finest.shape[2:]
        scaled = [F.interpolate(maps, size, mode="bilinear", align_corners=False) for maps in others]
        pyramid = torch.cat([finest, *scaled], 1)
        return {
            task: F.interpolate(head(pyramid), image.shape[2:], mode="bilinear", align_corners=False)
            for task, head in self.network.heads.items()
        }


class ReleasedStep:
    """A step with weights like those of a learner.

    Args:
        learner: Of a row with region contrast on a convolutional network.
        batch: Images that every step is taken with.
    """

    def __init__(self, learner: Learner, batch: Batch) -> None:
        method, network = learner.method, learner.network
        assert isinstance(method, SupervisedMethod)
        assert isinstance(network, PyramidNetwork)
        (term,) = method.terms.values()
        assert isinstance(term, RegionContrastTerm)
        plain = PlainNetwork(network).train()
        self.training = ReleasedTraining(
            plain.state_dict(),
            term.mapping.state_dict(),
            predict=lambda image, weights: _predict(plain, weights, image),
        )
        first, last = batch.views
        assert last.regions is not None
        self.example = Example(
            (first.image, last.image),
            tuple({str(task): label for task, label in view.labels.items()} for view in (first, last)),  # type: ignore[arg-type]
            last.regions,
            batch.granted,
            lambda image, source, target: torch.rand(1, term.classes, *last.image.shape[2:]),
        )

    def __call__(self) -> None:
        self.training.step(self.example, EPOCH)


def _predict(plain: nn.Module, weights: Weights, image: Tensor) -> dict[str, Tensor]:
    predictions: dict[str, Tensor] = torch.func.functional_call(plain, weights, (image,))
    return predictions
