"""Trains runs in processes of this machine, several at once, on its cores or GPUs."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess

import psutil

from rdc_sweeps.dispatch.preparation import PRELOADED
from rdc_sweeps.processes.children import fork_server
from rdc_sweeps.processes.devices import device_masks, processes_per_run, restrict_to, slot_masks, visible_gpus
from rdc_sweeps.processes.pool import run_pool
from rdc_sweeps.runs.states import WorkerExit, should_restart
from rdc_sweeps.settings import Settings

MEMORY_PER_RUN = 2 * 2**30
"""Minimum memory of a small run; where memory is short, fewer runs train at once."""


@dataclass(frozen=True)
class Slots:
    """The number of runs that train at once, and the CPU threads of each."""

    runs: int
    threads: int


def slots(count: int, settings: Settings, gpus: int) -> Slots:
    """Choose slots for `count` runs: as many as fit on the GPUs, or one per core, as far as memory allows.

    Many small runs are fastest with one thread each: threads of several processes that share cores wait for each other.
    """
    cores = len(os.sched_getaffinity(0))
    if gpus:
        fitting = len(device_masks(visible_gpus(gpus, None), settings.gpus_per_run))
        runs = min(count, settings.max_parallel or fitting, fitting)
    else:
        each = processes_per_run(settings.gpus_per_run)
        fitting = min(cores, psutil.virtual_memory().available // MEMORY_PER_RUN) // each
        runs = min(count, settings.max_parallel or fitting)
    runs = max(1, runs)
    return Slots(runs, settings.threads or max(1, cores // runs))


def run_locally(
    run_ids: Sequence[str],
    settings: Settings,
    chosen: Slots,
    *,
    gpus: int,
    watch: Callable[[], None],
    interval: float = 0.2,
) -> dict[str, int]:
    """Train the runs, several at once; a run whose process was killed is restarted.

    How often, its directory decides (see `lifecycle.run_to_end`). Interrupted (KeyboardInterrupt), it asks all of them
    to stop at the next step with a checkpoint, waits for that, and raises again.

    Args:
        run_ids: Runs whose directories have specs.
        settings: Settings of the workers.
        chosen: Number of runs at once, and their threads.
        gpus: Number of GPUs of this machine to use; 0 for the CPU.
        watch: Called every `interval` seconds.
        interval: Seconds between two checks of the processes.

    Returns:
        Exit code of each run's last process (see `dispatch.lifecycle`); negative is the signal that killed it.
    """
    context = fork_server(*PRELOADED)
    worker_settings = settings.model_copy(update={"threads": chosen.threads})
    masks = slot_masks(gpus, settings.gpus_per_run, chosen.runs)
    waiting = list(run_ids)
    codes: dict[str, int] = {}

    def start(slot: int) -> ForkServerProcess | None:
        if not waiting:
            return None
        run_id = waiting.pop(0)
        process = context.Process(target=_train, args=(run_id, worker_settings, masks[slot]), name=run_id)
        process.start()
        return process

    def ended(slot: int, process: ForkServerProcess) -> None:
        codes[process.name] = code = process.exitcode or 0
        # A stop that was requested for this process alone stays in force.
        if code != WorkerExit.PREEMPTED and should_restart(code):
            waiting.append(process.name)

    run_pool(chosen.runs, start, ended, watch=watch, interval=interval)
    return codes


def _train(run_id: str, settings: Settings, mask: str | None) -> None:
    restrict_to(mask)
    from rdc_sweeps.dispatch.worker import main

    main(run_id, settings)
