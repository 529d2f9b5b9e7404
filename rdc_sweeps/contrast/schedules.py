"""Sequences of polynomials that take singular values to 1, and Newton's step before them."""

from __future__ import annotations

import functools
import math
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

SLACK, DOUBLE_SLACK = 3e-4, 1e-12
"""The polynomials grow steeply above 1, so every step aims below 1 by more than the rounding error of its products."""
NEWTON_REACH, DOUBLE_NEWTON_REACH = 2.0**-10, 2.0**-26
"""Below this an inverse is too inaccurate to start from."""
LOWEST_REACH = 2.0**-30
"""Smaller singular values are dominated by rounding errors in single precision."""

Step = tuple[float, float, float]
"""(a, b, c) of the polynomial a x + b x^3 + c x^5; a cubic has c = 0 and costs one matrix product fewer."""

Numbers = TypeVar("Numbers", float, NDArray[Any])


@functools.lru_cache(maxsize=1024)
def polar_schedule(eighths: int, double: bool) -> tuple[Step, ...]:
    """The cheapest sequence of polynomials that takes every singular value in [2^(eighths / 8), 1] to 1 by rounding."""
    tolerance, slack = (1e-15, DOUBLE_SLACK) if double else (1e-7, SLACK)
    # Cheapest-first search over sequences of cubics and quintics, keeping the best for each number of products.
    best: dict[int, tuple[float, tuple[Step, ...]]] = {0: (2.0 ** (eighths / 8), ())}
    for products in range(2, 1000):
        for cost, polynomial in ((2, best_cubic), (3, best_quintic)):
            if products - cost not in best:
                continue
            lower, steps = best[products - cost]
            (a, b, c), error = polynomial(lower)
            if error < tolerance:
                return (*steps, (a, b, c))
            top = (1 + error) * (1 + slack)
            reached = (1 - error) / top
            if products not in best or reached > best[products][0]:
                best[products] = reached, (*steps, (a / top, b / top, c / top))
    raise AssertionError  # unreachable: every step moves the interval closer to 1


def newton_step(lower: Numbers, double: bool) -> tuple[Numbers, Numbers, Numbers]:
    """Weights of M and its inverse transpose that take [lower, 1] to [reached, 1], and `reached`, about 2 sqrt(lower).

    It is Newton's step with optimal scaling (Higham 1986). Inverting a product of factors takes no inversion per pair:
    it is the product of the factors' inverses. One such product gains as much as five to six of the polynomials.
    """
    top = (lower**-0.5 + lower**0.5) / 2 * (1 + (DOUBLE_SLACK if double else SLACK))
    return lower**-0.5 / (2 * top), lower**0.5 / (2 * top), 1 / top


def best_cubic(lower: float) -> tuple[Step, float]:
    """The odd cubic nearest to 1 on [lower, 1] and its largest error, in closed form."""
    total = 1 + lower + lower**2  # equal at both ends: a = -b total
    middle, end = 2 / 3 * math.sqrt(total / 3), 1 - 1 / total
    slope = 2 / (middle + end)
    return (slope, -slope / total, 0.0), (middle - end) / (middle + end)


def best_quintic(lower: float) -> tuple[Step, float]:
    """The odd quintic nearest to 1 on [lower, 1] and its largest error, by the Remez exchange."""
    if lower > 0.99:  # too flat to solve in double precision, and the Taylor polynomial is as good
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


def eighths(reach: float) -> int:
    """The argument of `polar_schedule` for singular values in [reach, 1]."""
    # The order of arguments matters: with a NaN in `reach`, max() returns the first one, and the loss becomes NaN.
    return math.floor(8 * math.log2(max(LOWEST_REACH, reach)))
