"""Nuclear norms of many small matrix products, with gradients, by Newton-Schulz iteration on the polar factor.

For M = A^T B the nuclear norm is <Q, M> with Q the polar factor of M, which is also its gradient. Q comes out
of matrix products alone: odd quintic polynomials, each the best approximation of 1 on the interval that the singular
values have reached, push them all to 1. There are no eigenvectors, so repeated singular values do no harm, and nothing
waits for a device.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rdc_sweeps.contrast.kernel_choice import wanted

CHUNK_BYTES = {"cpu": 2**19}
"""Bytes of one work buffer; on a CPU small enough for a core's cache."""
OTHER_CHUNK_BYTES = 2**28
KEEP_BYTES = 2**30
"""Polar factors up to this total size are kept for the backward pass; larger ones are computed again there."""

BLIND_REACH = 2.0**-14
"""Relative size down to which singular values are moved to 1 where reading their range would wait for the device."""
SLACK, DOUBLE_SLACK = 3e-4, 1e-12
"""The polynomials grow steeply above 1, so every step aims below 1 by more than the rounding error of its products."""
NEWTON_REACH, DOUBLE_NEWTON_REACH = 2.0**-10, 2.0**-26
"""Below this an inverse is too inaccurate to start from."""
LOWEST_REACH = 2.0**-30
"""Smaller singular values are dominated by rounding errors in single precision."""

Step = tuple[float, float, float]
"""(a, b, c) of the polynomial a x + b x^3 + c x^5; a cubic has c = 0 and costs one matrix product fewer."""


@functools.lru_cache(maxsize=1024)
def polar_schedule(eighths: int, double: bool) -> tuple[Step, ...]:
    """The cheapest sequence of polynomials that takes every singular value in [2^(eighths / 8), 1] to 1 by rounding."""
    tolerance, slack = (1e-15, DOUBLE_SLACK) if double else (1e-7, SLACK)
    # Cheapest-first search over sequences of cubics and quintics, keeping the best for each number of products.
    best: dict[int, tuple[float, tuple[Step, ...]]] = {0: (2.0 ** (eighths / 8), ())}
    for products in range(2, 1000):
        for cost, polynomial in ((2, best_cubic), (3, best_quintic)):
            if products - cost not in best:
                continue
            lower, steps = best[products - cost]
            (a, b, c), error = polynomial(lower)
            if error < tolerance:
                return (*steps, (a, b, c))
            top = (1 + error) * (1 + slack)
            reached = (1 - error) / top
            if products not in best or reached > best[products][0]:
                best[products] = reached, (*steps, (a / top, b / top, c / top))
    raise AssertionError  # unreachable: every step moves the interval closer to 1


def newton_step(lower: float, double: bool) -> tuple[float, float, float]:
    """Weights of M and its inverse transpose that take [lower, 1] to [reached, 1], and `reached`, about 2 sqrt(lower).

    It is Newton's step with optimal scaling (Higham 1986). Inverting a product of factors takes no inversion per pair:
    it is the product of the factors' inverses. One such product gains as much as five to six of the polynomials.
    """
    top = (lower**-0.5 + lower**0.5) / 2 * (1 + (DOUBLE_SLACK if double else SLACK))
    return lower**-0.5 / (2 * top), lower**0.5 / (2 * top), 1 / top


def best_cubic(lower: float) -> tuple[Step, float]:
    """The odd cubic nearest to 1 on [lower, 1] and its largest error, in closed form."""
    total = 1 + lower + lower**2  # equal at both ends: a = -b total
    middle, end = 2 / 3 * math.sqrt(total / 3), 1 - 1 / total
    slope = 2 / (middle + end)
    return (slope, -slope / total, 0.0), (middle - end) / (middle + end)


