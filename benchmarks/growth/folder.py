"""A folder with the runs of the paper's tables as trainings leave them, with made-up metrics."""

from __future__ import annotations

import random
from pathlib import Path

from benchmarks.dispatch.planning import all_runs
from rdc_sweeps.dispatch.plan import Planned, plan, prepare_directory
from rdc_sweeps.metrics.metric import MetricValues
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Failure, Result, Selected, Status
from rdc_sweeps.training.observers import EpochRecord
from tests.runs.writing import write_failure, write_result, write_status

EPOCHS = 20
"""Of the history of a result."""
DEVICE = "NVIDIA A100-SXM4-80GB"
STATES = {10: "new", 18: "failed", 19: "interrupted"}
"""Of every twenty rows; the others are done. None of them is a baseline, without which others could not be compared."""


def fill(root: Path, seeds: int) -> tuple[int, int]:
    """Make the runs of all rows with so many seeds; of twenty rows, one is new, one has failed, one is interrupted.

    What is there already, with fewer seeds, is left as it is.

    Returns:
        Numbers of rows x seeds, and of runs.
    """
    runs = all_runs(seeds)
    planned = plan(runs, root)
    rows = list(dict.fromkeys(_row(one) for one in planned))
    dice = random.Random(0)
    for one in planned:
        state = STATES.get(rows.index(_row(one)) % 20, "done")
        if state == "new" or one.state != "planned":
            continue
        prepare_directory(one, root, rerun=False)
        directory, length = RunDirectory(root, one.run.id), one.run.spec.length
        at = {"step": length.steps, "steps": length.steps, "epoch": length.epochs, "epochs": length.epochs}
        status = Status.of_this_process("preempted" if state == "interrupted" else "done")
        write_status(directory, status.model_copy(update={**at, "device": DEVICE, "rate": 5.0}))
        if state == "failed":
            write_failure(directory, Failure(cause="a loss is not finite", traceback="", time=0.0, host=""))
        if state == "done":
            write_result(directory, _result(one, dice))
    return len(runs), len(planned)


def _row(one: Planned) -> tuple[str, str]:
    return one.run.table.table, one.run.row.id


def _result(one: Planned, dice: random.Random) -> Result:
    """A result with the losses and metrics of every epoch."""
    spec = one.run.spec
    history = [
        EpochRecord(
            epoch=epoch,
            losses={f"loss/{name}": dice.random() for name in ("semantic", "depth", "normal", "contrast")},
            test=_metrics(dice),
            validation=None,
        )
        for epoch in range(EPOCHS)
    ]
    chosen = {
        rule: Selected(epoch=EPOCHS - 1, metrics=history[-1].test) for rule in ("last", "best-test", "best-validation")
    }
    return Result(
        run=one.run.id,
        selected=chosen,
        epochs=EPOCHS,
        images=spec.dataset.training_count,
        parameters=1,
        seconds=3600.0,
        device=DEVICE,
        history=[record.model_dump() for record in history],
    )


def _metrics(dice: random.Random) -> MetricValues:
    depth = {"aErr": 0.5, "rErr": 0.2, "aErr_released": 0.45}
    means = {"mIoU": 40.0, "pixAcc": 65.0, **depth, "mErr": 27.0, "mErr_released": 9.0}
    return {name: mean * (1 + dice.gauss(0, 0.01)) for name, mean in means.items()}
