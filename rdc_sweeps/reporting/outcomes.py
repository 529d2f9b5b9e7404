"""The outcome of a run: its metrics by a selection rule, or why it has none."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rdc_sweeps.data.provenance import DataRecord
from rdc_sweeps.errors import DamagedError, RdcError
from rdc_sweeps.metrics.selection import Selection
from rdc_sweeps.runs.directory import OpenRun, RunDirectory
from rdc_sweeps.runs.states import RunState
from rdc_sweeps.specs.catalogue import Run


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run, for a report."""

    run: str
    row: str
    seed: int
    state: RunState
    epoch: int | None
    """The epoch whose metrics count, from 1."""
    values: Mapping[str, float | None]
    """Its test metrics; empty unless done."""
    cause: str | None
    """Why metrics are missing; None if none are."""


def outcome(
    run: Run, root: Path, selection: Selection, metrics: Sequence[str], open_run: OpenRun = RunDirectory
) -> Outcome:
    """The outcome of a run of a table; see `outcome_of`."""
    return outcome_of(open_run(root, run.id), run.row.id, run.spec.seed, selection, metrics)


def outcome_of(directory: RunDirectory, row: str, seed: int, selection: Selection, metrics: Sequence[str]) -> Outcome:
    """Read the outcome from a run's directory; a damaged directory is an outcome too, not an error."""

    def without_values(state: RunState, cause: str) -> Outcome:
        return Outcome(directory.id, row, seed, state, None, {}, cause)

    try:
        state = directory.state()
        if state != "done":
            return without_values(state, _why_not_done(directory, state))
        result = directory.result()
    except DamagedError as error:
        return without_values("damaged", str(error))
    except OSError as error:
        # One run that cannot be read must not hide the others.
        return without_values("damaged", f"{directory.folder}: cannot be read: {error}")
    selected = result.selected.get(selection) if result else None
    if selected is None:
        return without_values(state, f"{selection} cannot select an epoch: no images were held out for validation")
    absent = [metric for metric in metrics if selected.metrics.get(metric) is None]
    return Outcome(
        run=directory.id,
        row=row,
        seed=seed,
        state=state,
        epoch=selected.epoch + 1,
        values={metric: selected.metrics.get(metric) for metric in metrics},
        cause=f"has no {', '.join(absent)}: no test pixel was valid" if absent else None,
    )


@dataclass(frozen=True)
class ImageCounts:
    """Numbers of images; None: a run of an earlier version did not record it."""

    training: int
    validation: int | None
    test: int | None


def data_of(runs: Iterable[Run], root: Path, open_run: OpenRun = RunDirectory) -> dict[str, DataRecord]:
    """What runs recorded of their data, by run id; without those that recorded nothing, or whose record is damaged."""
    found = {}
    for run in runs:
        with suppress(RdcError, OSError):
            if (data := open_run(root, run.id).data()) is not None:
                found[run.id] = data
    return found


def images_of(
    runs: Iterable[Run], root: Path, records: Mapping[str, DataRecord], open_run: OpenRun = RunDirectory
) -> dict[str, ImageCounts]:
    """The images that the done runs were trained and tested on, by run id.

    Args:
        runs: Runs, done or not.
        root: The runs folder.
        records: From `data_of`.
        open_run: Opens a run's directory.
    """
    found = {}
    for run in runs:
        with suppress(RdcError, OSError):
            if (result := open_run(root, run.id).result()) is not None:
                data = records.get(run.id)
                held_out, test = (data.validation_images, data.test_images) if data else (None, None)
                found[run.id] = ImageCounts(result.images, held_out, test)
    return found


def _why_not_done(directory: RunDirectory, state: RunState) -> str:
    if state == "damaged":
        return "; ".join(directory.damaged().values())
    if state == "failed" and (failure := directory.failure()):
        return failure.cause
    if state in {"running", "preempted"} and (status := directory.status()) and status.epochs:
        return f"in epoch {min(status.epoch + 1, status.epochs)} of {status.epochs}"
    return "not started" if state == "planned" else "just started"
