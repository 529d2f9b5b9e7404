"""A runs folder with runs in every state, and no training."""

import time
from pathlib import Path

import pytest

from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Failure, Origin, Result, Status, Stopped
from rdc_sweeps.runs.requests import request_run, request_stop
from rdc_sweeps.specs.run import RunSpec, run_id
from tests.runs.writing import write_failure, write_origin, write_result, write_status


class Bench:
    """Makes run directories."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(
        self, seed: int, state: str, *, table: str = "table3", row: str = "row", study: str | None = None
    ) -> RunDirectory:
        """A run of this seed in this state, as its worker would have left it; `running` is one without a worker."""
        spec = RunSpec(seed=seed)
        directory = RunDirectory(self.root, run_id(spec))
        request_run(directory, spec)
        write_origin(
            directory, Origin(table=table, row=row, profile="demo", study=study, trial=None if study is None else seed)
        )
        if state == "planned":
            return directory
        last = Status.of_this_process("done" if state == "done" else "preempted")
        write_status(directory, last.model_copy(update={"epoch": 1, "epochs": 4, "step": 10, "steps": 40}))
        if state == "failed":
            write_failure(directory, Failure(cause="disk full", traceback="t", time=time.time(), host="h"))
        if state in {"cancelled", "pruned"}:
            request_stop(directory, Stopped.now(state, "by ada"))  # type: ignore[arg-type]
        if state == "done":
            write_result(
                directory,
                Result(run=directory.id, selected={}, epochs=4, images=1, parameters=1, seconds=1, device="cpu"),
            )
        return directory


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "runs")
