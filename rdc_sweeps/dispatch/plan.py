"""Plans: what to do about each run of a table. Imports nothing heavy, because a dry run only plans."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from rdc_sweeps.data.provenance import of_other_data
from rdc_sweeps.dispatch.comparison import DataComparison
from rdc_sweeps.errors import UsageError
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Origin, Stopped
from rdc_sweeps.runs.requests import (
    forget_failure,
    move_damaged_aside,
    request_run,
    request_stop,
    set_aside,
    withdraw_request,
    withdraw_stop,
)
from rdc_sweeps.runs.states import RunState
from rdc_sweeps.specs.catalogue import Run

READERS = 32

BEFORE: dict[RunState, str] = {"failed": "failed before", "damaged": "its damaged records are moved aside"}
"""Reasons for training a run in spite of its state."""

STOPPED: frozenset[RunState] = frozenset({"cancelled", "pruned"})
"""States of runs that were stopped on purpose."""

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
    other_data: str | None = None
    """How the data that it was trained on differ from those of now, in words; None if they do not, or are unknown."""

    @property
    def needs_decision(self) -> bool:
        """Whether it is skipped although it is not done, until a person decides what is to be done with it."""
        return self.action == "skip" and (
            self.state in {"failed", "damaged"} or (self.state != "done" and self.other_data is not None)
        )


def plan(
    runs: Iterable[Run],
    root: Path,
    *,
    retry_failed: bool = False,
    rerun: bool = False,
    data: DataComparison | None = None,
) -> list[Planned]:
    """Plan each distinct training once, in order.

    Args:
        runs: Rows x seeds; several may be the same training.
        root: The runs folder.
        retry_failed: Try failed runs again, from their checkpoints.
        rerun: Train again from the start whatever no worker is training.
        data: Compares the data of done and interrupted runs with those of now; None: they are not compared.

    Raises:
        UsageError: The runs folder is a file.
    """
    if root.exists() and not root.is_dir():
        raise UsageError(f"{root}: is not a folder; choose another name or folder with --root")
    distinct = {run.id: run for run in runs}
    # On a shared disk each state costs a round trip; ten thousand one after another would take minutes.
    with ThreadPoolExecutor(READERS) as pool:
        decide = partial(_plan_one, root=root, retry_failed=retry_failed, rerun=rerun, data=data)
        return list(pool.map(decide, distinct.values()))


def _plan_one(run: Run, root: Path, *, retry_failed: bool, rerun: bool, data: DataComparison | None) -> Planned:
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
    if action == "resume" and state in STOPPED:
        reason = f"was {state}, has a checkpoint"
    trained = action == "resume" or (state == "done" and action == "skip")
    other = data.difference(directory, run.spec) if data and trained else None
    if other and action == "resume":
        action, reason = "skip", f"its checkpoint {of_other_data(other)}"
    elif other:
        reason = f"has a result, but {of_other_data(other)}"
    return Planned(run, state, action, reason, run.spec.length.steps, other)


@contextmanager
def announced(planned: Sequence[Planned], root: Path) -> Iterator[list[Planned]]:
    """While the inputs of runs are prepared, `cancel` finds their directories, and what it asks for stays in force.

    Yields the plan from then on. If the preparation fails, the directories are as before.
    """
    new: list[RunDirectory] = []
    had_root = root.exists()
    stops: list[tuple[RunDirectory, Stopped]] = []
    try:
        for one in planned:
            directory = RunDirectory(root, one.run.id)
            if one.state in STOPPED and (stopped := directory.stopped()) is not None:
                stops.append((directory, stopped))
                withdraw_stop(directory)
            if not directory.folder.exists():
                new.append(directory)
                request_run(directory, one.run.spec, _origin(one.run))
        yield [replace(one, state="preempted") if one.state in STOPPED else one for one in planned]
    except BaseException:
        for directory in new:
            withdraw_request(directory)
        if not had_root:
            with suppress(OSError):  # another command may use it by now
                root.rmdir()
        for directory, stopped in stops:
            if directory.stopped() is None:
                request_stop(directory, stopped)
        raise


def prepare_directory(planned: Planned, root: Path, *, rerun: bool) -> None:
    """Prepare a run's directory for a worker: write its spec and origin, and remove an old result or failure."""
    run = planned.run
    directory = RunDirectory(root, run.id)
    if planned.state not in {*STOPPED, "damaged"} and directory.stopped() is not None:
        return  # cancelled since it was planned
    if rerun:
        set_aside(directory)
    # Only what the plan knew is removed: since then the run may have failed again or been cancelled.
    if planned.state == "damaged":
        move_damaged_aside(directory)
    if planned.state in {"failed", "damaged"}:
        forget_failure(directory)
    if planned.state in {*STOPPED, "damaged"}:
        withdraw_stop(directory)
    request_run(directory, run.spec, _origin(run))


def _origin(run: Run) -> Origin:
    return Origin(table=run.table.table, row=run.row.id, profile=run.profile.profile)
