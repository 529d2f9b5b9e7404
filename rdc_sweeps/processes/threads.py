"""Work on ranges in threads, for compiled code that runs without Python's interpreter lock."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


def in_threads(work: Callable[[int, int], object], count: int, threads: int) -> None:
    """Do `work` on consecutive ranges (first, last) of `count` things, one range in each thread."""
    if threads == 1:
        work(0, count)
        return
    bounds = [count * number // threads for number in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(work, bounds[:-1], bounds[1:]):
            pass
