"""Work without the garbage collector."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Collect nothing while inside, neither in this process nor, until they collect again, in those that it forks."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def lasting_imports() -> Iterator[None]:
    """Import modules for the rest of the process: the collector never looks at what they create, again and again."""
    known = len(sys.modules)
    with uncollected():
        try:
            yield
        finally:
            if len(sys.modules) > known:
                gc.freeze()
