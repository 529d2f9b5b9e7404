"""All-pairs distances between vectors."""

from __future__ import annotations

import torch
from torch import Tensor

from rdc_sweeps.contrast.arithmetic import full_precision, promote


def squared_euclidean(a: Tensor, b: Tensor) -> Tensor:
    """|a_i - b_j|^2 of vectors (..., Ra, d) and (..., Rb, d), as (..., Ra, Rb), from differences: no cancellation."""
    with full_precision(a):
        a, b = promote(a, b)
        return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square()


def cosine_distance(a: Tensor, b: Tensor) -> Tensor:
    """1 - cos(a_i, b_j) of vectors (..., Ra, d) and (..., Rb, d), as (..., Ra, Rb).

    A zero vector has no direction: it is at distance 1 from everything and gets no gradient.
    """
    with full_precision(a):
        a, b = promote(a, b)
        return 1 - unit_vectors(a) @ unit_vectors(b).mT


def unit_vectors(vectors: Tensor) -> Tensor:
    """Vectors (..., d) at length 1; zero vectors stay zero and get no gradient."""
    largest = vectors.detach().abs().amax(-1, keepdim=True)
    usable = ~(largest <= torch.finfo(vectors.dtype).tiny)  # NaN is usable: it must show
    scaled = torch.where(
        usable, vectors / torch.where(usable, largest, 1.0), 0.0
    )  # so that no square under- or overflows
    length = torch.where(usable, scaled, 1.0).square().sum(-1, keepdim=True).sqrt()
    return scaled / length
