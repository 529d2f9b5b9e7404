"""Child processes: started by a fork server, logged to a file, stopped in order, and never outliving their parent."""

import io
import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing import forkserver, resource_tracker
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

from rdc_sweeps.processes.environment import PACKAGE, built_environment
from rdc_sweeps.processes.signals import INTERRUPTED, STOP_SIGNALS

STOP_SECONDS = 60.0
"""Seconds that stopped runs may take to save their checkpoints."""

ORPHANED = os.EX_TEMPFAIL
"""Exit code of a process whose parent has ended."""

POLL_SECONDS = 0.5


class WorkerProcess(ForkServerProcess):
    """A process with the environment of workers, which imports this package from where its parent has it."""

    def start(self) -> None:
        """Start it, and first the fork server if it is not running.

        Raises:
            UsageError: It would import another package of this name.
        """
        self.package = PACKAGE
        with built_environment():
            # Otherwise the fork server starts it, and it unblocks signals.
            resource_tracker.ensure_running()
            # Inherited by the fork server, which would otherwise die of them before it can ignore them.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
            try:
                forkserver.ensure_running()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
            super().start()

    def run(self) -> None:
        """Call the target."""
        if self.package != PACKAGE:
            sys.exit(f"error: {self.package} started this process, but it has imported {PACKAGE}")
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            super().run()
        except KeyboardInterrupt:
            # Whoever started it was interrupted too, and says so.
            sys.exit(INTERRUPTED)


class _Context(ForkServerContext):
    Process = WorkerProcess


def fork_server(*modules: str) -> ForkServerContext:
    """A context whose processes are forked from one server that has imported `modules` (with torch, say) once."""
    # Read when a library starts its thread pool; workers set their own number afterwards.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    context = _Context()
    context.set_forkserver_preload(["rdc_sweeps.processes.server", *modules])
    return context


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
    """End this process, started by `multiprocessing`, as soon as its parent has ended for any reason.

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


def end_with_process(parent: int, code: int = ORPHANED) -> None:
    """End this process, started by `subprocess`, soon after its parent has ended.

    Args:
        parent: Process id of the parent, which may have ended before this call.
        code: Exit code of this process then.
    """

    def wait() -> None:
        while os.getppid() == parent:
            time.sleep(POLL_SECONDS)
        os._exit(code)

    threading.Thread(target=wait, name="parent", daemon=True).start()


class _LogStream(io.RawIOBase):
    """Output to a log. What a full disk refuses is lost; neither the process nor its exit code depends on it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        with suppress(OSError):
            os.write(self._descriptor, data)
        return memoryview(data).nbytes


def log_to(path: Path) -> None:
    """Append everything that this process prints or logs from now on to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(
            io.BufferedWriter(_LogStream(number)), encoding="utf-8", errors="backslashreplace", line_buffering=True
        )
        for number in (1, 2)
    )
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
