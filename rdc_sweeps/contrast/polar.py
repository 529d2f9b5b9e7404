"""Nuclear norms of many small matrix products, with gradients, by Newton-Schulz iteration on the polar factor.

For M = A^T B the nuclear norm is <Q, M> with Q the polar factor of M, which is also its gradient. Q comes out
of matrix products alone: odd quintic polynomials, each the best approximation of 1 on the interval that the singular
values have reached, push them all to 1. There are no eigenvectors, so repeated singular values do no harm, and nothing
waits for a device.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from rdc_sweeps.contrast.kernel_choice import wanted
from rdc_sweeps.contrast.schedules import DOUBLE_NEWTON_REACH, NEWTON_REACH, eighths, newton_step, polar_schedule

CHUNK_BYTES = {"cpu": 2**19}
"""Bytes of one work buffer; on a CPU small enough for a core's cache."""
OTHER_CHUNK_BYTES = 2**28
KEEP_BYTES = 2**30
"""Polar factors up to this total size are kept for the backward pass; larger ones are computed again there."""

BLIND_REACH = 2.0**-14
"""Relative size down to which singular values are moved to 1 where reading their range would wait for the device."""


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

    steps = polar_schedule(eighths(BLIND_REACH), False)
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
    steps = polar_schedule(eighths(lowest), source.dtype == torch.float64)
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
