"""Plans: what to do about each run of a table. Imports nothing heavy, because a dry run only plans."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Origin
from rdc_sweeps.runs.requests import forget_failure, move_damaged_aside, request_run, set_aside, withdraw_stop
from rdc_sweeps.runs.states import RunState
from rdc_sweeps.specs.catalogue import Run

READERS = 32

BEFORE: dict[RunState, str] = {"failed": "failed before", "damaged": "its damaged records are moved aside"}
"""Reasons for training a run in spite of its state."""

Action = Literal["train", "resume", "skip"]


@dataclass(frozen=True)
class Planned:
    """A run, its state, what will be done about it, and why."""

    run: Run
    state: RunState
    action: Action
    reason: str
    steps: int
    """Optimiser steps of the whole training."""


def plan(runs: Iterable[Run], root: Path, *, retry_failed: bool = False, rerun: bool = False) -> list[Planned]:
    """Plan each distinct training once, in order.

    Args:
        runs: Rows x seeds; several may be the same training.
        root: The runs folder.
        retry_failed: Try failed runs again, from their checkpoints.
        rerun: Train again from the start whatever no worker is training.
    """
    distinct = {run.id: run for run in runs}
    # On a shared disk each state costs a round trip; ten thousand one after another would take minutes.
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(partial(_plan_one, root=root, retry_failed=retry_failed, rerun=rerun), distinct.values()))


def _plan_one(run: Run, root: Path, *, retry_failed: bool, rerun: bool) -> Planned:
    directory = RunDirectory(root, run.id)
    state = directory.state()
    action: Action
    if state == "running":
        action, reason = "skip", f"{directory.owner()} is working on it"
    elif rerun:
        action, reason = "train", "--rerun" if state != "planned" else "new"
    elif state == "done":
        action, reason = "skip", "has a result"
    elif state == "damaged" and not retry_failed:
        action, reason = "skip", "; ".join(directory.damaged().values())
    elif state == "failed" and not retry_failed:
        failure = directory.failure()
        action, reason = "skip", f"failed: {failure.cause if failure else 'unknown'}; --retry-failed tries again"
    elif directory.checkpoint.exists():
        action, reason = "resume", BEFORE.get(state, "has a checkpoint")
    else:
        action, reason = "train", BEFORE.get(state, "new")
    if action == "resume" and state in {"cancelled", "pruned"}:
        reason = f"was {state}, has a checkpoint"
    return Planned(run, state, action, reason, run.spec.length.steps)


def prepare_directory(planned: Planned, root: Path, *, rerun: bool) -> None:
    """Prepare a run's directory for a worker: write its spec and origin, and remove an old result or failure."""
    run = planned.run
    directory = RunDirectory(root, run.id)
    if rerun:
        set_aside(directory)
    # Only what the plan knew is removed: since then the run may have failed again or been cancelled.
    if planned.state == "damaged":
        move_damaged_aside(directory)
    if planned.state in {"failed", "damaged"}:
        forget_failure(directory)
    if planned.state in {"cancelled", "pruned", "damaged"}:
        withdraw_stop(directory)
    origin = Origin(table=run.table.table, row=run.row.id, profile=run.profile.profile)
    request_run(directory, run.spec, origin)
