"""Processes that do not outlive the one that started them, however it ended."""

import multiprocessing
import os
import threading

ORPHANED = 75
"""Exit code of a process whose parent is gone."""


def end_with_parent(worker: int = 0) -> None:
    """End this process, one of multiprocessing's, as soon as its parent has ended.

    Args:
        worker: Not used; data loaders call this with the number of the process.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os._exit(ORPHANED)

    threading.Thread(target=wait, name="parent", daemon=True).start()
