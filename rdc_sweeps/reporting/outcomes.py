"""The outcome of a run: its metrics by a selection rule, or why it has none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rdc_sweeps.errors import DamagedError
from rdc_sweeps.metrics.selection import Selection
from rdc_sweeps.runs.directory import RunDirectory
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


def outcome(run: Run, root: Path, selection: Selection, metrics: Sequence[str]) -> Outcome:
    """Read the outcome from a run's directory; a damaged directory is an outcome too, not an error."""
    directory = RunDirectory(root, run.id)

    def without_values(state: RunState, cause: str) -> Outcome:
        return Outcome(run.id, run.row.id, run.spec.seed, state, None, {}, cause)

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
        run=run.id,
        row=run.row.id,
        seed=run.spec.seed,
        state=state,
        epoch=selected.epoch + 1,
        values={metric: selected.metrics.get(metric) for metric in metrics},
        cause=f"has no {', '.join(absent)}: no test pixel was valid" if absent else None,
    )


def _why_not_done(directory: RunDirectory, state: RunState) -> str:
    if state == "damaged":
        return "; ".join(directory.damaged().values())
    if state == "failed" and (failure := directory.failure()):
        return failure.cause
    if state in {"running", "preempted"} and (status := directory.status()) and status.epochs:
        return f"in epoch {min(status.epoch + 1, status.epochs)} of {status.epochs}"
    return "not started" if state == "planned" else "just started"
