"""tr (Sa Sb)^(1/2) of covariances c I + U U^T of low rank, for all pairs at once, on a CPU.

Both matrices of a pair leave the span of [Ua Ub] invariant and are multiples of the identity outside of it. With
orthonormal bases Ba and Bb of the columns, C = Ba^T Bb and any R with R^T R = I - C^T C, the columns of Bb have the
coordinates V = [C; R] in an orthonormal basis [Ba W] of that span, where Bb = Ba C + W R. There the square roots are

    Sa^(1/2) = diag(sqrt(ca + la), sqrt(ca)),   Sb^(1/2) = sqrt(cb) I + V diag(sqrt(cb + lb) - sqrt(cb)) V^T

with the squared singular values l of U, and tr (Sa Sb)^(1/2) is sqrt(ca cb) for each of the d - 2r directions outside,
plus the nuclear norm of Sa^(1/2) Sb^(1/2), a matrix of 2r x 2r. With its polar factor Q the gradient is half of
Ta = Sa^(-1/2) Q Sb^(1/2) for Sa and of Tb = Sa^(1/2) Q Sb^(-1/2) for Sb, the optimal transport maps between the two.

The bases are multiplied here, by the library; the matrices of pairs in `low_rank_kernel`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rdc_sweeps.contrast.gaussians import LowRank
from rdc_sweeps.contrast.low_rank_kernel import LANES, RANK, SPAN, solve
from rdc_sweeps.contrast.low_rank_layout import Columns, Gradients, Rows, Schedules
from rdc_sweeps.contrast.polar import KEEP_BYTES, first_weights
from rdc_sweeps.contrast.schedules import eighths, polar_schedule
from rdc_sweeps.processes.threads import in_threads

MARGIN, DOUBLE_MARGIN = 1.5e-6, 2e-14
"""More than the rounding error of a product of bases squared."""
KEPT_NUMBERS = 4 * RANK**2 + 2
"""What the backward pass needs of a pair."""


def low_rank_roots(left: LowRank, right: LowRank, *, symmetric: bool) -> Tensor:
    """tr (Sa Sb)^(1/2) (B, Ra, Rb) of all pairs of known covariances of an item; 1 for the others.

    Args:
        left: Covariances (B, Ra) on the CPU, of which only the known ones count; U has at most `RANK` columns.
        right: Covariances (B, Rb); those of `left` if symmetric.
        symmetric: Each pair is computed once, and a covariance with itself has 1.
    """
    sides = [(side.factor, side.floor, side.known) for side in (left, right)]
    roots: Tensor = LowRankRoots.apply(*sides[0], *sides[1], symmetric)
    return roots


class LowRankRoots(torch.autograd.Function):
    """See `low_rank_roots`: `apply(factor, floor, known, the same of the right ones, symmetric)`. Differentiable once.

    The gradients of pairs are kept up to KEEP_BYTES; more are found again in the backward pass.
    """

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Tensor:
        """The traces."""
        *tensors, symmetric = inputs
        left = _Side.of(*tensors[:3])
        right = left if symmetric else _Side.of(*tensors[3:])
        numbers = KEPT_NUMBERS * int(left.known.sum(1) @ right.known.sum(1)) // (2 if symmetric else 1)
        keep = any(ctx.needs_input_grad) and numbers * left.basis.element_size() <= KEEP_BYTES
        ctx.sides, ctx.symmetric, ctx.kept = (left, right), symmetric, []
        roots = left.basis.new_ones(*left.known.shape, right.known.shape[1])
        for item, rows, columns in _items(left, right):
            packed = _Packed.of(right, columns)
            values = roots.new_zeros(rows.stop - rows.start, packed.small.numel())
            for block, own, group in _blocks(rows, symmetric=symmetric):
                found, gradients = _solve(left, block, packed, group, keep=keep)
                values[own, group * LANES :] = found.flatten(1)
                ctx.kept.append(gradients if keep else None)
            values = values[:, : columns.stop - columns.start]
            if symmetric:
                values = values.triu(1)
                values = (values + values.mT).fill_diagonal_(1)
            roots[item][_between(left, right, item)] = values.flatten()
        return roots

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, weights: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients with respect to factors and floors."""
        (left, right), kept = ctx.sides, iter(ctx.kept)
        of_left = left.zeros()
        of_right = of_left if ctx.symmetric else right.zeros()
        for item, rows, columns in _items(left, right):
            of_pairs = weights[item][_between(left, right, item)].view(rows.stop - rows.start, -1)
            if ctx.symmetric:
                of_pairs = (of_pairs + of_pairs.mT).triu(1)
            packed = _Packed.of(right, columns)
            of_pairs = F.pad(of_pairs, (0, packed.small.numel() - of_pairs.shape[1])).unflatten(1, (-1, LANES))
            of_columns = packed.zeros()
            for block, own, group in _blocks(rows, symmetric=ctx.symmetric):
                gradients = next(kept) or _solve(left, block, packed, group, keep=True)[1]
                by_rows = _Gradient(*(values[block] for values in of_left))
                basis, *others = of_columns
                by_columns = _Gradient(basis[:, group:], *(values[..., group:, :] for values in others))
                _add(gradients, of_pairs[own, group:], left.basis[block], packed.basis[:, group:], by_rows, by_columns)
            count = columns.stop - columns.start
            of_right.basis[columns] += of_columns.basis.permute(1, 3, 0, 2).flatten(0, 1)[:count]
            of_right.own[columns] += of_columns.own.permute(2, 3, 0, 1).flatten(0, 1)[:count]
            of_right.floor[columns] += of_columns.floor.flatten()[:count]
        by_right = (None, None) if ctx.symmetric else right.gradients(of_right)
        return *left.gradients(of_left), None, *by_right, None, None


