"""The squared 2-Wasserstein distance between Gaussians (eq. 5), for all pairs."""

from __future__ import annotations

import torch
from torch import Tensor

from rdc_sweeps.contrast.arithmetic import full_precision, promote, readable, runs_eagerly
from rdc_sweeps.contrast.cells import map_tensors
from rdc_sweeps.contrast.compiled import CompiledNuclearNorms, suits
from rdc_sweeps.contrast.factors import safe_root, spectral_bound, unit_factor
from rdc_sweeps.contrast.gaussians import Gaussians, LowRank, check_pair
from rdc_sweeps.contrast.low_rank import low_rank_roots
from rdc_sweeps.contrast.low_rank_kernel import RANK
from rdc_sweeps.contrast.polar import NuclearNorms
from rdc_sweeps.specs.contrast import Root

LARGEST_RANK = 1 / 2
"""Of the channels; the span of a pair of larger ranks would be larger than the whole space."""

Pairs = tuple[Tensor, Tensor, Tensor]
"""Item, row and column (P,) of pairs."""


def wasserstein2_squared(a: Gaussians, b: Gaussians | None = None, *, root: Root) -> Tensor:
    """Squared 2-Wasserstein distance of all pairs: |mu_a - mu_b|^2 + tr Sa + tr Sb - 2 tr (Sa Sb)^(1/2) (eq. 5).

    Args:
        a: Gaussians with mean (..., Ra, d).
        b: Gaussians with mean (..., Rb, d); without it, the distances of `a` to itself, each pair computed once.
        root: How the last term is computed. It is the nuclear norm of La^T Lb with Cholesky factors L.
            "polar": Newton-Schulz iteration on the polar factor, to rounding; matrix products only, no host
            synchronisation. "svdvals" of La^T Lb and "eigvalsh" of La^T Sb La: decompositions, which wait for the
            device on CUDA.

    Returns:
        Tensor (..., Ra, Rb), not negative. Entries of Gaussians that are not valid are finite but meaningless.

    Raises:
        UsageError: The dimensions differ.
    """
    other = a if b is None else b
    check_pair(a, other)
    with full_precision(a.mean):
        mean_a, mean_b, covariance_a, covariance_b = promote(a.mean, other.mean, a.covariance, other.covariance)
        trace_a, trace_b = (c.diagonal(dim1=-2, dim2=-1).sum(-1) for c in (covariance_a, covariance_b))
        means = torch.cdist(mean_a, mean_b, compute_mode="donot_use_mm_for_euclid_dist").square()
        factor_a, scale_a = unit_factor(covariance_a)
        factor_b, scale_b = (factor_a, scale_a) if b is None else unit_factor(covariance_b)
        if root == "polar":
            low_ranks = _unit_low_rank(a, scale_a), _unit_low_rank(other, scale_b)
            roots = _polar_roots(factor_a, factor_b, a.valid, other.valid, low_ranks, symmetric=b is None)
        else:
            products = factor_a.mT[..., :, None, :, :] @ factor_b[..., None, :, :, :]
            if root == "svdvals":
                roots = torch.linalg.svdvals(products).sum(-1)
            else:
                roots = safe_root(torch.linalg.eigvalsh(products @ products.mT)).sum(-1)
        cross = scale_a[..., :, None] * scale_b[..., None, :] * roots
        distances: Tensor = (means + trace_a[..., :, None] + trace_b[..., None, :] - 2 * cross).clamp_min(0.0)
        return distances


def _unit_low_rank(gaussians: Gaussians, scale: Tensor) -> LowRank | None:
    """The covariances of low rank, with trace 1, flattened to (B, R, ...); None if that would not be faster."""
    low_rank = gaussians.low_rank
    if low_rank is None or low_rank.factor.shape[-1] > min(RANK, gaussians.channels * LARGEST_RANK):
        return None
    unit = LowRank(
        known=low_rank.known & low_rank.factor.isfinite().all(-1).all(-1),  # of others there is no decomposition
        factor=low_rank.factor.to(scale) / scale[..., None, None],
        floor=low_rank.floor.to(scale) / scale.square(),
    )
    return map_tensors(unit, lambda values: values.reshape(-1, *values.shape[scale.dim() - 1 :]))


