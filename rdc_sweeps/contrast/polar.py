"""Nuclear norms of many small matrix products, with gradients, by Newton-Schulz iteration on the polar factor.

For M = A^T B the nuclear norm is <Q, M> with Q the polar factor of M, which is also its gradient. Q comes out
of matrix products alone: odd quintic polynomials, each the best approximation of 1 on the interval that the singular
values have reached, push them all to 1. No eigenvectors, hence no trouble with repeated singular values, and nothing to
wait for.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

CHUNK_BYTES = {"cpu": 2**19}
"""Bytes of one work buffer: what stays in a core's cache on a CPU."""
OTHER_CHUNK_BYTES = 2**28
KEEP_BYTES = 2**28
"""Polar factors up to this size are kept for the backward pass, larger sets are computed again there."""

BLIND_REACH = 2.0**-14
"""Relative size down to which singular values are brought to 1 where reading their range would wait for the device."""
LOWEST_EXPONENT = -30

Quintic = tuple[float, float, float]


@functools.lru_cache(maxsize=256)
def polar_schedule(exponent: int, double: bool) -> tuple[Quintic, ...]:
    """Quintics (a, b, c), x -> a x + b x^3 + c x^5, that take every singular value of [2^exponent, 1] to 1."""
    # Beyond 1 the quintics grow steeply, so every step aims below it by more than its products can be rounded.
    lower, tolerance, slack = (2.0**exponent, 1e-15, 1e-12) if double else (2.0**exponent, 3e-8, 3e-4)
    steps: list[Quintic] = []
    while True:
        (a, b, c), error = _best_quintic(lower)
        if error < tolerance:
            return (*steps, (a, b, c))
        top = (1 + error) * (1 + slack)
        steps.append((a / top, b / top, c / top))
        lower = (1 - error) / top


def _best_quintic(lower: float) -> tuple[Quintic, float]:
    """The odd quintic nearest to 1 on [lower, 1] and its largest error, by the Remez exchange."""
    if lower > 0.99:  # the minimax problem is too flat to solve in double precision; the Taylor polynomial is as good
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
    """|A_i^T A_j|_* of selected pairs: `apply(factors (n, d, d), left (P,), right (P,), norms (P,), reach)` -> (P,).

    `norms` are upper bounds of the products' largest singular values. `reach` lists, per pair, a lower bound of the
    smallest one relative to that, and decides how long to iterate; an empty list stands for BLIND_REACH. Differentiable
    once, with respect to the factors.
    """

    @staticmethod
    def forward(ctx: Any, factors: Tensor, left: Tensor, right: Tensor, norms: Tensor, reach: list[float]) -> Tensor:
        """The nuclear norms (P,)."""
        ctx.save_for_backward(factors, left, right, norms)
        ctx.reach = reach
        ctx.kept = []
        keep = ctx.needs_input_grad[0] and left.numel() * _bytes(factors) <= KEEP_BYTES
        values = norms.new_empty(norms.shape)
        for chunk, polar, product in _polar_factors(factors, left, right, norms, reach):
            values[chunk] = (polar * product).sum((1, 2)) * norms[chunk]
            if keep:
                ctx.kept.append((chunk, polar))
        return values

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, weights: Tensor) -> tuple[Tensor | None, ...]:
        """Gradient with respect to the factors."""
        factors, left, right, norms = ctx.saved_tensors
        gradient = torch.zeros_like(factors)
        again = ((chunk, polar) for chunk, polar, _ in _polar_factors(factors, left, right, norms, ctx.reach))
        for chunk, polar in ctx.kept or again:
            weighted = polar * weights[chunk, None, None]
            gradient.index_add_(0, left[chunk], factors[right[chunk]] @ weighted.mT)
            gradient.index_add_(0, right[chunk], factors[left[chunk]] @ weighted)
        return gradient, None, None, None, None


def _bytes(factors: Tensor) -> int:
    return factors.shape[-2] * factors.shape[-1] * factors.element_size()


def _polar_factors(
    factors: Tensor, left: Tensor, right: Tensor, norms: Tensor, reach: list[float]
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Per chunk of pairs: the polar factors of left^T right, and the products themselves divided by their norms."""
    double = factors.dtype == torch.float64
    size = max(CHUNK_BYTES.get(factors.device.type, OTHER_CHUNK_BYTES) // _bytes(factors), 1)
    inverse = norms.reciprocal()[:, None, None]
    for start in range(0, left.numel(), size):
        chunk = slice(start, min(start + size, left.numel()))
        product = (factors[left[chunk]] * inverse[chunk]).mT @ factors[right[chunk]]
        square, inner = torch.empty_like(product), torch.empty_like(product)
        polar, spare = product, torch.empty_like(product)
        lowest = min(reach[chunk]) if reach else BLIND_REACH
        for a, b, c in polar_schedule(max(math.floor(math.log2(lowest)), LOWEST_EXPONENT), double):
            torch.bmm(polar.mT, polar, out=square)
            torch.baddbmm(square, square, square, beta=b, alpha=c, out=inner)
            torch.baddbmm(polar, polar, inner, beta=a, out=spare)
            polar, spare = spare, torch.empty_like(product) if polar is product else polar
        yield chunk, polar, product
