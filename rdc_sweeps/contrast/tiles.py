"""Products of small matrices for Numba, in vector instructions: a tile of the result stays in registers.

With matrices of 32 x 32, Numba's own loops and the library's batched products are several times slower.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_WIDE = bool(llvmlite.binding.get_host_cpu_features().get("avx512f"))
VECTOR_BYTES = 64 if _WIDE else 32
ROWS = 8 if _WIDE else 4
"""Rows of a tile, which has one or two vectors of columns: as much as the registers hold."""

INDEX = ir.IntType(64)


def lanes(itemsize: int) -> int:
    """Numbers in a vector; matrices must have a multiple of it as rows and columns."""
    return VECTOR_BYTES // itemsize


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def multiply_add(typing: Any, form: Any, a: Any, b: Any, factor: Any, other: Any, weight: Any, out: Any) -> Any:
    """Write out = factor op(a) b + weight other, for C-contiguous matrices (d, d); `out` may be `other`.

    Args:
        typing: Numba's.
        form: Literal: "plain"; "lower": a is lower triangular; "transposed": op transposes a; "upper": op transposes a,
            which is lower triangular. Most of the zeros of a triangular matrix are passed over.
        a: The left matrix.
        b: The right matrix.
        factor: Of the product.
        other: None: nothing is added.
        weight: Of `other`.
        out: The result; neither a nor b.
    """
    shape = form.literal_value

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kinds = signature.args
        left, right, result = (context.make_array(kinds[at])(context, builder, arguments[at]) for at in (1, 2, 6))
        added = None
        if not isinstance(kinds[4], types.NoneType):
            added = context.make_array(kinds[4])(context, builder, arguments[4]).data
        size, step = builder.extract_value(result.shape, 0), INDEX(ROWS)
        tiles = [_Tile(builder, context, kinds[1].dtype, size, vectors) for vectors in (2, 1)]
        # Tiles of two vectors as far as there are columns, then of one.
        middle = builder.mul(builder.udiv(size, INDEX(tiles[0].width)), INDEX(tiles[0].width))
        with cgutils.for_range_slice(builder, INDEX(0), size, step) as (row, _):
            rows = [builder.add(row, INDEX(number)) for number in range(ROWS)]
            first = row if shape == "upper" else INDEX(0)
            last = builder.add(row, step) if shape == "lower" else size
            for tile, begin, end in zip(tiles, (INDEX(0), middle), (middle, size), strict=True):
                with cgutils.for_range_slice(builder, begin, end, INDEX(tile.width)) as (column, _):
                    tile.clear()
                    with cgutils.for_range_slice(builder, first, last, INDEX(1)) as (inner, _):
                        turned = shape in ("transposed", "upper")
                        places = [(inner, one) if turned else (one, inner) for one in rows]
                        tile.accumulate(left.data, places, right.data, inner, column)
                    tile.write(result.data, rows, column, arguments[3], added, arguments[5])
        return context.get_dummy_value()

    return types.void(form, a, b, factor, other, weight, out), generate


class _Tile:
    """The sums of a tile, in variables that the compiler turns into registers."""

    def __init__(self, builder: Any, context: Any, kind: Any, size: Any, vectors: int) -> None:
        self.builder, self.size, self.itemsize = builder, size, kind.bitwidth // 8
        self.count, self.lanes = vectors, lanes(self.itemsize)
        self.width = vectors * self.lanes
        self.type = ir.VectorType(context.get_value_type(kind), self.lanes)
        self.zero = ir.Constant(self.type, [0.0] * self.lanes)
        self.sums = [[cgutils.alloca_once(builder, self.type) for _ in range(vectors)] for _ in range(ROWS)]
        name = f"llvm.fma.v{self.lanes}f{kind.bitwidth}"
        signature = ir.FunctionType(self.type, [self.type] * 3)
        self.fused = cgutils.get_or_insert_function(builder.module, signature, name)

    def clear(self) -> None:
        for row in self.sums:
            for place in row:
                self.builder.store(self.zero, place)

    def accumulate(self, left: Any, along: list[tuple[Any, Any]], right: Any, inner: Any, column: Any) -> None:
        """Add the product of one column of the left matrix, at the places `along`, and one row of the right one."""
        builder = self.builder
        row = [self._vector(right, inner, column, number) for number in range(self.count)]
        loaded = [builder.load(place) for place in row]
        for place in loaded:
            place.align = self.itemsize
        for sums, at in zip(self.sums, along, strict=True):
            spread = self._spread(builder.load(self._place(left, *at)))
            for place, values in zip(sums, loaded, strict=True):
                builder.store(builder.call(self.fused, [spread, values, builder.load(place)]), place)

    def write(self, result: Any, rows: list[Any], column: Any, factor: Any, added: Any, weight: Any) -> None:
        builder = self.builder
        factor = self._spread(factor)
        for at, sums in zip(rows, self.sums, strict=True):
            for part, place in enumerate(sums):
                values = builder.fmul(builder.load(place), factor)
                if added is not None:
                    other = builder.load(self._vector(added, at, column, part))
                    other.align = self.itemsize
                    values = builder.call(self.fused, [other, self._spread(weight), values])
                stored = builder.store(values, self._vector(result, at, column, part))
                stored.align = self.itemsize

    def _place(self, matrix: Any, row: Any, column: Any) -> Any:
        return self.builder.gep(matrix, [self.builder.add(self.builder.mul(row, self.size), column)])

    def _vector(self, matrix: Any, row: Any, column: Any, number: int) -> Any:
        column = self.builder.add(column, INDEX(number * self.lanes))
        return self.builder.bitcast(self._place(matrix, row, column), self.type.as_pointer())

    def _spread(self, number: Any) -> Any:
        builder = self.builder
        nothing = ir.Constant(self.type, ir.Undefined)
        first = builder.insert_element(nothing, number, ir.IntType(32)(0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [0] * self.lanes)
        return builder.shuffle_vector(first, nothing, zeros)
