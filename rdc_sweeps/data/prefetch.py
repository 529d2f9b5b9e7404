"""Loading ahead: in a thread of this process, or in worker processes. The order is always that of the steps."""

import queue
import sys
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from rdc_sweeps.processes.children import end_with_parent

T = TypeVar("T")
_AHEAD = 2
_DONE = object()


def prefetched(load: Callable[[int], T], steps: range, workers: int) -> Generator[T, None, None]:
    """`load(step)` for each step, computed ahead.

    Closing the iterator early (or dropping it) ends the thread or the processes.

    Args:
        load: What to compute; with workers it runs in other processes.
        steps: What to compute it for.
        workers: Number of processes; 0 for one thread.

    Raises:
        Exception: Whatever `load` raises, where its result would have come.
    """
    if workers > 0:
        return _from_processes(load, steps, workers)
    return _from_thread(load, steps)


@dataclass(frozen=True)
class _Failure:
    """An exception on its way from a worker process."""

    error: Exception


class _Loaded(Dataset[T | _Failure], Generic[T]):
    def __init__(self, load: Callable[[int], T]) -> None:
        self._load = load

    def __getitem__(self, step: int) -> T | _Failure:
        try:
            return self._load(step)
        except Exception as error:
            return _Failure(error)


def _from_processes(load: Callable[[int], T], steps: range, workers: int) -> Generator[T, None, None]:
    # With a generator of its own, the loader leaves torch's global random state alone.
    loader = DataLoader(
        _Loaded(load),
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        prefetch_factor=_AHEAD,
        generator=torch.Generator(),
        # A process that comes from a fork server would start its own by a new one, which imports everything again.
        multiprocessing_context="fork" if sys.platform == "linux" else None,
        # Forks have a copy of the run's lock.
        worker_init_fn=end_with_parent,
    )
    for result in loader:
        if isinstance(result, _Failure):
            raise result.error
        yield result


def _from_thread(load: Callable[[int], T], steps: range) -> Generator[T, None, None]:
    results: queue.Queue[object] = queue.Queue(maxsize=_AHEAD)
    stopped = threading.Event()
    failure: list[BaseException] = []

    def run() -> None:
        try:
            for step in steps:
                result = load(step)
                if not _put(results, result, stopped):
                    return
        except BaseException as error:  # raised again in the thread that waits for the result
            failure.append(error)
        _put(results, _DONE, stopped)

    thread = threading.Thread(target=run, name="prefetch", daemon=True)
    thread.start()
    try:
        while (result := results.get()) is not _DONE:
            yield result  # type: ignore[misc]
        if failure:
            raise failure[0]
    finally:
        stopped.set()
        thread.join()


def _put(results: "queue.Queue[object]", result: object, stopped: threading.Event) -> bool:
    """Hand a result over unless nobody wants it any more."""
    while not stopped.is_set():
        try:
            results.put(result, timeout=0.1)
        except queue.Full:
            continue
        return True
    return False
