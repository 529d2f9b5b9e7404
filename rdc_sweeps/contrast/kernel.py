"""The polar iteration of a pair in one kernel, in Triton: nothing but its factors and its result passes the memory.

`polar` iterates with batched matrix products, each of which reads and writes all matrices of a chunk. Here a pair has a
program of its own, which keeps its matrices of d x d on chip from the factors to the polar factor. It does the same
products in the same order, with the same polynomials.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.runtime.interpreter import InterpretedFunction

Steps = tuple[tuple[float, float, float], ...]

WIDE = 64
"""Dimension from which a program has eight warps, for the registers; four below."""


def polar_factors(
    factors: Tensor, left: Tensor, right: Tensor, norms: Tensor, steps: Steps, *, size: int, keep: bool
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Per chunk of pairs, the polar factors of left^T right and the products divided by their norms.

    Both are in buffers that the next chunk overwrites; with `keep`, the factors have memory of their own. On a CPU,
    Triton's interpreter runs the kernel, pair by pair.

    Args:
        factors: Tensor (n, d, d) float32; d is 16, 32 or 64.
        left: Tensor (P,) int64, the first factor of each pair.
        right: Tensor (P,) int64, the second.
        norms: Tensor (P,) float32, upper bounds of the products' largest singular values.
        steps: Polynomials, see `polar_schedule`.
        size: Pairs in a chunk.
        keep: Whether the polar factors of all chunks are needed at once.
    """
    factors = factors.contiguous()  # Cholesky factors come by columns
    pairs, d = left.numel(), factors.shape[-1]
    kernel = _kernel(interpreted=factors.device.type == "cpu")
    coefficients = _coefficients(steps, factors.device)
    memory = factors.new_empty(2, min(size, pairs), d, d)
    for start in range(0, pairs, size):
        chunk = slice(start, min(start + size, pairs))
        number = chunk.stop - chunk.start
        product, polar = memory[:, :number]
        if keep:
            polar = torch.empty_like(product)
        arguments = factors, left[chunk], right[chunk], norms[chunk], coefficients, polar, product
        kernel[(number,)](*arguments, STEPS=len(steps), D=d, num_warps=8 if d >= WIDE else 4)
        yield chunk, polar, product


@functools.cache
def _kernel(*, interpreted: bool) -> Any:
    return (InterpretedFunction if interpreted else triton.JITFunction)(_iterate)


@functools.lru_cache(maxsize=16)
def _coefficients(steps: Steps, device: torch.device) -> Tensor:
    # Copied to the device once, since the host waits for the copy.
    return torch.tensor(steps, dtype=torch.float32, device=device)


def _iterate(factors, left, right, norms, coefficients, polars, products, STEPS: tl.constexpr, D: tl.constexpr):  # type: ignore[no-untyped-def]  # noqa: N803
    # One program per pair. `ieee`: products in full single precision, not in TF32.
    pair = tl.program_id(0).to(tl.int64)
    row, column = tl.arange(0, D)[:, None], tl.arange(0, D)[None, :]
    first = tl.load(factors + tl.load(left + pair) * D * D + column * D + row)  # transposed
    second = tl.load(factors + tl.load(right + pair) * D * D + row * D + column)
    current = tl.dot(first, second, input_precision="ieee") / tl.load(norms + pair)
    place = pair * D * D + row * D + column
    tl.store(products + place, current)
    for step in range(STEPS):
        a = tl.load(coefficients + 3 * step)
        b = tl.load(coefficients + 3 * step + 1)
        c = tl.load(coefficients + 3 * step + 2)
        square = tl.dot(tl.trans(current), current, input_precision="ieee")
        inner = b * square
        if c != 0:
            inner += c * tl.dot(square, square, input_precision="ieee")
        current = a * current + tl.dot(current, inner, input_precision="ieee")
    tl.store(polars + place, current)
