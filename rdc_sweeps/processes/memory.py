"""How the memory of a process is handed out."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
"""Parameters of `mallopt`, see malloc.h of the GNU C library."""

PADDING = 2**26
"""Bytes that the heap grows by, at least."""


def keep_freed_memory() -> None:
    """Keep memory that is freed for what this process needs next, however large it is.

    Otherwise the GNU C library returns blocks of more than 32 MiB to the system, such as the maps of a batch, and the
    system hands out new ones page by page, which takes longer than many an operation on them. The process stays as
    large as it was at its largest, and grows further if it then does other things, for which what was freed does not
    fit: this is for a process that trains one run. With another C library nothing changes.
    """
    if sys.platform != "linux" or not hasattr(library := ctypes.CDLL(None), "mallopt"):
        return
    # All blocks come from the heap, and its end is not given back.
    for parameter, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, -1), (M_TOP_PAD, PADDING)):
        library.mallopt(parameter, value)
