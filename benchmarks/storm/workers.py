"""Workers that go through the same runs again and again, and a hand that hits them."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.dispatch.trainer import Trainer
from rdc_sweeps import files
from rdc_sweeps.dispatch import lifecycle
from rdc_sweeps.dispatch.lifecycle import run_to_end
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.settings import Settings

SIGNALS = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR2, signal.SIGSTOP)

PR_SET_PDEATHSIG = 1
"""From linux/prctl.h."""

MakeTrainer = Callable[[RunDirectory, bool], Trainer]
"""The training of a run, given whether only one process at a time may train it."""


def short_training(directory: RunDirectory, exclusive: bool) -> Trainer:
    """Six steps of a hundredth of a second."""
    return Trainer(directory, seconds=0.01, exclusive=exclusive)


class Workers:
    """Forked processes of one parent, on hosts whose locks the disk may not carry.

    Args:
        root: Runs folder.
        runs: Ids of the runs.
        hosts: Number of hosts that the workers say they are on; with more than one, file locks do nothing.
        seed: Of the choice of runs, hosts and signals.
        training: What each run trains.
    """

    def __init__(
        self, root: Path, runs: Sequence[str], *, hosts: int, seed: int, training: MakeTrainer = short_training
    ) -> None:
        self.settings = Settings(root=root, heartbeat=0.05, retries=10_000)
        self.runs, self.hosts, self.random, self.training = runs, hosts, random.Random(seed), training
        self.living: dict[int, bool] = {}
        """Whether each process is frozen."""

    def start(self, runs: Sequence[str] | None = None) -> None:
        """Fork a worker that goes through runs, by default all of them in any order."""
        host = f"host{self.random.randrange(self.hosts)}" if self.hosts > 1 else socket.gethostname()
        order = list(runs or self.random.sample(list(self.runs), len(self.runs)))
        parent, process = os.getpid(), os.fork()
        if process:
            self.living[process] = False
            return
        try:
            _end_with(parent)
            # Whoever waits for a frozen owner misses the storm.
            lifecycle.PATIENCE = 0.1
            if self.hosts > 1:
                socket.gethostname = lambda: host
                files.fcntl.flock = lambda descriptor, operation: None  # type: ignore[attr-defined]
            for run in order:
                directory = RunDirectory(self.settings.root, run)
                run_to_end(directory, self.settings, self.training(directory, self.hosts == 1).train)
        finally:
            os._exit(0)

    def reap(self) -> None:
        """Forget the workers that have ended."""
        for process in list(self.living):
            if os.waitpid(process, os.WNOHANG)[0]:
                del self.living[process]

    def storm(self, blows: int, workers: int, struck: Callable[[], object] = lambda: None) -> None:
        """Hit a worker every few hundredths of a second; the dead are replaced and the frozen thawed, some time.

        Args:
            blows: Number of signals.
            workers: Number of workers at all times.
            struck: Called after each signal.
        """
        for _ in range(blows):
            self.reap()
            while len(self.living) < workers:
                self.start()
            time.sleep(self.random.uniform(0.0, 0.06))
            process = self.random.choice(list(self.living))
            if self.living[process]:
                os.kill(process, signal.SIGCONT)
                self.living[process] = False
                continue
            number = self.random.choice(SIGNALS)
            os.kill(process, number)
            struck()
            self.living[process] = number == signal.SIGSTOP
        for process, frozen in self.living.items():
            if frozen:
                os.kill(process, signal.SIGCONT)

    def calm(self) -> None:
        """Let those that are left come to their end, and do the rest in peace."""
        while self.living:
            self.reap()
            time.sleep(0.01)
        self.start(self.runs)
        while self.living:
            self.reap()
            time.sleep(0.01)


def _end_with(parent: int) -> None:
    """Have the system kill this process with its parent: frozen, it could not end itself."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


@dataclass(frozen=True)
class Tally:
    """A counter that any process may advance, and that survives it: the length of a file."""

    path: Path

    def add(self) -> None:
        """Count one."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, b".")
        os.close(descriptor)

    def __int__(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0
