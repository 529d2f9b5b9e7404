"""A function called for many items in worker processes."""

import os
import signal
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any, TypeVar

from rdc_sweeps.errors import InfrastructureError, UsageError
from rdc_sweeps.processes.children import end_with_parent, fork_server

Item = TypeVar("Item")
Result = TypeVar("Result")


def worker_count(asked: int | None) -> int:
    """The number of worker processes: what was asked for, or one for each core that this process may use.

    Raises:
        UsageError: Less than one was asked for.
    """
    workers = len(os.sched_getaffinity(0)) if asked is None else asked
    if workers < 1:
        raise UsageError(f"{workers} workers; at least one is needed")
    return workers


def map_in_workers(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Generator[Result, None, None]:
    """Call a function for each item in worker processes; yields the results as they come, in any order.

    If interrupted, calls that have begun are completed first.

    Args:
        function: Sent to each worker once, by pickle, so it may hold much. Its module is imported once, by the server
            that they are forked from.
        items: Its arguments. Only a few are handed over at a time, so memory does not grow with their number.
        workers: Number of processes; 1 calls the function in this process.

    Raises:
        InfrastructureError: A worker process was killed.
    """
    if workers == 1:
        yield from map(function, items)
        return
    module = getattr(function, "func", function).__module__
    pool = ProcessPoolExecutor(workers, mp_context=fork_server(module), initializer=_start_worker, initargs=(function,))
    waiting = iter(items)
    try:
        active: set[Future[Result]] = {pool.submit(_call, item) for item in islice(waiting, 2 * workers)}
        while active:
            done, active = wait(active, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
            active |= {pool.submit(_call, item) for item in islice(waiting, len(done))}
    except BrokenProcessPool as error:
        raise InfrastructureError(
            "a worker process was killed, perhaps for lack of memory; repeat the command with fewer --workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


_functions: list[Callable[[Any], Any]] = []
"""In a worker process, the function that it calls."""


def _call(item: Any) -> Any:
    return _functions[0](item)


def _start_worker(function: Callable[[Any], Any]) -> None:
    _functions[:] = [function]
    # A terminal interrupts the whole group; the parent then waits for calls that have begun.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