def best_quintic(lower: float) -> tuple[Step, float]:
    """The odd quintic nearest to 1 on [lower, 1] and its largest error, by the Remez exchange."""
    if lower > 0.99:  # too flat to solve in double precision, and the Taylor polynomial is as good
        return (15 / 8, -10 / 8, 3 / 8), 5 / 16 * (1 - lower**2) ** 3
    inner = np.array([(3 * lower + 1) / 4, (lower + 3) / 4])
    signs = np.array([1.0, -1.0, 1.0, -1.0])
    for _ in range(60):
        points = np.array([lower, *inner, 1.0])
        a, b, c, error = np.linalg.solve(np.stack([points, points**3, points**5, signs], 1), np.ones(4))
        root = np.sqrt(max(9 * b * b - 20 * a * c, 0.0))
        extrema = np.sqrt(np.sort([(-3 * b - root) / (10 * c), (-3 * b + root) / (10 * c)]))
        if np.allclose(extrema, inner, rtol=1e-13):
            break
        inner = extrema
    return (float(a), float(b), float(c)), abs(float(error))


class NuclearNorms(torch.autograd.Function):
    """|A_i^T A_j|_* of selected pairs of lower triangular factors.

    `apply(factors (n, d, d), left (P,), right (P,), norms (P,), reach)` -> (P,). `norms` are upper bounds of the
    products' largest singular values. `reach` lists, per pair, a lower bound of the smallest one relative to that, and
    decides how long to iterate; an empty list stands for BLIND_REACH. Pairs are best ordered by reach, since a chunk
    takes the schedule of its lowest. Differentiable once, with respect to the factors.
    """

    @staticmethod
    def forward(ctx: Any, factors: Tensor, left: Tensor, right: Tensor, norms: Tensor, reach: list[float]) -> Tensor:
        """The nuclear norms (P,)."""
        ctx.save_for_backward(factors, left, right, norms)
        ctx.reach = reach
        keep = ctx.needs_input_grad[0] and left.numel() * _bytes(factors) <= KEEP_BYTES
        ctx.kept = []
        values = torch.empty_like(norms)
        for chunk, polar, product in _polar_factors(factors, left, right, norms, reach, keep=keep):
            values[chunk] = torch.linalg.vecdot(polar.flatten(1), product.flatten(1)) * norms[chunk]
            if keep:
                ctx.kept.append((chunk, polar))
        return values

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, weights: Tensor) -> tuple[Tensor | None, ...]:
        """Gradient with respect to the factors."""
        factors, left, right, norms = ctx.saved_tensors
        gradient = torch.zeros_like(factors)
        memory = factors.new_empty(2, min(_chunk_size(factors), left.numel()), *factors.shape[1:])
        again = _polar_factors(factors, left, right, norms, ctx.reach, keep=False)
        for chunk, polar in ctx.kept or ((chunk, polar) for chunk, polar, _ in again):
            other, part = memory[:, : len(polar)]
            for own, opposite, turned in ((left, right, polar.mT), (right, left, polar)):
                torch.index_select(factors, 0, opposite[chunk], out=other)
                torch.bmm(other.mul_(weights[chunk, None, None]), turned, out=part)
                gradient.index_add_(0, own[chunk], part)
        return gradient, None, None, None, None


