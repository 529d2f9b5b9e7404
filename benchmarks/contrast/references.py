"""The alternatives: per-pair SciPy, POT, a batched square root by eigenvectors, and the whole loss as loops."""

from __future__ import annotations

import itertools
import math

import numpy as np
import ot.gaussian
import scipy.linalg
import torch
from numpy.typing import NDArray
from torch import Tensor

from rdc_sweeps.contrast import Gaussians

Array = NDArray[np.float64]


def sqrtm_distance(mean_a: Array, mean_b: Array, covariance_a: Array, covariance_b: Array) -> float:
    """Eq. 5 of one pair, without gradient."""
    root = scipy.linalg.sqrtm(covariance_a @ covariance_b)
    squared = np.sum((mean_a - mean_b) ** 2)
    return float(squared + np.trace(covariance_a) + np.trace(covariance_b) - 2 * np.trace(root).real)


def sqrtm_pairs(a: Gaussians, b: Gaussians, number: int) -> None:
    """Eq. 5 of the first `number` pairs, one by one."""
    means = [g.mean.double().numpy() for g in (a, b)]
    covariances = [g.covariance.double().numpy() for g in (a, b)]
    for i, j in itertools.islice(itertools.product(range(len(means[0])), range(len(means[1]))), number):
        sqrtm_distance(means[0][i], means[1][j], covariances[0][i], covariances[1][j])


def pot(a: Gaussians, b: Gaussians) -> Tensor:
    """All pairs by POT's batched Bures-Wasserstein distance on its torch backend."""
    distance: Tensor = ot.gaussian.bures_wasserstein_distance(a.mean, b.mean, a.covariance, b.covariance)
    return distance.square()


def eigh_root(a: Gaussians, b: Gaussians) -> Tensor:
    """All pairs by square roots through eigenvectors, S_a^(1/2) S_b S_a^(1/2) and so on."""
    root_a = _root(a.covariance)[:, None]
    inner = _root(root_a @ b.covariance[None] @ root_a)
    trace_a, trace_b, cross = (_trace(c) for c in (a.covariance, b.covariance, inner))
    squared: Tensor = torch.cdist(a.mean, b.mean).square()
    return squared + trace_a[:, None] + trace_b - 2 * cross


def _root(matrices: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrices)
    root: Tensor = vectors * values.clamp_min(1e-12).sqrt()[..., None, :] @ vectors.mT
    return root


def _trace(matrices: Tensor) -> Tensor:
    return matrices.diagonal(dim1=-2, dim2=-1).sum(-1)


def loss_by_loops(
    prediction: Array, label: Array, regions: NDArray[np.int64], temperature: float, shrinkage: float, ridge: float
) -> float:
    """L_RC (eq. 2 to 6) of one image, features (d, H, W), by regions and pairs, each pair computed once."""
    ids = [i for i in np.unique(regions) if i >= 0 and np.sum(regions == i) >= 2]
    both = []
    for side in (prediction, label):
        for i in ids:
            pixels = side[:, regions == i]
            covariance = np.cov(pixels)
            variance = np.trace(covariance) / len(pixels)
            covariance = (1 - shrinkage) * covariance + (shrinkage + ridge) * variance * np.eye(len(pixels))
            both.append((pixels.mean(1), covariance))
    number = len(ids)
    distances = np.zeros((2 * number, 2 * number))
    for i, j in itertools.combinations(range(2 * number), 2):
        distances[i, j] = distances[j, i] = sqrtm_distance(both[i][0], both[j][0], both[i][1], both[j][1])
    total = 0.0
    for i in range(2 * number):
        positive = math.exp(-distances[i, (i + number) % (2 * number)] / temperature)
        others = [j for j in range(2 * number) if j % number != i % number]
        total -= math.log(positive / (positive + sum(math.exp(-distances[i, j] / temperature) for j in others)))
    return total / (2 * number)
