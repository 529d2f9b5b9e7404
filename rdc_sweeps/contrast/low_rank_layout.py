"""Arguments of `low_rank_kernel`: a side of 16 pairs or more as arrays, which Numba takes by their types."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Rows(NamedTuple):
    """The left covariances: roots of their eigenvalues in the span of U (n, 8), descending, and outside (n,)."""

    large: Array
    small: Array


class Columns(NamedTuple):
    """The right ones in groups of sixteen: the same as (G, 8 LANES) and (G, LANES)."""

    large: Array
    small: Array


class Schedules(NamedTuple):
    """How to iterate, by how small the smallest singular value is: entry e if it is 2^(-e / 8) of the largest or more.

    Attributes:
        starts: (E, 2), weights of the matrix and of its inverse transpose in the first one.
        lengths: (E,) int, how many polynomials follow.
        steps: (E, S, 3), the polynomials.
    """

    starts: Array
    lengths: NDArray[np.int64]
    steps: Array


class Gradients(NamedTuple):
    """Of the traces (n, G, LANES), by each side's floor and by the basis B of its U: the part along either basis.

    With A for the left and B for the right basis, the gradient by A is A own_a + B along_b and that by B is
    A along_a + B own_b. Matrices are laid out for their products with the bases.
    """

    floors_a: Array  # (n, G, LANES)
    floors_b: Array
    own_a: Array  # (n, 8, 8, G, LANES)
    along_b: Array  # (n, 8 columns, G, 8 rows, LANES)
    along_a: Array  # (n, 8 rows, G, 8 columns, LANES)
    own_b: Array  # (n, 8, 8, G, LANES)