def _chunk_size(factors: Tensor) -> int:
    return max(CHUNK_BYTES.get(factors.device.type, OTHER_CHUNK_BYTES) // _bytes(factors), 1)


def _bytes(factors: Tensor) -> int:
    return factors.shape[-2] * factors.shape[-1] * factors.element_size()


def _polar_factors(
    factors: Tensor, left: Tensor, right: Tensor, norms: Tensor, reach: list[float], *, keep: bool
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Per chunk of pairs, the polar factors of left^T right and the products divided by their norms.

    Both are in buffers that the next chunk overwrites; with `keep`, the factors have memory of their own.
    """
    if not reach and left.numel() and wanted(factors, batched_polar_factors, fused_polar_factors):
        yield from fused_polar_factors(factors, left, right, norms, keep=keep)
    else:
        yield from batched_polar_factors(factors, left, right, norms, reach, keep=keep)


def fused_polar_factors(
    factors: Tensor, left: Tensor, right: Tensor, norms: Tensor, *, keep: bool = False
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """`batched_polar_factors` with the schedule of BLIND_REACH, each pair in a program of its own; float32 only."""
    from rdc_sweeps.contrast import kernel  # imports Triton

    steps = polar_schedule(_eighths(BLIND_REACH), False)
    return kernel.polar_factors(factors, left, right, norms, steps, size=_chunk_size(factors), keep=keep)


def batched_polar_factors(
    factors: Tensor,
    left: Tensor,
    right: Tensor,
    norms: Tensor,
    reach: Sequence[float] = (),
    *,
    keep: bool = False,
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """See `_polar_factors`, by batched matrix products."""
    size = _chunk_size(factors)
    memory = factors.new_empty(6, min(size, left.numel()), *factors.shape[1:])
    scale = norms[:, None, None]
    inverse = scale.reciprocal()
    identity = torch.eye(factors.shape[-1], dtype=factors.dtype, device=factors.device)
    inverses = torch.linalg.solve_triangular(factors, identity, upper=False)
    for start in range(0, left.numel(), size):
        chunk = slice(start, min(start + size, left.numel()))
        product, square, inner, start_point, spare, polar = memory[:, : chunk.stop - chunk.start]
        torch.index_select(factors, 0, left[chunk], out=square)
        torch.index_select(factors, 0, right[chunk], out=inner)
        torch.bmm(square.mul_(inverse[chunk]).mT, inner, out=product)
        ahead, back, lowest = first_weights(min(reach[chunk]) if reach else BLIND_REACH, factors.dtype)
        source = product
        if back:
            torch.index_select(inverses, 0, left[chunk], out=square)
            torch.index_select(inverses, 0, right[chunk], out=inner)
            torch.baddbmm(product, square.mul_(scale[chunk]), inner.mT, beta=ahead, alpha=back, out=start_point)
            source = start_point
        source = iterate(source, lowest, (square, inner, polar, spare), torch.empty_like(product) if keep else None)
        yield chunk, source, product


def first_weights(lowest: float, dtype: torch.dtype) -> tuple[float, float, float]:
    """Weights of a matrix and of its inverse transpose to start from, and the lowest singular value that this gives.

    Args:
        lowest: Lower bound of its singular values, of which the largest is at most 1.
        dtype: Of the matrix.
    """
    double = dtype == torch.float64
    if lowest > (DOUBLE_NEWTON_REACH if double else NEWTON_REACH):
        return newton_step(lowest, double)
    return 1.0, 0.0, lowest


def iterate(source: Tensor, lowest: float, memory: Sequence[Tensor], out: Tensor | None = None) -> Tensor:
    """The polar factors of matrices (P, d, d) whose singular values are in [lowest, 1].

    Args:
        source: The matrices; not overwritten.
        lowest: See `first_weights`.
        memory: Four buffers of the same shape; without `out`, the result is in one of the last two.
        out: Where to write the result.
    """
    steps = polar_schedule(_eighths(lowest), source.dtype == torch.float64)
    square, inner, result, spare = memory
    for number, (a, b, c) in enumerate(steps, start=1):
        if out is not None and number == len(steps):
            result = out
        # Multiples of the identity go to the diagonal: a sum of matrices would copy one of them.
        if c:
            torch.bmm(source.mT, source, out=square)
            square.diagonal(dim1=1, dim2=2).add_(b / (2 * c))
            inner.baddbmm_(square, square, beta=0, alpha=c)
            inner.diagonal(dim1=1, dim2=2).add_(a - b * b / (4 * c))
            torch.bmm(source, inner, out=result)
        else:
            square.baddbmm_(source.mT, source, beta=0, alpha=b)
            square.diagonal(dim1=1, dim2=2).add_(a)
            torch.bmm(source, square, out=result)
        source, result, spare = result, spare, result
    return source


def _eighths(reach: float) -> int:
    # The order of arguments matters: with a NaN in `reach`, max() returns the first one, and the loss becomes NaN.
    return math.floor(8 * math.log2(max(LOWEST_REACH, reach)))
