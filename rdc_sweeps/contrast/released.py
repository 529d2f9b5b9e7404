"""The value of the contrast in the authors' released code: a number without gradient, beside a bank of regions."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from rdc_sweeps.contrast.index import RegionIndex
from rdc_sweeps.contrast.moments import check_features, region_moments
from rdc_sweeps.specs.contrast import ReleasedContrast

EPSILON = 1e-6
"""Added to both sides of the quotient, and to the diagonals of covariances under the root."""

NEGATIVES = 2
"""Regions of the bank that are compared: its length is read off a pair of lists."""


GatherRows = Callable[[Tensor], tuple[Tensor, slice]]
"""From rows (n, ...) of this process to those of all processes, and which are this process's."""


class ReleasedBank(nn.Module):
    """Scores the regions of predictions against the two oldest regions of a bank of past ones, in double precision.

    For a region p of a prediction and the bank's two oldest entries k, the released code computes

        -log(1 / (mean over k of exp(-D(p, k) / tau) + 1e-6) + 1e-6),

    since its positive term is exp(0) whatever the positive is. D is the squared Wasserstein distance with the absolute
    values of the root's diagonal in place of the diagonal. The regions of an item's prediction and then of its label
    enter the bank before the item is scored, item by item; the oldest leave a full bank. The bank is part of the
    module's state, the same in each of several processes that share the items.

    Args:
        spec: Temperature and size of the bank.
        channels: Channels d of the features.
    """

    means: Tensor
    covariances: Tensor
    filled: Tensor

    def __init__(self, spec: ReleasedContrast, channels: int) -> None:
        super().__init__()
        self.spec = spec
        self.register_buffer("means", torch.zeros(spec.bank, channels, dtype=torch.float64))
        self.register_buffer("covariances", torch.zeros(spec.bank, channels, channels, dtype=torch.float64))
        self.register_buffer("filled", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def forward(
        self,
        prediction_features: Tensor,
        label_features: Tensor,
        index: RegionIndex,
        *,
        min_pixels: int,
        gather_rows: GatherRows = lambda values: (values, slice(None)),
    ) -> Tensor:
        """Losses (N,) float64 of N items in their order, 0 for one without regions; waits for the device.

        Args:
            prediction_features: Tensor (N, d, h, w).
            label_features: Tensor (N, d, h, w).
            index: The regions of the N items.
            min_pixels: Regions with fewer pixels are left out.
            gather_rows: Joins values (n, ...) of the processes that share the items, in the order of the items, and
                tells which are those of this process.
        """
        for features in (prediction_features, label_features):
            check_features(features, index)
        sides = [region_moments(features.double(), index)[:2] for features in (prediction_features, label_features)]
        valid = index.valid(min_pixels)
        counts = valid.sum(1)
        everyones, own = gather_rows(counts)
        # Item by item, the regions of its prediction and then of its label.
        kept = valid.repeat(1, 2).flatten()
        entering = [gather_rows(torch.cat(pair, 1).flatten(0, 1)[kept])[0] for pair in zip(*sides, strict=True)]
        if not len(entering[0]):
            return counts.double()
        filled = int(self.filled)
        means = torch.cat([self.means[:filled], entering[0]])
        covariances = torch.cat([self.covariances[:filled], entering[1]])
        oldest = (filled + 2 * everyones.cumsum(0) - self.spec.bank).clamp_min(0)[own]

        mean, covariance = (side[valid] for side in sides[0])
        item = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
        similarities = []
        for place in range(NEGATIVES):
            other = (oldest + place)[item]
            distance = _distance(mean, covariance, means[other], covariances[other])
            similarities.append(torch.exp(-distance / self.spec.temperature))
        opposition = torch.stack(similarities).mean(0)
        losses = -torch.log(1 / (opposition + EPSILON) + EPSILON)

        filled = min(len(means), self.spec.bank)
        self.filled.fill_(filled)
        self.means[:filled] = means[-filled:]
        self.covariances[:filled] = covariances[-filled:]
        return losses.new_zeros(len(counts)).index_add_(0, item, losses) / counts.clamp_min(1)


def _distance(mean_a: Tensor, covariance_a: Tensor, mean_b: Tensor, covariance_b: Tensor) -> Tensor:
    """D of pairs (n,) of Gaussians with means (n, d) and covariances (n, d, d)."""
    identity = torch.eye(mean_a.shape[-1], dtype=mean_a.dtype, device=mean_a.device)
    # The decompositions refuse NaN; as a distance, it lets a network that diverges show in the loss.
    finite = torch.stack([matrix.isfinite().all((-2, -1)) for matrix in (covariance_a, covariance_b)]).all(0)
    a, b = (
        torch.where(finite[:, None, None], matrix + EPSILON * identity, identity)
        for matrix in (covariance_a, covariance_b)
    )
    # With A = L L^T, the root of A B is L (L^T B L)^(1/2) L^-1.
    factor = torch.linalg.cholesky(a)
    values, vectors = torch.linalg.eigh(factor.mT @ b @ factor)
    root = (vectors * values.clamp_min(0).sqrt()[..., None, :]) @ vectors.mT
    product = torch.linalg.solve_triangular(factor, factor @ root, upper=False, left=False)
    traces = [matrix.diagonal(dim1=-2, dim2=-1) for matrix in (covariance_a, covariance_b, product)]
    return (mean_a - mean_b).square().sum(-1) + traces[0].sum(-1) + traces[1].sum(-1) - 2 * traces[2].abs().sum(-1)
