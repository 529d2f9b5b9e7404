"""Workers of a study on this machine, in processes that share imports."""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import FrameType

from rdc_sweeps.dispatch.lifecycle import PREEMPTED, RETRY, to_be_repeated
from rdc_sweeps.dispatch.local import STOP_SECONDS, warm_context
from rdc_sweeps.settings import Settings
from rdc_sweeps.tuning.folder import StudyFolder


def work_in_pool(
    root: Path,
    name: str,
    settings: Settings,
    trials: int,
    *,
    workers: int,
    gpus: int = 0,
    storage: str | None = None,
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
        watch: Is called every `interval` seconds.
        interval: Seconds between looks at the processes.

    Returns:
        The last exit code of each worker; negative is the signal that killed it.
    """
    context = warm_context()
    active: dict[int, ForkServerProcess] = {}
    codes: dict[int, int] = {}
    left = dict.fromkeys(range(workers), settings.retries)

    def start(slot: int) -> None:
        device = slot % gpus if gpus else None
        active[slot] = context.Process(target=_enter, args=(root, name, settings, trials, storage, device))
        active[slot].start()

    before = signal.signal(signal.SIGTERM, _interrupt)
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
                if code != PREEMPTED and to_be_repeated(code) and left[slot] > 0:
                    left[slot] -= 1
                    time.sleep(interval if code == RETRY else 0.0)
                    start(slot)
    except KeyboardInterrupt:
        _stop(list(active.values()))
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
    watch()
    return [codes[slot] for slot in range(workers)]


def enter_worker(root: Path, name: str, settings: Settings, trials: int, storage: str | None = None) -> None:
    """A process that works on a study: what it says goes to the study's folder; ends the process with its code."""
    from rdc_sweeps.tuning.worker import work_on_study

    folder = StudyFolder(root, name).workers
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{os.uname().nodename}-{os.getpid()}.log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    sys.exit(work_on_study(root, name, settings, trials, storage=storage))


def _enter(root: Path, name: str, settings: Settings, trials: int, storage: str | None, device: int | None) -> None:
    if device is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(device)
    enter_worker(root, name, settings, trials, storage)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _stop(processes: list[ForkServerProcess]) -> None:
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
        if process.exitcode is None:
            process.kill()
