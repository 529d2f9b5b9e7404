"""Time to plan 10,000 runs and to prepare their directories."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from rdc_sweeps.dispatch.plan import Planned, plan, prepare_directory
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.owned import acquire
from rdc_sweeps.runs.records import Failure, Result, Status
from rdc_sweeps.specs.catalogue import Catalogue, Run
from tests.runs.writing import write_failure, write_result, write_status

EXPERIMENTS = Path(__file__).parents[2] / "experiments"

Value = TypeVar("Value")


def all_runs(seeds: int) -> list[Run]:
    """Every row of the paper's tables under the profile `paper`, with this number of seeds."""
    catalogue = Catalogue(EXPERIMENTS)
    tables = [table for table in catalogue.tables if catalogue.table(table).paper]
    return [run for table in tables for run in catalogue.runs(table, "paper", seeds=range(seeds))]


def distinct_runs(count: int) -> list[Run]:
    """This number of different runs of the tables."""
    per_seed = len({run.id for run in all_runs(1)})
    return list({run.id: run for run in all_runs(-(-count // per_seed))}.values())[:count]


def mix(planned: list[Planned], root: Path) -> None:
    """Of every four runs, make one done, one failed and one preempted with a checkpoint; leave one new."""
    for place, one in enumerate(planned):
        if place % 4 == 0:
            continue
        directory = RunDirectory(root, one.run.id)
        prepare_directory(one, root, rerun=False)
        with acquire(directory):
            write_status(directory, Status.of_this_process("preempted"))
            directory.checkpoint.parent.mkdir()
            directory.checkpoint.touch()
        if place % 4 == 1:
            write_result(
                directory,
                Result(run=one.run.id, selected={}, epochs=1, images=1, parameters=1, seconds=1, device="cpu"),
            )
        if place % 4 == 2:
            write_failure(directory, Failure(cause="a loss is not finite", traceback="", time=0.0, host=""))


def _enter(planned: list[Planned], root: Path) -> None:
    for one in planned:
        prepare_directory(one, root, rerun=False)


def run(seeds: int) -> list[dict[str, Any]]:
    """Seconds of each part, and CPU seconds among them."""
    rows: list[dict[str, Any]] = []

    def timed(what: str, call: Callable[[], Value]) -> Value:
        began, computed = time.perf_counter(), time.process_time()
        value = call()
        elapsed, computed = time.perf_counter() - began, time.process_time() - computed
        rows.append({"part": what, "seconds": elapsed, "CPU seconds": computed})
        return value

    with tempfile.TemporaryDirectory(prefix="planning-") as folder:
        root = Path(folder)
        runs = timed("specs of rows x seeds", lambda: all_runs(seeds))
        timed("their ids", lambda: [run.id for run in runs])
        planned = timed("plan: nothing there yet", lambda: plan(runs, root))
        timed("(a quarter each of new, done, failed and preempted: made)", lambda: mix(planned, root))
        mixed = all_runs(seeds)
        timed("ids and plan: mixed states", lambda: plan(mixed, root))
        timed("enter: directories with spec and origin", lambda: _enter(planned, root / "fresh"))
        for row in rows:
            row["count"] = len(planned) if row["part"].startswith(("enter", "(")) else len(runs)
    return rows
