"""Prefetching in a thread or in worker processes. Results always come in the order of the steps."""

import gc
import queue
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from rdc_sweeps.errors import InfrastructureError, infrastructure_cause
from rdc_sweeps.processes.children import end_with_parent
from rdc_sweeps.processes.garbage import uncollected

T = TypeVar("T")
_AHEAD = 2
_DONE = object()


def prefetched(load: Callable[[int], T], steps: range, workers: int) -> Generator[T, None, None]:
    """Yield `load(step)` for each step, computed ahead of time.

    Closing or dropping the iterator early ends the thread or the processes.

    Args:
        load: The function to call; with workers it runs in other processes.
        steps: Its arguments.
        workers: Number of processes; 0 for one thread.

    Raises:
        Exception: Whatever `load` raises, in place of its result.
    """
    if workers > 0:
        return _from_processes(load, steps, workers)
    return _from_thread(load, steps)


@dataclass(frozen=True)
class _Failure:
    """An exception passed back from a worker process."""

    error: Exception


class _Loaded(Dataset[T | _Failure], Generic[T]):
    def __init__(self, load: Callable[[int], T]) -> None:
        self._load = load

    def __getitem__(self, step: int) -> T | _Failure:
        try:
            return self._load(step)
        except Exception as error:
            # The chain of causes does not travel between processes.
            return _Failure(_travelling(error))


def _from_processes(load: Callable[[int], T], steps: range, workers: int) -> Generator[T, None, None]:
    # With its own generator, the loader does not touch torch's global random state.
    loader = DataLoader(
        _Loaded(load),
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        prefetch_factor=_AHEAD,
        generator=torch.Generator(),
        # Inside a child of a fork server, the default would start another fork server and import everything again.
        multiprocessing_context="fork" if sys.platform == "linux" else None,
        worker_init_fn=_start_worker,
    )
    try:
        # Without a name, the processes end with this loop, and not with the traceback of an error in it.
        for result in _started(loader):
            if isinstance(result, _Failure):
                raise result.error
            yield result
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        raise InfrastructureError(f"a loader process was killed (out of memory?): {error}") from error


def _started(loader: DataLoader[T | _Failure]) -> Iterator[T | _Failure]:
    """Start the processes, which do not collect garbage until `_start_worker`."""
    with uncollected():
        return iter(loader)


def _start_worker(worker: int) -> None:
    # What is inherited is not for the worker to end: a process group would wait for its threads, which are not forked.
    gc.freeze()
    gc.enable()
    # Forked workers inherit the run's lock, so they must not outlive their parent.
    end_with_parent(worker)


def _travelling(error: Exception) -> Exception:
    cause = infrastructure_cause(error)
    return InfrastructureError(str(cause)) if cause is not None else error


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
        except BaseException as error:  # re-raised in the consuming thread
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
    """Put a result into the queue; returns False if the consumer has stopped."""
    while not stopped.is_set():
        try:
            results.put(result, timeout=0.1)
        except queue.Full:
            continue
        return True
    return False
