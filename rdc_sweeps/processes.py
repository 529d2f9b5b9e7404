"""Processes that end in order: stop signals, stopping children, and children that do not outlive their parent."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.context import ForkServerProcess
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2)

STOP_SECONDS = 60.0
"""How long stopped runs may take to save their checkpoints."""

ORPHANED = 75
"""Exit code of a process whose parent has ended."""


@contextmanager
def stop_signals_set(stop: threading.Event) -> Iterator[None]:
    """Stop signals set `stop`; outside the main thread, which alone gets signals, nothing is changed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, on_signal) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """What is in the background is ended by SIGTERM, and stops like what is interrupted at a terminal."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def stop_all(processes: Sequence[ForkServerProcess]) -> None:
    """Ask processes to stop, wait for their checkpoints, and kill those that take too long."""
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
        if process.exitcode is None:
            process.kill()


def end_with_parent(worker: int = 0) -> None:
    """End this process, started by `multiprocessing`, as soon as its parent has ended, however that happened.

    Args:
        worker: Unused; data loaders call this with the number of the worker process.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os._exit(ORPHANED)

    threading.Thread(target=wait, name="parent", daemon=True).start()
