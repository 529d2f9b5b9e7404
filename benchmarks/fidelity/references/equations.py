"""Equations 2 to 6 in plain loops and double precision, written from the paper and from nothing in the package."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

Array = NDArray[np.float64]
Distance = Callable[[tuple[Array, Array], tuple[Array, Array]], float]


def region_gaussian(pixels: list[Array], shrinkage: float, ridge: float) -> tuple[Array, Array]:
    """Eq. 2 for the pixels of one region."""
    d = len(pixels[0])
    mean = np.zeros(d)
    for f in pixels:
        mean += f / len(pixels)
    covariance = np.zeros((d, d))
    for f in pixels:
        covariance += np.outer(f - mean, f - mean)
    covariance /= max(len(pixels) - 1, 1)
    variance = np.trace(covariance) / d
    return mean, (1 - shrinkage) * covariance + (shrinkage + ridge) * variance * np.eye(d)


def gaussians(features: Array, regions: NDArray[Any], shrinkage: float, ridge: float, min_pixels: int) -> Any:
    """Per region id of one image (d, H, W), in the order of the ids, its Gaussian."""
    found: dict[int, list[Array]] = {}
    for y in range(regions.shape[0]):
        for x in range(regions.shape[1]):
            if regions[y, x] >= 0:
                found.setdefault(int(regions[y, x]), []).append(features[:, y, x].astype(np.float64))
    return [region_gaussian(found[i], shrinkage, ridge) for i in sorted(found) if len(found[i]) >= min_pixels]


def wasserstein(a: tuple[Array, Array], b: tuple[Array, Array]) -> float:
    """Eq. 5."""
    root = scipy.linalg.sqrtm(a[1] @ b[1])
    return float(np.sum((a[0] - b[0]) ** 2) + np.trace(a[1]) + np.trace(b[1]) - 2 * np.trace(root).real)


def kullback_leibler(a: tuple[Array, Array], b: tuple[Array, Array]) -> float:
    """KL(a || b)."""
    inverse = np.linalg.inv(b[1])
    log = np.linalg.slogdet(b[1])[1] - np.linalg.slogdet(a[1])[1]
    return float(0.5 * (np.trace(inverse @ a[1]) + (b[0] - a[0]) @ inverse @ (b[0] - a[0]) - len(a[0]) + log))


def region_loss(tasks: list[Any], distance: Distance, temperature: float, negatives: str = "both") -> float:
    """Eq. 3, 4 and 6 of the Gaussians (or vectors) of every task: lists of the same M regions."""
    number = len(tasks[0])
    if number < 2:
        return 0.0
    total = 0.0
    for t in range(len(tasks)):
        for i in range(number):
            anchor = tasks[t][i]
            opponents = 0.0
            for s in range(len(tasks)):
                for j in range(number):
                    if j != i and (negatives == "both" or s != t):
                        opponents += math.exp(-distance(anchor, tasks[s][j]) / temperature)
            for s in range(len(tasks)):
                if s != t:
                    similarity = math.exp(-distance(anchor, tasks[s][i]) / temperature)
                    total -= math.log(similarity / (similarity + opponents))
    return total / (len(tasks) * number)


def drawn_region_loss(
    tasks: tuple[list[Any], list[Any]],
    distance: Callable[[Any, Any], float],
    temperature: float,
    numbers: Array,
    count: int,
) -> float:
    """The same of two tasks, with the `count` negatives of each anchor that have the largest numbers.

    `numbers` (2, M, 2, M) are by the anchor's task and region and by the candidate's.
    """
    number = len(tasks[0])
    total = 0.0
    for t in (0, 1):
        for i in range(number):
            others = [(s, j) for s in (0, 1) for j in range(number) if j != i]
            drawn = sorted(others, key=lambda place: -numbers[t, i, place[0], place[1]])[:count]
            anchor = tasks[t][i]
            opponents = sum(math.exp(-distance(anchor, tasks[s][j]) / temperature) for s, j in drawn)
            positive = math.exp(-distance(anchor, tasks[1 - t][i]) / temperature)
            total -= math.log(positive / (positive + opponents))
    return total / (2 * number)


def pixel_loss(
    tasks: list[Array], regions: NDArray[Any], distance: Callable[[Array, Array], float], temperature: float,
    negatives: str = "both", min_pixels: int = 2,
) -> float:  # fmt: skip
    """Eq. 3, 4 and 6 with pixels in place of regions, for features (d, H, W) of two tasks."""
    ids, counts = np.unique(regions[regions >= 0], return_counts=True)
    kept = set(ids[counts >= min_pixels].tolist())
    places = [(y, x) for y, x in np.ndindex(*regions.shape) if int(regions[y, x]) in kept]
    total = 0.0
    for t in (0, 1):
        for y, x in places:
            anchor = tasks[t][:, y, x]
            positive = math.exp(-distance(anchor, tasks[1 - t][:, y, x]) / temperature)
            opponents = sum(
                math.exp(-distance(anchor, tasks[s][:, v, u]) / temperature)
                for s in (0, 1)
                for v, u in places
                if regions[v, u] != regions[y, x] and (negatives == "both" or s != t)
            )
            total -= math.log(positive / (positive + opponents))
    return total / (2 * len(places))


def diagonal_kullback_leibler(a: tuple[Array, Array], b: tuple[Array, Array]) -> float:
    """KL(a || b) of the channels on their own, summed."""
    total = 0.0
    for mean_a, variance_a, mean_b, variance_b in zip(a[0], np.diag(a[1]), b[0], np.diag(b[1]), strict=True):
        total += math.log(variance_b / variance_a) + (variance_a + (mean_a - mean_b) ** 2) / variance_b - 1
    return total / 2
