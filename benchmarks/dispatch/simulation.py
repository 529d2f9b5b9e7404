"""Thousands of runs in two overlapping arrays on nodes that die: is every run done exactly once, and at what cost?"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.dispatch.cluster import Cluster, Weather, children_seconds, folder_size, own_seconds
from benchmarks.dispatch.planning import distinct_runs
from benchmarks.dispatch.trainer import VIOLATION, Trainer, problems
from rdc_sweeps.dispatch.plan import plan, prepare_directory
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.settings import Settings

SLOTS = 4
"""Workers per node."""


def run(
    runs: int = 10_000, workers: int = 256, *, step: float = 0.4, heartbeat: float = 1.0, weather: Weather | None = None
) -> list[dict[str, Any]]:
    """Execute the runs and check everything that they leave.

    Args:
        runs: Number of different runs; a fifth of them is submitted twice.
        workers: Processes at once.
        step: Duration of a training step, seconds of sleep.
        heartbeat: Seconds between heartbeats.
        weather: Failures of the nodes; default: one node dies and ten workers are preempted every second.

    Raises:
        RuntimeError: A run is lost, was done twice, or left a file that is not whole.
    """
    with tempfile.TemporaryDirectory(prefix="simulation-") as folder:
        root = Path(folder)
        planned = plan(distinct_runs(runs), root)
        for one in planned:
            prepare_directory(one, root, rerun=False)
        ids = [one.run.id for one in planned]
        cluster = Cluster(
            # With so few steps, many deaths in a row do not mean that a run cannot work.
            Settings(root=root, retries=1000, heartbeat=heartbeat),
            nodes=max(1, workers // SLOTS),
            slots=SLOTS,
            trainer=Trainer(RunDirectory(root, ""), seconds=step),
            weather=weather or Weather(deaths=1.0, preemptions=10.0),
        )
        began, children, own = time.monotonic(), children_seconds(), own_seconds()
        cluster.work_through([ids, ids[::5]])
        elapsed, children, own = time.monotonic() - began, children_seconds() - children, own_seconds() - own
        wrong = [problem for run in ids for problem in problems(Trainer(RunDirectory(root, run)))]
        if (root / VIOLATION).exists():
            wrong += (root / VIOLATION).read_text().splitlines()
        if wrong or sum(one.state == "done" for one in plan([one.run for one in planned], root)) != runs:
            raise RuntimeError("\n".join(["the simulation found:", *wrong]))
        files, size = folder_size(root)
        starts = sum(cluster.codes.values())
        return [
            {
                "runs done": runs,
                "lost or twice": 0,
                "nodes that died": cluster.deaths,
                "most at once": cluster.most,
                "mean at once": cluster.alive_seconds / elapsed,
                "processes": starts,
                "of them killed": sum(count for code, count in cluster.codes.items() if code < 0),
                "preempted": cluster.codes[7],
                "found it done or owned": starts - runs - sum(n for c, n in cluster.codes.items() if c < 0 or c == 7),
                "CPU ms a process": 1000 * children / starts,
                "CPU ms of the scheduler a process": 1000 * own / starts,
                "files a run": files / runs,
                "KB a run": size / runs / 1000,
                "seconds": elapsed,
            }
        ]
