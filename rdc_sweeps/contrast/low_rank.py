"""tr (Sa Sb)^(1/2) of covariances c I + U U^T of low rank, for all pairs at once.

Both matrices of a pair leave the span of [Ua Ub] invariant and are multiples of the identity outside of it. With
orthonormal bases Ba and Bb of the columns, C = Ba^T Bb and any R with R^T R = I - C^T C, the columns of Bb have the
coordinates V = [C; R] in an orthonormal basis [Ba W] of that span, where Bb = Ba C + W R. There the square roots are

    Sa^(1/2) = diag(sqrt(ca + la), sqrt(ca)),   Sb^(1/2) = sqrt(cb) I + V diag(sqrt(cb + lb) - sqrt(cb)) V^T

with the squared singular values l of U, and tr (Sa Sb)^(1/2) is sqrt(ca cb) for each of the d - 2r directions outside,
plus the nuclear norm of Sa^(1/2) Sb^(1/2), a matrix of 2r x 2r. With its polar factor Q the gradient is half of
Ta = Sa^(-1/2) Q Sb^(1/2) for Sa and of Tb = Sa^(1/2) Q Sb^(-1/2) for Sb, the optimal transport maps between the two.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rdc_sweeps.contrast.gaussians import LowRank
from rdc_sweeps.contrast.polar import first_weights, iterate

TILE_PAIRS = 2048
"""Pairs of a tile: enough that calls of the library cost little."""
CHUNK_PAIRS = 512
"""Pairs whose polar factors are found at once: few enough for their matrices to stay in a core's cache."""


@dataclasses.dataclass(frozen=True)
class Tile:
    """All pairs of consecutive rows with consecutive columns, row by row."""

    rows: slice
    columns: slice

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of columns."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start

    def __len__(self) -> int:
        """Number of pairs."""
        return math.prod(self.shape)


def low_rank_roots(left: LowRank, right: LowRank, *, symmetric: bool) -> tuple[tuple[Tensor, Tensor, Tensor], Tensor]:
    """Item, row and column (P,) of all pairs of known covariances of an item, and their tr (Sa Sb)^(1/2) (P,).

    Args:
        left: Covariances (B, Ra) on the CPU, of which only the known ones count.
        right: Covariances (B, Rb); those of `left` if symmetric.
        symmetric: Only pairs whose row is before the column.
    """
    places = [side.known.nonzero(as_tuple=True) for side in (left, right)]
    sides = (left,) if symmetric else (left, right)
    factors = torch.cat([side.factor[side.known] for side in sides])
    floors = torch.cat([side.floor[side.known] for side in sides])
    ends = [side.known.sum(1).cumsum(0).tolist() for side in (left, right)]
    starts = [[0, *end[:-1]] for end in ends]
    shift = 0 if symmetric else len(places[0][0])
    tiles = [
        tile
        for top, bottom, first, last in zip(starts[0], ends[0], starts[1], ends[1], strict=True)
        for tile in _tiles(range(top, bottom), range(first + shift, last + shift), symmetric=symmetric)
    ]
    values = LowRankRoots.apply(factors, floors, tiles)
    rows, columns = _pairs_of(tiles)
    if symmetric:  # tiles on the diagonal have pairs twice
        once = rows < columns
        values, rows, columns = values[once], rows[once], columns[once]
    item, row = (place[rows] for place in places[0])
    return (item, row, places[1][1][columns - shift]), values


def _pairs_of(tiles: Sequence[Tile]) -> tuple[Tensor, Tensor]:
    """Row and column (P,) of the pairs of tiles."""
    grids = [[torch.arange(one.start, one.stop) for one in (tile.rows, tile.columns)] for tile in tiles]
    rows = [row.repeat_interleave(len(column)) for row, column in grids]
    columns = [column.repeat(len(row)) for row, column in grids]
    empty = torch.arange(0)
    return torch.cat([empty, *rows]), torch.cat([empty, *columns])


