"""Workers of a study on this machine, in processes that share imports."""

import os
import socket
import sys
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from rdc_sweeps.dispatch.lifecycle import PREEMPTED, to_be_repeated
from rdc_sweeps.dispatch.preparation import PRELOADED
from rdc_sweeps.processes.children import fork_server, log_to, stop_all
from rdc_sweeps.processes.devices import restrict_to, slot_masks
from rdc_sweeps.processes.signals import sigterm_interrupts
from rdc_sweeps.settings import Settings
from rdc_sweeps.tuning.folder import StudyFolder
from rdc_sweeps.tuning.reports import persistently
from rdc_sweeps.tuning.study import load_study
from rdc_sweeps.tuning.trial import Work
from rdc_sweeps.tuning.worker import work_on_study


def work_in_pool(
    root: Path,
    name: str,
    settings: Settings,
    trials: int,
    *,
    workers: int,
    gpus: int = 0,
    storage: str | None = None,
    work: Work | None = None,
    watch: Callable[[], None] = lambda: None,
    interval: float = 0.5,
) -> list[int]:
    """Work on a study with several processes until it has `trials` trials.

    A worker that is killed is replaced as long as the study advances. Interrupted (KeyboardInterrupt, SIGTERM), all
    save checkpoints, leave their trials to the next call, and it raises again.

    Args:
        root: The runs folder.
        name: Of a study that was opened before, in which `Study.ask_for(trials)` was called.
        settings: For the trainings; `threads` is each worker's.
        trials: How many trials the study is to have.
        workers: How many processes.
        gpus: GPUs of this machine to spread over; 0 for the CPU.
        storage: Its URL, if it needs a password that is neither in PGPASSWORD nor in ~/.pgpass.
        work: Trains a run; None for `dispatch.worker.work`.
        watch: Is called every `interval` seconds.
        interval: Seconds between looks at the processes.

    Returns:
        The last exit code of each worker; negative is the signal that killed it.
    """
    context = fork_server(*PRELOADED, __name__)
    masks = slot_masks(gpus, settings.gpus_per_run, workers)
    active: dict[int, ForkServerProcess] = {}
    codes: dict[int, int] = {}
    study = load_study(root, name, storage)
    # Of a run that kills its workers, one more finds that it is to be given up.
    left, finished = settings.retries + 1, study.finished

    def start(slot: int) -> None:
        active[slot] = context.Process(target=_enter, args=(root, name, settings, trials, storage, work, masks[slot]))
        active[slot].start()

    with sigterm_interrupts():
        try:
            for slot in range(workers):
                start(slot)
            while active:
                watch()
                time.sleep(interval)
                for slot, process in list(active.items()):
                    if (code := process.exitcode) is None:
                        continue
                    codes[slot] = code
                    del active[slot]
                    # A worker that somebody stopped stays so; one that died is replaced, unless that never helps.
                    if code == PREEMPTED or not to_be_repeated(code):
                        continue
                    if (now := persistently(lambda: study.finished)) > finished:
                        left, finished = settings.retries + 1, now
                    if left > 0:
                        left -= 1
                        start(slot)
        except BaseException:
            stop_all(list(active.values()))
            raise
    watch()
    return [codes[slot] for slot in range(workers)]


def enter_worker(
    root: Path, name: str, settings: Settings, trials: int, storage: str | None = None, work: Work | None = None
) -> None:
    """A process that works on a study: what it says goes to the study's folder; ends the process with its code."""
    log_to(StudyFolder(root, name).workers / f"{socket.gethostname()}-{os.getpid()}.log")
    sys.exit(work_on_study(root, name, settings, trials, storage=storage, work=work))


def _enter(
    root: Path, name: str, settings: Settings, trials: int, storage: str | None, work: Work | None, mask: str | None
) -> None:
    restrict_to(mask)
    enter_worker(root, name, settings, trials, storage, work)
