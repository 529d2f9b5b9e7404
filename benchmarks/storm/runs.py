"""A storm over runs: several parents with workers each, foreign hosts, and a disk that fills and is freed."""

from __future__ import annotations

import os
import random
import signal
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from benchmarks.dispatch.trainer import VIOLATION, Trainer, problems
from benchmarks.storm.workers import Tally, Workers
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Origin
from rdc_sweeps.runs.requests import request_run
from rdc_sweeps.specs.run import RunSpec
from tests.disks import Disk, mounted
from tests.runs.writing import write_origin

EPOCHS, STEP_SECONDS = 30, 0.01
DISK = "24m"


@dataclass(frozen=True)
class RunStorm:
    """What a storm over runs did.

    Attributes:
        signals: Signals to workers.
        parents_killed: Parents that were killed, with all their workers.
        full: How often the disk was full; None if there was none to fill.
        starts: Workers that began.
        done: Runs that ended during the storm.
        runs: Number of runs.
        problems: What is wrong in the files of runs that should be done; empty if nothing was lost or doubled.
    """

    signals: int
    parents_killed: int
    full: int | None
    starts: int
    done: int
    runs: int
    problems: list[str]


def training(directory: RunDirectory, exclusive: bool, *, violations: Path) -> Trainer:
    """A run of this storm."""
    return Trainer(directory, EPOCHS, seconds=STEP_SECONDS, exclusive=exclusive, violations=violations)


def storm_over_runs(folder: Path, *, signals: int, runs: int, hosts: int, parents: int = 3, seed: int = 0) -> RunStorm:
    """Storm over new runs in a folder until all signals are sent and each run has ended, or 10 minutes have passed.

    Args:
        folder: An empty folder.
        signals: Number of signals to workers.
        runs: Number of runs.
        hosts: See `Workers`.
        parents: Number of parents, each with three workers; they are killed and replaced too.
        seed: Of everything that is drawn.
    """
    try:
        with mounted(folder / "disk", DISK) as disk:
            return _storm(folder, disk.path / "runs", disk, signals, runs, hosts, parents, seed)
    except pytest.skip.Exception:
        return _storm(folder, folder / "runs", None, signals, runs, hosts, parents, seed)


def _storm(
    folder: Path, root: Path, disk: Disk | None, signals: int, runs: int, hosts: int, parents: int, seed: int
) -> RunStorm:
    ids = [f"{number:016x}" for number in range(runs)]
    for run in ids:
        directory = RunDirectory(root, run)
        request_run(directory, RunSpec())
        write_origin(directory, Origin(table="t", row="r", profile="p"))
    dice, tally = random.Random(seed), Tally(folder / "signals")
    make = partial(training, violations=folder)
    living: set[int] = set()
    killed, full, filled, number = 0, 0, False, seed
    deadline = time.monotonic() + 600

    def done() -> int:
        return sum((root / run / "result.json").exists() for run in ids)

    while (int(tally) < signals or done() < runs) and time.monotonic() < deadline:
        living = {process for process in living if not os.waitpid(process, os.WNOHANG)[0]}
        while len(living) < parents:
            number += 1
            living.add(_parent(Workers(root, ids, hosts=hosts, seed=number, training=make), tally))
        time.sleep(dice.uniform(0.1, 0.5))
        if disk is not None and (filled or dice.random() < 0.3):
            disk.free() if filled else disk.fill()
            filled = not filled
            full += filled
        elif dice.random() < 0.05:
            os.kill(dice.choice(list(living)), signal.SIGKILL)
            killed += 1
    during = done()
    if disk is not None:
        disk.free()
    for process in living:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    time.sleep(1.0)  # for workers that end with their parents
    Workers(root, ids, hosts=hosts, seed=seed, training=make).calm()
    violation = folder / VIOLATION
    directories = [RunDirectory(root, run) for run in ids]
    return RunStorm(
        signals=int(tally),
        parents_killed=killed,
        full=full if disk is not None else None,
        starts=sum(attempt.event == "start" for directory in directories for attempt in directory.attempts()),
        done=during,
        runs=runs,
        problems=[
            *(violation.read_text().splitlines() if violation.exists() else []),
            *(problem for directory in directories for problem in problems(make(directory, hosts == 1))),
        ],
    )


def _parent(workers: Workers, tally: Tally) -> int:
    """Fork a parent that hits its own workers until it is killed."""
    process = os.fork()
    if process:
        return process
    try:
        while True:
            workers.storm(20, 3, tally.add)
    finally:
        os._exit(0)
