import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from rdc_sweeps.metrics.metric import MetricValues
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.records import Failure, Result, Selected, Status
from rdc_sweeps.specs.catalogue import Catalogue, Run
from tests.runs.writing import write_failure, write_result, write_status

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
"""As shipped once: goldens are not to change with a profile's numbers."""


class Bench:
    """A runs folder, and the runs of a table whose results a test makes up."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "runs"
        self.experiments = Path(shutil.copytree(EXPERIMENTS, folder / "experiments"))

    def runs(
        self, profile: str = "cpu", *, table: str = "table3", **choice: Sequence[int] | Sequence[str]
    ) -> list[Run]:
        return Catalogue(self.experiments).runs(table, profile, **choice)  # type: ignore[arg-type]

    def finish(
        self,
        run: Run,
        metrics: MetricValues,
        selected: Mapping[str, Selected | None] | None = None,
        images: int | None = None,
    ) -> None:
        chosen = selected or {
            rule: Selected(epoch=3, metrics=metrics) for rule in ("last", "best-validation", "best-test")
        }
        images = images or run.spec.dataset.training_count
        write_result(
            RunDirectory(self.root, run.id),
            Result(run=run.id, selected=chosen, epochs=8, images=images, parameters=1000, seconds=60, device="cpu"),
        )

    def fail(self, run: Run, cause: str) -> None:
        write_failure(RunDirectory(self.root, run.id), Failure(cause=cause, traceback="", time=0, host="h"))

    def preempt(self, run: Run, epoch: int, epochs: int) -> None:
        status = Status.of_this_process("preempted").model_copy(update={"epoch": epoch, "epochs": epochs})
        write_status(RunDirectory(self.root, run.id), status)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def metrics() -> Callable[..., MetricValues]:
    """Test metrics, a little different for every number given."""

    def make(number: float = 0.0, **changes: float | None) -> MetricValues:
        values = {"mIoU": 20 + number, "pixAcc": 50.0, "aErr": 1.2 - number / 50, "mErr": 38 - number / 2}
        released = {"aErr_released": 1.1 - number / 50, "mErr_released": 12 + number}
        return {**values, "rErr": 0.3, **released, **changes}

    return make
