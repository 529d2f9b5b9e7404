"""Passes over the values of a map, compiled: what its checks need to know is found in one."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.compiled import compiled
from rdc_sweeps.data.scene import Floats

UNIT_LENGTH = 0.25
"""How far from 1 the length of a normal may be; interpolation between surfaces shortens normals."""

EMPTY = 1e-6
"""Squared length up to which a vector means that there is no normal."""

BLOCK = 512
"""Pixels that are passed over together: what is computed of them fits the processor's nearest cache."""

# Numbers without a type would make double precision of single.
_LONGEST, _EMPTY, _NEAR = np.float32(4), np.float32(EMPTY), np.float32(2 * UNIT_LENGTH)
_ZERO, _ONE, _INFINITY = np.float32(0), np.float32(1), np.float32(np.inf)
_BITS_OF_0, _BITS_OF_1, _LARGEST = (
    np.uint32(np.float32(number).view(np.uint32)) for number in (0, 1, np.finfo(np.float32).max)
)


class Lengths(NamedTuple):
    """How many vectors of a map have which length.

    Attributes:
        wrong: NaN, or longer than 2.
        unit: Of a length near 1.
        some: Not empty.
        negative: Components, not vectors, that are less than 0.
    """

    wrong: int
    unit: int
    some: int
    negative: int


class Bounds(NamedTuple):
    """Bounds of the values of a map.

    Attributes:
        low, high: The least and the greatest; NaN if a value is infinite, NaN, negative or -0.
        between: How many values are neither 0 nor 1.
    """

    low: float
    high: float
    between: int


def normalize(vectors: Floats) -> Lengths:
    """Give the vectors of a map (H, W, 3), contiguous, unit length; those that are empty become 0.

    Returns:
        The lengths that they had.
    """
    return Lengths(*_normalize(vectors.reshape(-1)))


def bounds(values: Floats) -> Bounds:
    """The bounds of a map, contiguous."""
    # The bits of numbers from 0 on are in the order of the numbers. Those of infinity, NaN and the others come after.
    low, high, between = _bounds(values.reshape(-1).view(np.uint32))
    if high > _LARGEST:
        return Bounds(np.nan, np.nan, between)
    return Bounds(float(np.uint32(low).view(np.float32)), float(np.uint32(high).view(np.float32)), between)


def total(values: Floats) -> tuple[int, float]:
    """How many values of a map, contiguous, are not 0, and their sum."""
    return _total(values.reshape(-1))


@compiled(error_model="numpy")
def _normalize(flat: Floats) -> tuple[int, int, int, int]:
    lengths, of_components = np.empty(BLOCK, np.float32), np.empty(3 * BLOCK, np.float32)
    wrong = unit = some = negative = 0
    for first in range(0, len(flat), 3 * BLOCK):
        part = flat[first : first + 3 * BLOCK]
        count = len(part) // 3
        for i in range(len(part)):
            negative += part[i] < _ZERO
        for i in range(count):
            x, y, z = part[3 * i], part[3 * i + 1], part[3 * i + 2]
            lengths[i] = x * x + y * y + z * z
        for i in range(count):
            wrong += not lengths[i] <= _LONGEST
            unit += abs(lengths[i] - _ONE) <= _NEAR
            some += lengths[i] > _EMPTY
        for i in range(count):
            lengths[i] = np.sqrt(lengths[i]) if lengths[i] > _EMPTY else _INFINITY
        for i in range(count):
            of_components[3 * i] = of_components[3 * i + 1] = of_components[3 * i + 2] = lengths[i]
        for i in range(len(part)):
            part[i] /= of_components[i]
    return wrong, unit, some, negative


@compiled(error_model="numpy")
def _bounds(flat: NDArray[np.uint32]) -> tuple[int, int, int]:
    low, high, between = flat[0], flat[0], 0
    for i in range(len(flat)):
        low, high = min(low, flat[i]), max(high, flat[i])
        between += (flat[i] != _BITS_OF_0) & (flat[i] != _BITS_OF_1)
    return low, high, between


@compiled(error_model="numpy")
def _total(flat: Floats) -> tuple[int, float]:
    # Many sums instead of one, each of which waits for the one before.
    sums, count = np.zeros(BLOCK), 0
    for first in range(0, len(flat), BLOCK):
        part = flat[first : first + BLOCK]
        for i in range(len(part)):
            sums[i] += part[i]
            count += part[i] != _ZERO
    return count, sums.sum()
