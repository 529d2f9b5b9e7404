"""A simulated batch system: array tasks, one process each, on nodes that die; restarted as Slurm does."""

from __future__ import annotations

import gc
import os
import random
import resource
import signal
import socket
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.dispatch.trainer import Trainer
from rdc_sweeps.dispatch.lifecycle import run_to_end
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.states import should_restart
from rdc_sweeps.settings import Settings


@dataclass(frozen=True)
class Weather:
    """Failures of the nodes.

    Attributes:
        deaths: Nodes that die per second, with all their workers.
        preemptions: Workers that are preempted per second.
    """

    deaths: float = 0.0
    preemptions: float = 0.0


@dataclass
class Cluster:
    """Nodes of some slots each; a slot has one worker process.

    Attributes:
        settings: Settings of the workers.
        nodes: Number of nodes.
        slots: Workers of a node at once.
        trainer: Steps, epochs and sleep of every run.
        weather: Failures of the nodes.
        seed: Seed of all random choices.
    """

    settings: Settings
    nodes: int
    slots: int
    trainer: Trainer
    weather: Weather = field(default_factory=Weather)
    seed: int = 0
    codes: Counter[int] = field(default_factory=Counter)
    deaths: int = 0
    most: int = 0
    """Maximum number of workers alive at once."""
    alive_seconds: float = 0.0
    """Seconds that workers were alive, summed over all of them."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._places: dict[int, tuple[int, str]] = {}
        """Node and run of each live process."""

    def work_through(self, arrays: Sequence[Sequence[str]]) -> None:
        """Run all tasks of the arrays, which may share runs, until none has to be repeated."""
        tasks = [run for array in arrays for run in array]
        self._random.shuffle(tasks)
        queue = deque(tasks)
        free = deque(node for _ in range(self.slots) for node in range(self.nodes))
        # Garbage collection would copy the pages that forked processes share.
        gc.freeze()
        befallen = time.monotonic()
        while queue or self._places:
            while queue and free:
                node, run = free.popleft(), queue.popleft()
                self._places[self._start(node, run)] = (node, run)
            self.most = max(self.most, len(self._places))
            now = time.monotonic()
            self.alive_seconds += len(self._places) * (now - befallen)
            self._befall(now - befallen)
            befallen = now
            for process, code in self._ended():
                node, run = self._places.pop(process)
                free.append(node)
                self.codes[code] += 1
                if should_restart(code):
                    queue.append(run)
            time.sleep(0.005)
        gc.unfreeze()

    def _start(self, node: int, run: str) -> int:
        process = os.fork()
        if process:
            return process
        code = 1
        try:
            code = self._train(f"node{node}", run)
        finally:
            os._exit(code)

    def _train(self, host: str, run: str) -> int:
        socket.gethostname = lambda: host
        directory = RunDirectory(self.settings.root, run)
        one = self.trainer
        trainer = Trainer(directory, one.epochs, one.steps, one.seconds, one.exclusive)
        return run_to_end(directory, self.settings, trainer.train)

    def _befall(self, seconds: float) -> None:
        if self._random.random() < self.weather.deaths * seconds:
            unlucky = self._random.randrange(self.nodes)
            self.deaths += 1
            for process, (node, _) in self._places.items():
                if node == unlucky:
                    os.kill(process, signal.SIGKILL)
        if self._places and self._random.random() < self.weather.preemptions * seconds:
            # Slurm's warning before a preemption or the time limit.
            os.kill(self._random.choice(list(self._places)), self._random.choice([signal.SIGTERM, signal.SIGUSR2]))

    def _ended(self) -> list[tuple[int, int]]:
        ended: list[tuple[int, int]] = []
        while len(ended) < len(self._places):
            process, status = os.waitpid(-1, os.WNOHANG)
            if not process:
                break
            ended.append((process, os.waitstatus_to_exitcode(status)))
        return ended


def children_seconds() -> float:
    """CPU seconds of all processes that were started and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def own_seconds() -> float:
    """CPU seconds of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def folder_size(folder: Path) -> tuple[int, int]:
    """Number of files and bytes in a folder."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return len(sizes), sum(sizes)
