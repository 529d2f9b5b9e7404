"""The pairs of `low_rank` in their spans, compiled with Numba: sixteen pairs side by side.

Batched products of small matrices take a pass over memory for each step. Here the matrices of sixteen pairs stay in a
core's cache from the first step to the last. The same entry of all sixteen lies side by side, so that each step of
arithmetic is one instruction for all of them.

Matrices of m columns are flat: entry (i, j) is at (i m + j) LANES. Sizes are constants, because the compiler uses such
instructions only where it can tell that arrays do not overlap. All that is compiled stands in this file: Numba's cache
does not notice changes of another.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from rdc_sweeps.compiled import compiled
from rdc_sweeps.contrast.low_rank_layout import Array, Columns, Gradients, Rows, Schedules

RANK = 8
"""Columns of U."""
SPAN = 2 * RANK
LANES = 16
"""Pairs side by side."""
ROW, WIDE = RANK * LANES, SPAN * LANES
"""Lengths of a row of 8 and of 16 columns."""

OPTIONS: dict[str, Any] = {"fastmath": {"contract"}, "error_model": "numpy"}


Multiply = Callable[[Array, Array, Array], None]


def _product(
    rows: int, depth: int, columns: int, left: tuple[int, int], right: tuple[int, int], *, symmetric: bool = False
) -> Multiply:
    """A function that writes the product (rows, columns) of its first two arguments to the third.

    Args:
        rows: A multiple of 4.
        depth: Columns of the left and rows of the right matrix.
        columns: A multiple of 2.
        left: Distance, in entries, of neighbouring rows and columns of the left matrix.
        right: Of the right one.
        symmetric: The product is; only its upper half is computed.
    """
    down_a, across_a, down_b, across_b = (LANES * distance for distance in (*left, *right))
    row = columns * LANES

    @compiled(forceinline=True, **OPTIONS)
    def dot(a: Array, start: int, b: Array, top: int) -> Any:
        total = a[start] * b[top]
        for k in range(1, depth):
            total += a[start + k * across_a] * b[top + k * down_b]
        return total

    @compiled(**OPTIONS)
    def multiply(a: Array, b: Array, out: Array) -> None:
        for i in range(0, rows, 4):
            for j in range(i if symmetric else 0, columns, 2):
                for lane in range(LANES):
                    # Eight sums at once use each loaded number several times and need not wait for each other.
                    one, other = i * down_a + lane, j * across_b + lane
                    two, three, four = one + down_a, one + 2 * down_a, one + 3 * down_a
                    next_ = other + across_b
                    p, q = dot(a, one, b, other), dot(a, one, b, next_)
                    r, s = dot(a, two, b, other), dot(a, two, b, next_)
                    t, u = dot(a, three, b, other), dot(a, three, b, next_)
                    v, w = dot(a, four, b, other), dot(a, four, b, next_)
                    at = i * row + j * LANES + lane
                    out[at], out[at + LANES] = p, q
                    out[at + row], out[at + row + LANES] = r, s
                    out[at + 2 * row], out[at + 2 * row + LANES] = t, u
                    out[at + 3 * row], out[at + 3 * row + LANES] = v, w
        if symmetric:
            for i in range(4, rows):
                for j in range(i - i % 4):
                    for lane in range(LANES):
                        out[i * row + j * LANES + lane] = out[j * row + i * LANES + lane]

    return multiply


_small_gram = _product(RANK, RANK, RANK, (1, RANK), (RANK, 1), symmetric=True)
_gram = _product(SPAN, SPAN, SPAN, (1, SPAN), (SPAN, 1), symmetric=True)
_small = _product(RANK, RANK, RANK, (RANK, 1), (RANK, 1))
_square = _product(SPAN, SPAN, SPAN, (SPAN, 1), (SPAN, 1))
_tall = _product(SPAN, SPAN, RANK, (SPAN, 1), (RANK, 1))
_tall_by_small_transposed = _product(SPAN, RANK, RANK, (RANK, 1), (1, RANK))
_tall_by_tall_transposed = _product(SPAN, RANK, SPAN, (RANK, 1), (1, RANK))


@compiled(**OPTIONS)
def _triangular_root(squares: Array, root: Array, inverse: Array, least: Any) -> None:
    """Upper triangular R (8, 8) with R^T R = squares, which are overwritten, and its inverse; pivots are at `least`."""
    zero, one = squares.dtype.type(0), squares.dtype.type(1)
    root[:] = zero
    inverse[:] = zero
    for step in range(RANK):
        top, pivot = step * ROW, step * (ROW + LANES)
        for lane in range(LANES):
            square = squares[pivot + lane]
            inverse[pivot + lane] = one / np.sqrt(square if square > least else least)
        for j in range(step * LANES, ROW, LANES):
            for lane in range(LANES):
                root[top + j + lane] = squares[top + j + lane] * inverse[pivot + lane]
        for i in range(step + 1, RANK):
            for j in range(i, RANK):
                for lane in range(LANES):
                    product = root[top + i * LANES + lane] * root[top + j * LANES + lane]
                    squares[i * ROW + j * LANES + lane] -= product
        for i in range(step):
            at = i * ROW + step * LANES
            for k in range(i, step):
                for lane in range(LANES):
                    inverse[at + lane] -= inverse[i * ROW + k * LANES + lane] * root[k * ROW + step * LANES + lane]
            for lane in range(LANES):
                inverse[at + lane] *= inverse[pivot + lane]


@compiled(**OPTIONS)
def _coordinates(products: Array, coordinates: Array, corner: Array, inverse: Array, margin: Any) -> None:
    """V = [C; R] (16, 8) of C (8, 8 LANES), and the inverse of R (8, 8).

    Where the two spans share directions, I - C^T C is singular and its rounding errors may make it indefinite. So C is
    made smaller, by the rounding error of its squares: V stays orthonormal, and R does not get zeros.
    """
    one = coordinates.dtype.type(1)
    smaller = np.sqrt(one - margin)
    for i in range(RANK):
        for at in range(ROW):
            coordinates[i * ROW + at] = smaller * products[i, at]
    _small_gram(coordinates, coordinates, corner)
    for at in range(RANK * ROW):
        corner[at] = -corner[at]
    for i in range(0, RANK * (ROW + LANES), ROW + LANES):
        for lane in range(LANES):
            corner[i + lane] += one
    _triangular_root(corner, coordinates[RANK * ROW :], inverse, margin / coordinates.dtype.type(16))


@compiled(**OPTIONS)
def _norms(coordinates: Array, first: Array, large: Array, small: Array, norms: Array) -> float:
    """Bounds (LANES,) of the largest singular values, and one of the smallest relative to that.

    The largest is at most the Frobenius norm, and the product of those of both factors.
    """
    dtype = coordinates.dtype.type
    floor = first[RANK] * first[RANK]
    spans = dtype(0)
    for i in range(RANK):
        spans += first[i] * first[i] - floor
    for lane in range(LANES):
        norms[lane] = small[lane] * small[lane] * (dtype(SPAN) * floor + spans)
    for k in range(0, ROW, LANES):
        for i in range(RANK):
            span = first[i] * first[i] - floor
            for lane in range(LANES):
                common = floor / dtype(RANK) + span * coordinates[i * ROW + k + lane] ** 2
                norms[lane] += (large[k + lane] * large[k + lane] - small[lane] * small[lane]) * common
    lowest = dtype(1)
    for lane in range(LANES):
        norms[lane] = dtype(1.0001) * min(np.sqrt(norms[lane]), first[0] * large[lane])
        lowest = min(lowest, first[RANK] * small[lane] / norms[lane])
    return float(lowest)


@compiled(**OPTIONS)
def _start(
    coordinates: Array, first: Array, large: Array, small: Array, norms: Array, weights: Array, left: Array, out: Array
) -> None:
    """The weighted sum (16, 16) of Sa^(1/2) Sb^(1/2) and its inverse transpose: both are D (c I + V diag V^T)."""
    one = out.dtype.type(1)
    ahead, back = weights[0], weights[1]
    for i in range(SPAN):
        for k in range(0, ROW, LANES):
            for lane in range(LANES):
                scaled, turned = ahead * first[i] / norms[lane], back / first[i] * norms[lane]
                excess = scaled * (large[k + lane] - small[lane])
                inverse_excess = turned * (one / large[k + lane] - one / small[lane])
                left[i * ROW + k + lane] = (excess + inverse_excess) * coordinates[i * ROW + k + lane]
    _tall_by_tall_transposed(left, coordinates, out)
    for i in range(SPAN):
        for lane in range(LANES):
            scaled, turned = ahead * first[i] / norms[lane], back / first[i] * norms[lane]
            out[i * (WIDE + LANES) + lane] += scaled * small[lane] + turned / small[lane]


@compiled(**OPTIONS)
def _iterate(source: Array, square: Array, inner: Array, target: Array, steps: Array) -> tuple[Array, Array]:
    """The polar factor of the source, see `polar.iterate`, and the memory that it is not in."""
    zero = source.dtype.type(0)
    for number in range(len(steps)):
        a, b, c = steps[number, 0], steps[number, 1], steps[number, 2]
        _gram(source, source, square)
        if c != zero:
            _gram(square, square, inner)
            for at in range(SPAN * WIDE):
                inner[at] = c * inner[at] + b * square[at]
        else:
            for at in range(SPAN * WIDE):
                inner[at] = b * square[at]
        for i in range(0, SPAN * (WIDE + LANES), WIDE + LANES):
            for lane in range(LANES):
                inner[i + lane] += a
        _square(source, inner, target)
        source, target = target, source
    return source, target


@compiled(**OPTIONS)
def _traces(
    polar: Array,
    turned: Array,
    coordinates: Array,
    first: Array,
    large: Array,
    small: Array,
    sums: Array,
    values: Array,
    floors_a: Array,
    floors_b: Array,
) -> None:
    """Add the traces (LANES,) inside the span, and their gradients by the floors; `sums` is memory."""
    one, half = polar.dtype.type(1), polar.dtype.type(0.5)
    for i in range(SPAN):
        # Entry i of the diagonals of Q Sb^(1/2) and Q Sb^(-1/2).
        for lane in range(LANES):
            entry = polar[i * (WIDE + LANES) + lane]
            sums[lane], sums[LANES + lane] = entry * small[lane], entry / small[lane]
        for k in range(0, ROW, LANES):
            for lane in range(LANES):
                product = turned[i * ROW + k + lane] * coordinates[i * ROW + k + lane]
                sums[lane] += product * (large[k + lane] - small[lane])
                sums[LANES + lane] += product * (one / large[k + lane] - one / small[lane])
        for lane in range(LANES):
            values[lane] += first[i] * sums[lane]
            floors_a[lane] += half * sums[lane] / first[i]
            floors_b[lane] += half * sums[LANES + lane] * first[i]


@compiled(**OPTIONS)
def _transport(
    polar: Array, turned: Array, coordinates: Array, first: Array, large: Array, small: Array, left: Array, out: Array
) -> None:
    """The first 8 columns of Ta (16, 8), and Tb V in place of Q V."""
    for i in range(SPAN):
        for k in range(0, ROW, LANES):
            for lane in range(LANES):
                left[i * ROW + k + lane] = turned[i * ROW + k + lane] * (large[k + lane] - small[lane])
    _tall_by_small_transposed(left, coordinates, out)
    for i in range(SPAN):
        for k in range(0, ROW, LANES):
            for lane in range(LANES):
                at = i * ROW + k + lane
                out[at] = (out[at] + small[lane] * polar[i * WIDE + k + lane]) / first[i]
                turned[at] *= first[i] / large[k + lane]


@compiled(**OPTIONS)
def _along_bases(parts: Array, coordinates: Array, inverse: Array, corner: Array) -> None:
    """From the parts (16, 8) along [A W] those along [A B], since W R = B - A C; `corner` is memory."""
    _small(inverse, parts[RANK * ROW :], corner)
    for at in range(RANK * ROW):
        parts[RANK * ROW + at] = corner[at]
    _small(coordinates, parts[RANK * ROW :], corner)
    for at in range(RANK * ROW):
        parts[at] -= corner[at]


@compiled(**OPTIONS)
def _store(parts: Array, above: Array, below: Array) -> None:
    """Write the upper and the lower half (8, 8) of parts (16, 8) to (8, 8, LANES) each."""
    for i in range(RANK):
        for j in range(RANK):
            one, other = above[i, j], below[i, j]
            at = i * ROW + j * LANES
            for lane in range(LANES):
                one[lane] = parts[at + lane]
            for lane in range(LANES):
                other[lane] = parts[RANK * ROW + at + lane]


@compiled(**OPTIONS)
def solve(
    products: Array,
    rows: Rows,
    columns: Columns,
    outside: Any,
    schedules: Schedules,
    margin: Any,
    keep: bool,
    values: Array,
    gradients: Gradients,
    begin: int,
    end: int,
) -> None:
    """Write tr (Sa Sb)^(1/2) (n, G, LANES) of pairs of n left and 16 G right covariances, and its gradients.

    Args:
        products: C (n, 8, G, 8 LANES).
        rows: The left covariances.
        columns: The right ones.
        outside: Number of directions outside the span.
        schedules: Enough for the smallest ratio of singular values.
        margin: Rounding error of C^T C.
        keep: Whether gradients are wanted.
        values: The traces.
        gradients: Its fields are written.
        begin: The first of the n left ones to take.
        end: Where to stop.
    """
    dtype = products.dtype.type
    half = dtype(0.5)
    memory = np.empty((6, SPAN * WIDE), products.dtype)
    source, square, inner, target = memory[0], memory[1], memory[2], memory[3]
    coordinates, turned = memory[4, : SPAN * ROW], memory[4, SPAN * ROW :]
    left, inverse, corner = memory[5, : SPAN * ROW], memory[5, SPAN * ROW : 3 * RANK * ROW], memory[5, 3 * RANK * ROW :]
    vectors = np.empty((4, LANES), products.dtype)
    sums, norms, first = vectors[:2].ravel(), vectors[2], vectors[3]
    for row in range(begin, end):
        first[:RANK], first[RANK:] = rows.large[row], rows.small[row]
        for group in range(len(columns.small)):
            large, small = columns.large[group], columns.small[group]
            _coordinates(products[row, :, group], coordinates, corner, inverse, margin)
            lowest = _norms(coordinates, first, large, small, norms)
            entry = len(schedules.lengths) - 1
            if lowest > 2.0 ** (-entry / 8):  # not for NaN
                entry = int(np.ceil(-8 * np.log2(lowest)))
            _start(coordinates, first, large, small, norms, schedules.starts[entry], left, source)
            steps = schedules.steps[entry, : schedules.lengths[entry]]
            polar, spare = _iterate(source, square, inner, target, steps)
            _tall(polar, coordinates, turned)

            value = values[row, group]
            floors_a, floors_b = gradients.floors_a[row, group], gradients.floors_b[row, group]
            for lane in range(LANES):
                value[lane] = outside * first[RANK] * small[lane]
                ratio = small[lane] / first[RANK]
                floors_a[lane], floors_b[lane] = half * outside * ratio, half * outside / ratio
            _traces(polar, turned, coordinates, first, large, small, sums, value, floors_a, floors_b)
            if not keep:
                continue
            of_a = spare[: SPAN * ROW]
            _transport(polar, turned, coordinates, first, large, small, left, of_a)
            _along_bases(of_a, coordinates, inverse, corner)
            _along_bases(turned, coordinates, inverse, corner)
            _store(of_a, gradients.own_a[row, :, :, group], gradients.along_b[row, :, group].transpose(1, 0, 2))
            _store(turned, gradients.along_a[row, :, group], gradients.own_b[row, :, :, group])