@runs_eagerly
def _polar_roots(
    left: Tensor,
    right: Tensor,
    valid_left: Tensor,
    valid_right: Tensor,
    low_ranks: tuple[LowRank | None, LowRank | None],
    *,
    symmetric: bool,
) -> Tensor:
    """Nuclear norms (..., Ra, Rb) of left^T right for unit factors; 1 where one meets itself or is not valid."""
    shape = (*left.shape[:-2], right.shape[-3])
    left, right = (f.reshape(-1, *f.shape[-3:]) for f in (left, right))
    items, rows, columns = left.shape[0], left.shape[1], right.shape[1]
    valid_left, valid_right = valid_left.reshape(items, rows), valid_right.reshape(items, columns)
    roots = left.new_ones(items, rows, columns)
    if readable(left):
        wanted = valid_left[:, :, None] & valid_right[:, None, :]
        first, second = low_ranks
        if first is not None and second is not None:
            roots = low_rank_roots(first, second, symmetric=symmetric)
            wanted &= ~(first.known[:, :, None] & second.known[:, None, :])
        item, row, column = (wanted.triu(1) if symmetric else wanted).nonzero(as_tuple=True)
    else:  # counting the valid pairs on a GPU would make the host wait for it
        item, row, column = _all_pairs(items, rows, columns, left.device, symmetric=symmetric)
    if item.numel():
        (item, row, column), values = _full_rank_roots(left, right, item, row, column, symmetric=symmetric)
        roots = roots.index_put((item, row, column), values)
        if symmetric:
            roots = roots.index_put((item, column, row), values)
    return roots.reshape(shape)


def _full_rank_roots(
    left: Tensor, right: Tensor, item: Tensor, row: Tensor, column: Tensor, *, symmetric: bool
) -> tuple[Pairs, Tensor]:
    """The given pairs in another order, and their nuclear norms (P,)."""
    with torch.no_grad():
        bounds, reaches = _spectral_range(left, right)
        norms = bounds[item, row, column]
        reach = None if reaches is None else reaches[item, row, column]
        compiled = suits(left)
        if reach is not None and not compiled:
            # Group pairs of similar difficulty, so that only the hardest take the most steps.
            order = (2 * reach.log2()).floor().argsort(stable=True)
            item, row, column, norms, reach = (values[order] for values in (item, row, column, norms, reach))
    first, second = item * left.shape[1] + row, item * right.shape[1] + column
    factors = left.flatten(0, 1)
    if not symmetric:
        factors, second = torch.cat([factors, right.flatten(0, 1)]), second + len(factors)
    if reach is not None and compiled:
        return (item, row, column), CompiledNuclearNorms.apply(factors, first, second, norms, reach)
    return (item, row, column), NuclearNorms.apply(
        factors, first, second, norms, [] if reach is None else reach.tolist()
    )


def _all_pairs(items: int, rows: int, columns: int, device: torch.device, *, symmetric: bool) -> Pairs:
    if symmetric:
        row, column = torch.triu_indices(rows, rows, 1, device=device)
    else:
        row, column = torch.cartesian_prod(*(torch.arange(n, device=device) for n in (rows, columns))).unbind(1)
    item = torch.arange(items, device=device)[:, None].expand(-1, len(row)).reshape(-1)
    return item, row.repeat(items), column.repeat(items)


def _spectral_range(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor | None]:
    """Bounds (B, Ra, Rb) of the singular values of left^T right for unit factors (B, R, d, d).

    The first is above the largest, the second below the smallest relative to it; None where reading it would wait for
    the device.
    """
    squares = [factors @ factors.mT for factors in (left, right)]
    largest = [spectral_bound(square).sqrt() for square in squares]
    # Upper bounds must stay so when rounded: unit factors have an inner product good to a few eps, absolutely.
    inner = squares[0].flatten(2) @ squares[1].flatten(2).mT + 16 * torch.finfo(left.dtype).eps
    bounds = 1.0001 * torch.minimum(largest[0][:, :, None] * largest[1][:, None], inner.sqrt())
    if not readable(left):
        return bounds, None
    identity = torch.eye(left.shape[-1], dtype=left.dtype)
    inverses = [torch.linalg.solve_triangular(factors, identity, upper=False) for factors in (left, right)]
    smallest = [spectral_bound(inverse.mT @ inverse).rsqrt() for inverse in inverses]
    return bounds, smallest[0][:, :, None] * smallest[1][:, None] / bounds
