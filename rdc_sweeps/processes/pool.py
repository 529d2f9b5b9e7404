"""A pool of processes of this machine that watches its children, starts new ones and stops all when interrupted."""

import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess

from rdc_sweeps.processes.children import stop_all
from rdc_sweeps.processes.signals import sigterm_interrupts


def run_pool(
    slots: int,
    start: Callable[[int], ForkServerProcess | None],
    ended: Callable[[int, ForkServerProcess], None],
    *,
    watch: Callable[[], None],
    interval: float,
) -> None:
    """Keep up to `slots` processes running until all have ended and `start` has no other.

    When it is interrupted (KeyboardInterrupt, SIGTERM) or anything else is raised, it stops all processes, waits for
    their checkpoints, and raises again.

    Args:
        slots: Number of processes that run at once.
        start: Starts a process for a free slot; None if there is nothing to start.
        ended: Receives each process that has ended, and its slot; `start` is called again after it.
        watch: Called every `interval` seconds, and at the end.
        interval: Seconds between two checks of the processes.
    """
    active: dict[int, ForkServerProcess] = {}
    with sigterm_interrupts():
        try:
            while True:
                for slot in range(slots):
                    if slot not in active and (process := start(slot)) is not None:
                        active[slot] = process
                if not active:
                    break
                watch()
                time.sleep(interval)
                for slot, process in list(active.items()):
                    if process.exitcode is not None:
                        del active[slot]
                        ended(slot, process)
        except BaseException:
            stop_all(list(active.values()))
            raise
    watch()
