"""Watches a sweep while a command of this process trains it: registers it, and starts passes in other processes."""

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from rdc_sweeps.errors import RdcError
from rdc_sweeps.notifications.passes import disk_time
from rdc_sweeps.notifications.sweeps import Sweep, Sweeps, new_sweep
from rdc_sweeps.processes.environment import PYTHON_COMMAND, program_environment
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.settings import Settings

log = logging.getLogger(__name__)

PAUSE_SECONDS = 30.0
"""Least time between two passes."""

SHARE = 20
"""A pass that takes long, on many runs or a slow disk, is followed by a pause of so many times its length."""

LONGEST_PASS = 600.0
"""Seconds after which a pass is killed."""

LAST_SECONDS = 60.0
"""Seconds that a command waits at its end for the last pass."""


class SweepWatch:
    """Watches a sweep in a `with` block that trains it.

    Nothing that goes wrong here reaches the training. An interrupt ends the watch without a message, since whoever
    interrupts knows; a command that dies leaves a sweep that another pass may find stalled.

    Args:
        settings: Runs folder and notifications; if these are not set up, nothing happens.
        about: Name of the sweep in messages.
        command: The command that shows its results.
        runs: Ids of its runs.
        study: Name of the study instead.
        waits: Whether the block ends when the sweep has ended; otherwise Slurm trains it afterwards.
        warn: Receives each warning as a line.
    """

    def __init__(
        self,
        settings: Settings,
        about: str,
        command: str,
        *,
        runs: Sequence[str] = (),
        study: str | None = None,
        waits: bool,
        warn: Callable[[str], object] = log.warning,
    ) -> None:
        self._settings, self._waits, self._warn = settings, waits, warn
        self._names = (about, command, runs, study)
        self._sweeps = Sweeps(settings.root)
        self._sweep: Sweep | None = None
        self._over = threading.Event()
        self._passes = threading.Thread(target=self._repeat, daemon=True, name="notifications")

    def __enter__(self) -> Self:
        if self._settings.notify.active:
            self._guarded(self._open)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._sweep is not None:
            self._guarded(self._end if kind is None else self._leave)

    def _open(self) -> None:
        about, command, runs, study = self._names
        if study is None and all(RunDirectory(self._settings.root, run).state() == "done" for run in runs):
            return
        opened = disk_time(self._settings.root)
        self._sweep = new_sweep(about, command, opened=opened, runs=runs, study=study, slurm=not self._waits)
        self._sweeps.open(self._sweep)
        if self._waits:
            self._passes.start()

    def _end(self) -> None:
        self._over.set()
        if self._waits and self._sweep is not None:
            self._sweeps.end(self._sweep)
            self._pass(LAST_SECONDS)

    def _leave(self) -> None:
        self._over.set()
        if self._sweep is not None:
            self._sweeps.close(self._sweep)

    def _repeat(self) -> None:
        pause = PAUSE_SECONDS
        while not self._over.wait(pause):
            began = time.monotonic()
            self._guarded(lambda: self._pass(LONGEST_PASS))
            pause = max(PAUSE_SECONDS, SHARE * (time.monotonic() - began))

    def _pass(self, seconds: float) -> None:
        """Start a pass and wait for it."""
        folder = self._settings.root / "notifications"
        with (folder / "log.txt").open("ab") as output:
            process = subprocess.Popen(
                [*PYTHON_COMMAND, "-m", "rdc_sweeps", "notify", "--settings", "/dev/stdin"],
                env=program_environment(),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            try:
                process.communicate(self._settings.model_dump_json().encode(), timeout=seconds)
            except subprocess.TimeoutExpired:
                self._warn(f"notifications: a pass was ended after {seconds:.0f} s; see {folder / 'log.txt'}")
            finally:
                if process.poll() is None:
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
        if process.returncode > 0 and self._over.is_set():
            self._warn(f"not all notifications were sent; see {folder / 'log.txt'}, or try: rdc-sweep notify")

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except (OSError, RdcError, RuntimeError) as error:
            self._warn(f"notifications: {error}")