def _tiles(rows: range, columns: range, *, symmetric: bool) -> Iterator[Tile]:
    """Tiles with all pairs of rows and columns; if symmetric, of two equal ranges, with each unordered pair."""
    if not rows or not columns:
        return
    height = -(-(2 if symmetric else 1) * TILE_PAIRS // len(columns))
    width = max(height, TILE_PAIRS)
    for top in range(rows.start, rows.stop, height):
        bottom = min(top + height, rows.stop)
        for first in range(top if symmetric else columns.start, columns.stop, width):
            yield Tile(slice(top, bottom), slice(first, min(first + width, columns.stop)))


class LowRankRoots(torch.autograd.Function):
    """The roots of pairs of covariances.

    `apply(factors (n, d, r), floors (n,), tiles)` -> (P,), the pairs of one tile after those of another. The
    covariances are floor I + U U^T with a factor U and a positive floor; 2 r is at most d. Differentiable once.
    """

    @staticmethod
    def forward(ctx: Any, factors: Tensor, floors: Tensor, tiles: Sequence[Tile]) -> Tensor:
        """The traces (P,)."""
        basis, spread, rotation = torch.linalg.svd(factors, full_matrices=False)
        floors = floors[:, None]
        sides = _Sides(basis, (spread.square() + floors).sqrt(), floors.sqrt())
        keep = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
        ctx.tiles, ctx.kept = tiles, []
        size = 2 * factors.shape[2]
        memory = factors.new_empty(5, min(CHUNK_PAIRS, max(map(len, tiles), default=0)), size, size)
        values = factors.new_empty(sum(map(len, tiles)))
        for tile, part in zip(tiles, _parts(values, tiles), strict=True):
            roots = _roots(sides, tile)
            found = _solve(sides.basis, tile, roots, memory)
            inside = torch.linalg.vecdot(roots.first, _times_root(found, roots.small, roots.excess))
            torch.add(inside, (roots.first[:, -1:] * roots.small)[:, 0], alpha=factors.shape[1] - size, out=part)
            if keep:
                ctx.kept.append(found)
        ctx.save_for_backward(*sides, spread, rotation)
        return values

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, weights: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients with respect to factors and floors."""
        *fields, spread, rotation = ctx.saved_tensors
        sides = _Sides(*fields)
        basis = sides.basis
        # That of U = basis D X^T, by its singular value decomposition, is (gradient + basis own) D X^T.
        gradient, floors = torch.zeros_like(basis), torch.zeros_like(sides.small)
        own = basis.new_zeros(*spread.shape, spread.shape[1])
        for tile, found, part in zip(ctx.tiles, ctx.kept, _parts(weights, ctx.tiles), strict=True):
            _add_gradients(sides, tile, found, part, gradient, own, floors)
        gradient = gradient.baddbmm_(basis, own)
        return torch.bmm(gradient * spread[:, None], rotation), floors[:, 0], None


def _parts(values: Tensor, tiles: Sequence[Tile]) -> Sequence[Tensor]:
    parts: Sequence[Tensor] = values.split([len(tile) for tile in tiles])
    return parts


class _Sides(NamedTuple):
    basis: Tensor  # (n, d, r)
    large: Tensor  # (n, r), roots of the eigenvalues in the span of U
    small: Tensor  # (n, 1), root of the floor


class _Roots(NamedTuple):
    """Of the pairs of a tile, what makes up Sa^(1/2) and Sb^(1/2) = small I + V excess V^T."""

    first: Tensor  # (P, 2r), the diagonal of Sa^(1/2)
    large: Tensor  # (P, r), roots of Sb's eigenvalues in the span of Ub
    small: Tensor  # (P, 1), root of Sb's floor
    excess: Tensor  # (P, r), large - small
    inverse_excess: Tensor  # (P, r), the same of the inverse of Sb^(1/2)


class _Solved(NamedTuple):
    """Of the pairs of a tile, matrices of the coordinates in the basis [Ba W]."""

    coordinates: Tensor  # V = [C; R] (P, 2r, r)
    outer_inverse: Tensor  # the inverse of R (P, r, r)
    polar: Tensor  # Q (P, 2r, 2r)
    turned: Tensor  # Q V (P, 2r, r)


def _roots(sides: _Sides, tile: Tile) -> _Roots:
    diagonal = torch.cat([sides.large, sides.small.expand_as(sides.large)], 1)[tile.rows]
    large, small = (values[tile.columns] for values in (sides.large, sides.small))
    of_b = (large, small, large - small, large.reciprocal() - small.reciprocal())
    return _Roots(diagonal.repeat_interleave(tile.shape[1], 0), *(values.repeat(tile.shape[0], 1) for values in of_b))


def _solve(basis: Tensor, tile: Tile, roots: _Roots, memory: Tensor) -> _Solved:
    rank = basis.shape[-1]
    coordinates = basis.new_empty(len(tile), 2 * rank, rank)
    products = basis[tile.rows].mT.flatten(0, 1) @ basis[tile.columns].permute(1, 0, 2).flatten(1)
    products = products.view(tile.shape[0], rank, tile.shape[1], rank).transpose(1, 2)
    coordinates.view(*tile.shape, 2 * rank, rank)[..., :rank, :] = products
    inner = coordinates[:, :rank]
    identity = torch.eye(rank, dtype=basis.dtype).expand(len(tile), -1, -1)
    outer, outer_inverse = _triangular_root(torch.baddbmm(identity, inner.mT, inner, alpha=-1))
    coordinates[:, rank:] = outer
    polar = _polar(coordinates, roots, memory)
    return _Solved(coordinates, outer_inverse, polar, torch.bmm(polar, coordinates))


def _polar(coordinates: Tensor, roots: _Roots, memory: Tensor) -> Tensor:
    """The polar factors (P, 2r, 2r) of Sa^(1/2) Sb^(1/2)."""
    first, large, small = roots.first, roots.large, roots.small
    # The largest singular value is at most the Frobenius norm and the product of those of both factors.
    rank = large.shape[1]
    floor_a, floor_b = first[:, -1:].square(), small.square()
    span_a, span_b = first[:, :rank].square() - floor_a, large.square() - floor_b
    common = torch.linalg.vecdot(coordinates[:, :rank].square(), span_b[:, None])
    squares = floor_a * (2 * rank * floor_b + span_b.sum(1, keepdim=True))
    squares += ((common + floor_b) * span_a).sum(1, keepdim=True)
    norms = 1.0001 * torch.minimum(squares.sqrt(), first[:, :1] * large[:, :1])  # singular values descend
    ahead, back, lowest = first_weights(float((first[:, -1:] * small / norms).min()), first.dtype)
    # The weighted sum of the product and of its inverse transpose, both of the form D (c I + V diag V^T).
    scaled, turned = ahead * first / norms, back * norms / first
    left = scaled[..., None] * roots.excess[:, None]
    left.addcmul_(turned[..., None], roots.inverse_excess[:, None]).mul_(coordinates)
    diagonal = scaled * small + turned / small
    polar = coordinates.new_empty(len(first), *memory.shape[2:])
    for begin in range(0, len(first), CHUNK_PAIRS):
        chunk = slice(begin, min(begin + CHUNK_PAIRS, len(first)))
        start, *others = memory[:, : chunk.stop - begin]
        torch.bmm(left[chunk], coordinates[chunk].mT, out=start)
        start.diagonal(dim1=1, dim2=2).add_(diagonal[chunk])
        iterate(start, lowest, others, polar[chunk])
    return polar


def _times_root(found: _Solved, small: Tensor, excess: Tensor) -> Tensor:
    """The diagonal (P, 2r) of Q S, S = small I + V excess V^T with small (P, 1) and excess (P, r)."""
    inside: Tensor = torch.linalg.vecdot(found.turned * found.coordinates, excess[:, None])
    return inside.addcmul_(found.polar.diagonal(dim1=1, dim2=2), small)


def _add_gradients(
    sides: _Sides, tile: Tile, found: _Solved, weights: Tensor, gradient: Tensor, own: Tensor, floors: Tensor
) -> None:
    """Add those of the traces of a tile, weighted (P,), see `LowRankRoots.backward`."""
    roots, rows, columns, shape = _roots(sides, tile), tile.rows, tile.columns, tile.shape
    channels, rank = sides.basis.shape[1:]
    first, small, weights = roots.first, roots.small, weights[:, None]
    ratio, outside, half = small / first[:, -1:], channels - 2 * rank, weights / 2
    trace_a = (_times_root(found, small, roots.excess) / first).sum(1, keepdim=True)
    trace_b = (_times_root(found, small.reciprocal(), roots.inverse_excess) * first).sum(1, keepdim=True)
    floors[rows] += (half * (outside * ratio + trace_a)).view(shape).sum(1, keepdim=True)
    floors[columns] += (half * (outside / ratio + trace_b)).view(shape).sum(0)[:, None]

    # The first r columns of Ta, and Tb V.
    inner, of_a = found.coordinates[:, :rank], found.polar[..., :rank] * small[..., None]
    of_a = torch.baddbmm(of_a, found.turned * roots.excess[:, None], inner.mT).mul_((weights / first)[..., None])
    of_b = (found.turned * (weights * first)[..., None]).div_(roots.large[:, None])
    both = torch.cat([of_a, of_b], 2)
    # Since W R = Bb - Ba C, what is along W is along Bb and Ba.
    along_b = found.outer_inverse @ both[:, rank:]
    along_a = torch.baddbmm(both[:, :rank], inner, along_b, alpha=-1)
    own[rows] += along_a[..., :rank].reshape(*shape, rank, rank).sum(1)
    own[columns] += along_b[..., rank:].reshape(*shape, rank, rank).sum(0)
    basis_a, basis_b = (sides.basis[side].permute(1, 0, 2).flatten(1) for side in (rows, columns))
    gradient[rows] += basis_b @ along_b[..., :rank].reshape(shape[0], -1, rank)
    crossed = along_a[..., rank:].reshape(*shape, rank, rank).transpose(1, 2).reshape(shape[0] * rank, -1)
    gradient[columns] += (basis_a @ crossed).unflatten(1, (-1, rank)).transpose(0, 1)


def _triangular_root(squares: Tensor) -> tuple[Tensor, Tensor]:
    """Upper triangular R (P, r, r) with R^T R = squares, and its inverse; a row at rounding error is 0 in both.

    The library's factorisation takes one small matrix after another; here each step is one for all of them.
    """
    rank, tolerance = squares.shape[-1], 8 * torch.finfo(squares.dtype).eps
    rest = squares.permute(1, 2, 0).contiguous()
    root, inverse = torch.zeros_like(rest), torch.zeros_like(rest)
    for step in range(rank):
        pivot = rest[step, step]
        scale = torch.where(pivot > tolerance, pivot.clamp_min(tolerance).rsqrt(), 0.0)
        torch.mul(rest[step, step:], scale, out=root[step, step:])
        below = root[step, step + 1 :]
        rest[step + 1 :, step + 1 :] -= below[:, None] * below
        before = root[:step, step]
        inverse[:step, step] = (inverse[:step, :step] * before).sum(1) * -scale
        inverse[step, step] = scale
    return root.permute(2, 0, 1).contiguous(), inverse.permute(2, 0, 1).contiguous()