class _Gradient(NamedTuple):
    """Of traces: by the basis B of each U (n, d, 8), of which B own is left out, own (n, 8, 8), and by the floors (n,).

    Of groups side by side they are (d, G, 8, LANES), (8, 8, G, LANES) and (G, LANES).
    """

    basis: Tensor
    own: Tensor
    floor: Tensor


class _Side(NamedTuple):
    """The known covariances of all items, with U = basis diag(spread) rotation."""

    known: Tensor  # (B, R)
    basis: Tensor  # (n, d, 8)
    large: Tensor  # (n, 8), roots of the eigenvalues in the span of U, descending
    small: Tensor  # (n,), roots of the floors
    spread: Tensor  # (n, 8)
    rotation: Tensor  # (n, 8, r)

    @staticmethod
    def of(factor: Tensor, floor: Tensor, known: Tensor) -> _Side:
        factor, floor, rank = factor[known], floor[known], factor.shape[-1]
        padded = F.pad(factor, (0, RANK - rank)).double()  # bases of single precision are orthonormal to 1e-6 only
        basis, spread, rotation = (x.to(factor) for x in torch.linalg.svd(padded, full_matrices=False))
        large = (spread.square() + floor[:, None]).sqrt()
        return _Side(known, basis, large, floor.sqrt(), spread, rotation[:, :, :rank])

    def zeros(self) -> _Gradient:
        basis = torch.zeros_like(self.basis)
        return _Gradient(basis, basis.new_zeros(len(basis), RANK, RANK), torch.zeros_like(self.small))

    def gradients(self, by: _Gradient) -> tuple[Tensor, Tensor]:
        """By factor (B, R, d, r) and floor (B, R)."""
        values = torch.bmm(by.basis.baddbmm(self.basis, by.own) * self.spread[:, None], self.rotation)
        factor = values.new_zeros(*self.known.shape, *values.shape[1:])
        floor = values.new_zeros(self.known.shape)
        factor[self.known], floor[self.known] = values, by.floor
        return factor, floor


class _Packed(NamedTuple):
    """Right covariances of an item in groups side by side; the last group is filled up."""

    basis: Tensor  # (d, G, 8, LANES)
    large: Tensor  # (G, 8 LANES)
    small: Tensor  # (G, LANES)

    @staticmethod
    def of(side: _Side, columns: slice) -> _Packed:
        padding = (columns.start - columns.stop) % LANES
        basis = F.pad(side.basis[columns], (0, 0, 0, 0, 0, padding)).unflatten(0, (-1, LANES))
        large = F.pad(side.large[columns], (0, 0, 0, padding), value=1.0).unflatten(0, (-1, LANES))
        small = F.pad(side.small[columns], (0, padding), value=1.0).unflatten(0, (-1, LANES))
        return _Packed(basis.permute(2, 0, 3, 1).contiguous(), large.mT.flatten(1).contiguous(), small)

    def zeros(self) -> _Gradient:
        own = self.small.new_zeros(RANK, RANK, *self.small.shape)
        return _Gradient(torch.zeros_like(self.basis), own, torch.zeros_like(self.small))


