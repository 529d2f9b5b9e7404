"""Work on ranges in threads, for compiled code that runs without Python's interpreter lock."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


def in_threads(work: Callable[[int, int], Result], count: int, threads: int) -> list[Result]:
    """Do `work` on consecutive ranges (first, last) of `count` things, one range in each thread.

    Returns:
        The results in the order of the ranges.
    """
    threads = max(1, min(threads, count))
    if threads == 1:
        return [work(0, count)]
    bounds = [count * number // threads for number in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, bounds[:-1], bounds[1:]))
