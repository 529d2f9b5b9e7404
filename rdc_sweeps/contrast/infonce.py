"""InfoNCE over distances (eq. 3, 4, 6)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from rdc_sweeps.contrast.arithmetic import full_precision, promote


def info_nce(
    distances: Tensor, positives: Tensor, negatives: Tensor, temperature: float, log_weights: Tensor | None = None
) -> Tensor:
    """InfoNCE loss per anchor: - sum over k+ of log sim(k+) / (sim(k+) + sum over k- of sim(k-)), sim = exp(-D / tau).

    Args:
        distances: Tensor (..., A, C) of anchors to candidates (eq. 5 or any other).
        positives: Tensor broadcastable to (..., A, C), bool: the candidates k+ of each anchor.
        negatives: Tensor broadcastable to (..., A, C), bool: the candidates k- of each anchor.
        temperature: tau of eq. 4, above 0.
        log_weights: Tensor broadcastable to (..., A, C), logarithms of factors of the negatives' sim; 1 if not given.

    Returns:
        Tensor (..., A), eq. 3. An anchor without positives or without negatives has loss 0 and no gradient.
        Eq. 6 is its mean over the anchors of both tasks.
    """
    with full_precision(distances):
        (logits,) = promote(distances)
        logits = -logits / temperature
        competition = masked_logsumexp(logits if log_weights is None else logits + log_weights, negatives)
        terms = contrast_terms(torch.where(positives, logits, 0.0), competition[..., None])
        return torch.where(positives, terms, 0.0).sum(-1)


def contrast_terms(positive: Tensor, competition: Tensor) -> Tensor:
    """-log(e^p / (e^p + e^c)) from the logits p of a positive and c of all negatives together, exact at any size."""
    return -F.logsigmoid(positive - competition)


def masked_logsumexp(logits: Tensor, mask: Tensor) -> Tensor:
    """log sum exp over the last dimension where `mask`; if nowhere, the lowest finite number and no gradient."""
    lowest = torch.finfo(logits.dtype).min
    logits = torch.where(mask, logits, lowest)
    top = logits.detach().amax(-1, keepdim=True)
    total = torch.where(mask, (logits - top).exp(), 0.0).sum(-1)
    none = total == 0  # NaN is not: a network that diverges must show in its loss
    return torch.where(none, lowest, torch.where(none, 1.0, total).log() + top[..., 0])
