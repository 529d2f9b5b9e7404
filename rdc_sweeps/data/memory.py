"""Memory that is used again."""

import sys
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

MOST = 32
"""Arrays of a shape and type, and shapes and types, that are known at once. A training needs about 20 of one."""


class Memory:
    """Arrays that are used again once nobody holds them.

    The system takes longer to hand out new memory, page by page, than it takes to write images to it.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[tuple[int, ...], DTypeLike], list[NDArray[Any]]] = {}
        self._lock = threading.Lock()

    def array(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array that nobody else has, with anything in it."""
        # Nobody waits: this process may have been forked while a thread had the lock.
        if not self._lock.acquire(blocking=False):
            return np.empty(shape, dtype)
        try:
            arrays = self._known.get((shape, dtype))
            if arrays is None:
                if len(self._known) == MOST:
                    self._known.clear()
                arrays = self._known[shape, dtype] = []
            # By position: a name for an array would be one more reference.
            for at in range(len(arrays)):
                if _references(arrays, at) == _UNUSED:
                    return arrays[at]
            if len(arrays) == MOST:
                arrays.clear()
            arrays.append(np.empty(shape, dtype))
            return arrays[-1]
        finally:
            self._lock.release()

    def __reduce__(self) -> tuple[type["Memory"], tuple[()]]:
        # Another process has its own.
        return Memory, ()


def _references(arrays: Sequence[NDArray[Any]], at: int) -> int:
    return sys.getrefcount(arrays[at])


_UNUSED = _references([np.empty(0)], 0)
"""Of an array that is in one list only. A view of it, or a tensor on its memory, is one more."""