def _items(left: _Side, right: _Side) -> Iterator[tuple[int, slice, slice]]:
    """Items with pairs, and which of all left and right covariances they have."""
    ends = [[0, *side.known.sum(1).cumsum(0).tolist()] for side in (left, right)]
    for item in range(len(left.known)):
        rows, columns = (slice(*end[item : item + 2]) for end in ends)
        if rows.start < rows.stop and columns.start < columns.stop:
            yield item, rows, columns


def _between(left: _Side, right: _Side, item: int) -> Tensor:
    """Which pairs (Ra, Rb) of an item are of known covariances."""
    return left.known[item][:, None] & right.known[item]


def _blocks(rows: slice, *, symmetric: bool) -> Iterator[tuple[slice, slice, int]]:
    """Left covariances, as many as a group has: places among all, among the item's, and the first group of pairs."""
    for start in range(rows.start, rows.stop, LANES):
        stop = min(start + LANES, rows.stop)
        own = slice(start - rows.start, stop - rows.start)
        yield slice(start, stop), own, own.start // LANES if symmetric else 0


def _solve(left: _Side, block: slice, packed: _Packed, group: int, *, keep: bool) -> tuple[Tensor, list[Tensor]]:
    """The traces (n, G, LANES) of a block with the groups from one on, and what `_add` needs."""
    basis, large, small = packed.basis[:, group:], packed.large[group:], packed.small[group:]
    channels, groups = basis.shape[:2]
    products = left.basis[block].mT.flatten(0, 1) @ basis.flatten(1)
    products = products.view(-1, RANK, groups, RANK * LANES)
    values, *floors = small.new_empty(3, len(products), groups, LANES)
    kept = len(products) if keep else 0
    own = small.new_empty(2, kept, RANK, RANK, groups, LANES)
    along = small.new_empty(2, kept, RANK, groups, RANK, LANES)
    gradients = [*floors, own[0], *along, own[1]]
    rows = left.large[block], left.small[block]
    lowest = float((rows[1] / rows[0][:, 0]).min() * (small / large[:, :LANES]).min())
    dtype = small.numpy().dtype.type
    run = functools.partial(
        solve,
        products.numpy(),
        Rows(*(tensor.numpy() for tensor in rows)),
        Columns(large.numpy(), small.numpy()),
        dtype(channels - SPAN),
        _schedules(eighths(lowest), small.dtype),
        dtype(DOUBLE_MARGIN if small.dtype == torch.float64 else MARGIN),
        keep,
        values.numpy(),
        Gradients(*(tensor.numpy() for tensor in gradients)),
    )
    in_threads(run, len(products), torch.get_num_threads())
    return values, gradients


@functools.lru_cache(maxsize=64)
def _schedules(lowest: int, dtype: torch.dtype) -> Schedules:
    """Those of smallest singular values of 2^(lowest / 8) and more."""
    double = dtype == torch.float64
    starts = [first_weights(2.0 ** (-entry / 8), dtype) for entry in range(1 - lowest)]
    steps = [polar_schedule(eighths(reached), double) for _, _, reached in starts]
    kind = np.float64 if double else np.float32
    table = np.zeros((len(steps), max(map(len, steps)), 3), kind)
    for entry, polynomials in enumerate(steps):
        table[entry, : len(polynomials)] = polynomials
    return Schedules(np.array(starts, kind)[:, :2].copy(), np.array([len(one) for one in steps]), table)


def _add(
    gradients: list[Tensor], weights: Tensor, basis_a: Tensor, basis_b: Tensor, by_a: _Gradient, by_b: _Gradient
) -> None:
    """Add the gradients of traces, weighted (n, G, LANES), to those by the covariances of either side."""
    floors_a, floors_b, own_a, along_b, along_a, own_b = gradients
    number, channels = basis_a.shape[:2]
    by_a.floor.add_((weights * floors_a).sum((1, 2)))
    by_b.floor.add_((weights * floors_b).sum(0))
    by_a.own.view(number, -1, 1).baddbmm_(own_a.view(number, RANK**2, -1), weights.reshape(number, -1, 1))
    by_b.own.add_((own_b * weights[:, None, None]).sum(0))
    along = (along_b * weights[:, None, :, None]).view(number * RANK, -1)
    by_a.basis.add_((along @ basis_b.flatten(1).mT).view(number, RANK, channels).mT)
    along = (along_a * weights[:, None, :, None]).view(number * RANK, -1)
    by_b.basis.flatten(1).addmm_(basis_a.permute(1, 0, 2).flatten(1), along)
