"""The supervised losses of MTAN, which Li et al. and the released code take over, and Li et al.'s consistency."""

import torch
import torch.nn.functional as F
from torch import Tensor


def supervised_loss(task: str, prediction: Tensor, label: Tensor) -> Tensor:
    """The loss of one task on one image, both with a batch dimension of 1; the mean over its valid pixels.

    Depth is valid where it is not 0, a normal where the sum of its components is not 0. Lengths of labels count.
    """
    if task == "semantic":
        return F.nll_loss(F.log_softmax(prediction, dim=1), label, ignore_index=-1)
    valid = (label.sum(dim=1, keepdim=True) != 0).to(prediction)
    if task == "depth":
        summed: Tensor = ((prediction - label).abs() * valid).sum()
        return summed / valid.sum()
    unit = prediction / prediction.square().sum(dim=1, keepdim=True).sqrt()
    return 1 - (unit * label * valid).sum() / valid.sum()


def consistency(source: Tensor, target: Tensor, feature: Tensor, regulariser: float) -> Tensor:
    """Li et al.'s loss of one pair: features (1, d, h, w) of a prediction and a label, and the encoder's feature."""
    anchor = feature.detach()
    between = 1 - _cosine(source, target).mean()
    to_feature = (1 - _cosine(source, anchor).mean()) + (1 - _cosine(target, anchor).mean())
    return between + regulariser * to_feature


def _cosine(one: Tensor, other: Tensor) -> Tensor:
    """Cosines over channels (1, h, w), 0 where a vector is zero."""
    lengths = one.square().sum(1).sqrt() * other.square().sum(1).sqrt()
    return (one * other).sum(1) / torch.where(lengths > 0, lengths, 1.0)
