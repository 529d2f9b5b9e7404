"""Functions compiled with Numba."""

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(**options: Any) -> Callable[[Function], Function]:
    """Compile a function on its first call, to run without Python's interpreter lock; the result is kept on disk.

    Args:
        options: Further ones of Numba's `njit`.
    """

    def compile_(function: Function) -> Function:
        try:
            return njit(cache=True, nogil=True, **options)(function)  # type: ignore[no-any-return]
        except RuntimeError:
            # No folder of a cache can be written to: each process compiles for itself.
            return njit(nogil=True, **options)(function)  # type: ignore[no-any-return]

    return compile_
