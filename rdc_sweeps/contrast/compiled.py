"""Nuclear norms of pairs on a CPU, compiled with Numba: the matrices of a pair stay in a core's first cache.

The iteration is that of `polar`, with a schedule for each pair. The library's batched products pass all pairs of a
chunk through memory once for each product, and are slower than `tiles`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rdc_sweeps.compiled import compiled
from rdc_sweeps.contrast.polar import KEEP_BYTES
from rdc_sweeps.contrast.schedules import (
    DOUBLE_NEWTON_REACH,
    LOWEST_REACH,
    NEWTON_REACH,
    Step,
    newton_step,
    polar_schedule,
)
from rdc_sweeps.contrast.tiles import lanes, multiply_add
from rdc_sweeps.processes.threads import in_threads

Array = NDArray[Any]


def suits(factors: Tensor) -> bool:
    """Whether factors (..., d, d) are on a CPU and d is a multiple of what an instruction multiplies."""
    return factors.device.type == "cpu" and factors.shape[-1] % lanes(factors.element_size()) == 0


class CompiledNuclearNorms(torch.autograd.Function):
    """|A_i^T A_j|_* of selected pairs of lower triangular factors that suit; see `polar.NuclearNorms`.

    `apply(factors (n, d, d), left (P,), right (P,), norms (P,), reach (P,))` -> (P,). Each pair has the schedule of its
    own reach.
    """

    @staticmethod
    def forward(ctx: Any, factors: Tensor, left: Tensor, right: Tensor, norms: Tensor, reach: Tensor) -> Tensor:
        """The nuclear norms (P,)."""
        pairs = _pairs(factors, left, right, norms, reach)
        count, size = len(left), factors.shape[-1]
        keep = ctx.needs_input_grad[0] and count * size**2 * factors.element_size() <= KEEP_BYTES
        values, polar = torch.empty_like(norms), factors.new_empty(count if keep else 0, size, size)
        in_threads(
            lambda first, last: _norms(pairs, first, last, values.numpy(), polar.numpy()),
            count,
            torch.get_num_threads(),
        )
        ctx.pairs = pairs
        ctx.save_for_backward(polar)
        return values

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, weights: Tensor) -> tuple[Tensor | None, ...]:
        """Gradient with respect to the factors."""
        (polar,) = ctx.saved_tensors
        weights = weights.contiguous()

        def sums(first: int, last: int) -> tuple[Array, Array]:
            turned, gradient = np.zeros_like(ctx.pairs.factors), np.zeros_like(ctx.pairs.factors)
            _gradients(ctx.pairs, first, last, weights.numpy(), polar.numpy(), turned, gradient)
            return turned, gradient

        # Of left factors, the transposed gradient. Added up in the order of pairs, whichever thread ends first.
        found = in_threads(sums, len(weights), torch.get_num_threads())
        turned, gradient = (torch.from_numpy(sum(parts)) for parts in zip(*found, strict=True))
        return gradient + turned.mT, None, None, None, None


class _Pairs(NamedTuple):
    """What Numba needs to know of P pairs of lower triangular factors (n, d, d)."""

    factors: Array
    turned: Array  # their transposes
    inverses: Array
    turned_inverses: Array
    left: Array  # (P,)
    right: Array
    norms: Array
    ahead: Array  # (P,), weights of a product and of its inverse transpose to start from
    back: Array
    schedule: Array  # (P,), which one
    steps: Array  # (S, n, 3), see `_step`
    lengths: Array  # (S,), steps of each schedule


def _pairs(factors: Tensor, left: Tensor, right: Tensor, norms: Tensor, reach: Tensor) -> _Pairs:
    factors = factors.detach().contiguous()
    identity = torch.eye(factors.shape[-1], dtype=factors.dtype)
    inverses = torch.linalg.solve_triangular(factors, identity, upper=False)
    ahead, back, schedule, steps, lengths = _schedules(reach.double().numpy(), factors.numpy().dtype)
    return _Pairs(
        factors=factors.numpy(),
        turned=factors.mT.contiguous().numpy(),
        inverses=inverses.contiguous().numpy(),
        turned_inverses=inverses.mT.contiguous().numpy(),
        left=left.contiguous().numpy(),
        right=right.contiguous().numpy(),
        norms=norms.contiguous().numpy(),
        ahead=ahead,
        back=back,
        schedule=schedule,
        steps=steps,
        lengths=lengths,
    )


def _schedules(reach: Array, dtype: np.dtype[Any]) -> tuple[Array, Array, Array, Array, Array]:
    double = dtype == np.float64
    ahead, back, lowest = np.ones_like(reach), np.zeros_like(reach), reach.copy()
    good = reach > (DOUBLE_NEWTON_REACH if double else NEWTON_REACH)
    ahead[good], back[good], lowest[good] = newton_step(reach[good], double)
    # fmax ignores NaN, which the factors have too, so that the loss becomes NaN.
    logarithms = np.floor(8 * np.log2(np.fmax(lowest, LOWEST_REACH))).astype(np.int64)
    kinds, schedule = np.unique(logarithms, return_inverse=True)
    found = [polar_schedule(int(kind), double) for kind in kinds]
    lengths = np.array([len(steps) for steps in found], np.int64)
    table = np.zeros((len(found), max(lengths, default=0), 3), dtype)
    for number, steps in enumerate(found):
        table[number, : len(steps)] = [_step(*step) for step in steps]
    return ahead.astype(dtype), back.astype(dtype), schedule, table, lengths


def _step(a: float, b: float, c: float) -> Step:
    """Of a quintic, c and the numbers to add to the diagonals of x^2 and of c times its square; else 0, b and a."""
    return (c, b / (2 * c), a - b * b / (4 * c)) if c else (0.0, b, a)


@compiled()
def _add_to_diagonal(matrix: Array, number: float) -> None:
    for place in range(len(matrix)):
        matrix[place, place] += number


@compiled(fastmath={"reassoc", "contract"})
def _inner_product(a: Array, b: Array) -> Any:
    total = a.dtype.type(0)
    for row in range(len(a)):
        for column in range(len(a)):
            total += a[row, column] * b[row, column]
    return total


@compiled()
def _iterate(pairs: _Pairs, pair: int, memory: Array, polar: Array) -> None:
    """Write the polar factor of a pair to `polar`, and its product divided by its norm to memory[0]."""
    left, right, norm, which = pairs.left[pair], pairs.right[pair], pairs.norms[pair], pairs.schedule[pair]
    product, square, inner = memory[0], memory[1], memory[2]
    one = pairs.norms.dtype.type(1)
    multiply_add("upper", pairs.factors[left], pairs.factors[right], one / norm, None, one, product)
    count = pairs.lengths[which]
    # Results alternate between two places, so that the last one is in `polar`.
    other, target = (memory[3], polar) if count % 2 else (polar, memory[3])
    source = product
    if pairs.back[pair]:
        inverse, turned = pairs.inverses[left], pairs.turned_inverses[right]
        multiply_add("lower", inverse, turned, pairs.back[pair] * norm, product, pairs.ahead[pair], other)
        source = other
    for number in range(count):
        c, first, second = pairs.steps[which, number]
        if c:
            multiply_add("transposed", source, source, one, None, one, square)
            _add_to_diagonal(square, first)
            multiply_add("plain", square, square, c, None, one, inner)
            _add_to_diagonal(inner, second)
            multiply_add("plain", source, inner, one, None, one, target)
        else:
            multiply_add("transposed", source, source, first, None, one, square)
            _add_to_diagonal(square, second)
            multiply_add("plain", source, square, one, None, one, target)
        source, target, other = target, other, target


@compiled()
def _norms(pairs: _Pairs, first: int, last: int, values: Array, polar: Array) -> None:
    memory = np.empty((5, *pairs.factors.shape[1:]), pairs.factors.dtype)
    for pair in range(first, last):
        found = polar[pair] if len(polar) else memory[4]
        _iterate(pairs, pair, memory, found)
        values[pair] = _inner_product(memory[0], found) * pairs.norms[pair]


@compiled()
def _gradients(
    pairs: _Pairs, first: int, last: int, weights: Array, polar: Array, turned: Array, gradient: Array
) -> None:
    memory = np.empty((5, *pairs.factors.shape[1:]), pairs.factors.dtype)
    one = pairs.factors.dtype.type(1)
    for pair in range(first, last):
        if len(polar):
            found = polar[pair]
        else:
            found = memory[4]
            _iterate(pairs, pair, memory, found)
        left, right, weight = pairs.left[pair], pairs.right[pair], weights[pair]
        multiply_add("plain", found, pairs.turned[right], weight, turned[left], one, turned[left])
        multiply_add("lower", pairs.factors[left], found, weight, gradient[right], one, gradient[right])
