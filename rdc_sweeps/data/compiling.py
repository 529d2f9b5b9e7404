"""Compilation of loops over pixels with Numba.

Compiled code is kept in a cache of Numba, and runs without Python's interpreter lock, so that loading in a thread does
not hold up the training. No operations are fused or reordered, so results are those of NumPy, bit for bit.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compile a function when it is first called. It divides by zero as NumPy does: tests for it would take longer."""
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy"}
    try:
        return njit(cache=True, **options)(function)  # type: ignore[no-any-return]
    except RuntimeError:
        # No folder of a cache can be written to: each process compiles for itself, in a few seconds.
        return njit(**options)(function)  # type: ignore[no-any-return]
