"""The value of the contrast as the released code computes it: a number without gradient, beside a bank of regions."""

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

Array = NDArray[np.floating]
Region = tuple[Array, Array]
"""Mean (d,) and covariance (d, d) of a region's features."""

EPSILON = 1e-6
SMALLEST_REGION = 10
IDS = 256


class ReleasedContrast:
    """Scores regions, and remembers them.

    Args:
        temperature: The divisor of distances.
        capacity: How many regions the bank holds; the oldest leave it.
    """

    def __init__(self, temperature: float = 5.4, capacity: int = 1000) -> None:
        self.temperature = temperature
        self.capacity = capacity
        self.bank: list[Region] = []

    def __call__(self, source: Array, target: Array, regions: NDArray[np.integer]) -> float:
        """The loss of one pair of tasks of one image.

        Args:
            source: Features of the prediction (d, H, W).
            target: Features of the label (d, H, W).
            regions: Ids (H, W) from 0 to 255.
        """
        anchors, positives = [], []
        for region in range(IDS):
            inside = regions == region
            if inside.sum() < SMALLEST_REGION:
                continue
            anchors.append(_gaussian(source[:, inside]))
            positives.append(_gaussian(target[:, inside]))
        self.bank = (self.bank + anchors + positives)[-self.capacity :]
        losses = [self._loss(anchor, positive) for anchor, positive in zip(anchors, positives, strict=True)]
        return sum(losses) / len(losses)

    def _loss(self, anchor: Region, positive: Region) -> float:
        logit = -frechet_distance(anchor, positive) / self.temperature
        # The largest of one logit is that logit: this is always 1.
        similarity = np.exp(logit - logit)
        # The bank is a pair of lists there, means and covariances, and its length is taken for the number of regions.
        negatives = self.bank[:2]
        opposition = sum(np.exp(-frechet_distance(anchor, other) / self.temperature) for other in negatives) / 2
        return float(-np.log(similarity / (opposition + EPSILON) + EPSILON))


def _gaussian(pixels: Array) -> Region:
    return pixels.mean(axis=1), np.cov(pixels)


def frechet_distance(one: Region, other: Region, offset: float = 1e-6) -> float:
    """Squared distance of two Gaussians, with `offset` on the diagonals under the root only."""
    (mean_a, covariance_a), (mean_b, covariance_b) = one, other
    raised = offset * np.eye(len(mean_a))
    root = scipy.linalg.sqrtm((covariance_a + raised) @ (covariance_b + raised))
    means = mean_a - mean_b
    return float(means @ means + np.trace(covariance_a) + np.trace(covariance_b) - 2 * np.trace(np.abs(root)))
