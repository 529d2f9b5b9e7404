"""Sites of runs whose results, curves and panels a test makes up."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from rdc_sweeps.files import write_atomically
from rdc_sweeps.metrics.metric import MetricValues
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.events import encode
from rdc_sweeps.runs.records import Result, Selected
from rdc_sweeps.specs.catalogue import Catalogue, Run
from rdc_sweeps.training.panels import prediction_panel
from rdc_sweeps.web.readings import RunReader, TableReader
from rdc_sweeps.web.site import SiteReader
from tests.reporting.conftest import Bench
from tests.runs.writing import write_result

ROWS = ("one-patch-vector", "one-patch-gaussian", "one-region-gaussian", "rand-patch-vector", "rand-region-gaussian")


def metric_values(number: float) -> MetricValues:
    """Test metrics; those of a larger number are better."""
    values = {"mIoU": 20 + number, "pixAcc": 50.0, "aErr": 1.2 - number / 50, "mErr": 38 - number / 2}
    return {**values, "aErr_released": 1.1 - number / 50, "rErr": 0.3, "mErr_released": 12 + number}


def epochs(number: float, count: int = 4) -> list[dict[str, Any]]:
    """The records of some epochs, which end at `metric_values(number)`."""
    return [
        {
            "epoch": epoch,
            "losses": {"loss": 2.0 - epoch / 4},
            "test": metric_values(number - (count - 1 - epoch)),
            "validation": None,
            "probe": {},
        }
        for epoch in range(count)
    ]


def finish(bench: Bench, run: Run, number: float) -> None:
    """A done run with its epochs."""
    history = epochs(number)
    selected = dict.fromkeys(("last", "best-validation", "best-test"), Selected(epoch=3, metrics=metric_values(number)))
    images = run.spec.dataset.training_count
    write_result(
        RunDirectory(bench.root, run.id),
        Result(
            run=run.id, selected=selected, epochs=4, images=images, parameters=12345, seconds=754, device="cpu",
            history=history,
        ),
    )  # fmt: skip


def log(bench: Bench, run: Run, records: Sequence[dict[str, Any]]) -> None:
    """An event log with these epochs."""
    path = RunDirectory(bench.root, run.id).events
    lines = [
        encode({"kind": "epoch", "step": 4 * (one["epoch"] + 1) - 1, "epoch": one["epoch"], "record": one}, sequence)
        for sequence, one in enumerate(records)
    ]
    write_atomically(path, lambda file: file.write(b"".join(lines)))


def draw_panel(bench: Bench, run: Run, shade: float, epoch: int = 3) -> None:
    """Panels of two images, as a recorder names them."""
    folder = RunDirectory(bench.root, run.id).folder / "panels"
    folder.mkdir(parents=True, exist_ok=True)
    size = (12, 16)
    truth = {
        "semantic": np.zeros(size, int),
        "depth": np.linspace(1, 2, 192).reshape(size),
        "normal": np.ones((3, *size)) / 2,
    }
    found = {
        "semantic": np.full(size, int(5 * shade)),
        "depth": truth["depth"] * shade,
        "normal": truth["normal"] * shade,
    }
    for number in range(2):
        image = np.full((3, *size), (number + 1) / 3)
        picture = Image.fromarray(prediction_panel(image, truth, found, classes=["wall", "floor"]))
        picture.save(folder / f"{4 * (epoch + 1) - 1:08d}-{number}-image-{number}.png")


def usual(bench: Bench) -> list[Run]:
    """Two groups of rows with three seeds: a failed, a preempted and a planned run, and the rest done."""
    rows = [
        "one-patch-vector",
        "one-patch-gaussian",
        "one-region-gaussian",
        "rand-patch-vector",
        "rand-region-gaussian",
    ]
    runs = bench.runs("cpu", rows=rows, seeds=[0, 1, 2])
    for number, run in enumerate(runs):
        better = {"one-region-gaussian": 3.0}.get(run.row.id, 0.0)
        if number == 10:
            bench.fail(run, "DivergenceError: loss is nan in step 12")
        elif number == 13:
            bench.preempt(run, epoch=2, epochs=8)
            log(bench, run, epochs(1.0, 2))
        elif number < 14:
            finish(bench, run, better + run.spec.seed / 10 + (number % 4) / 40)
        if number in {0, 6}:
            draw_panel(bench, run, 0.3 + number / 12)
    return runs


def site_reader(bench: Bench, *tables: Sequence[Run], live: bool = False) -> SiteReader:
    """A site of tables."""
    runs = RunReader(bench.root)
    return SiteReader(
        [TableReader(table, runs) for table in tables], bench.root, Catalogue(bench.experiments), live=live
    )


def written(folder: Path) -> set[str]:
    """All files of a folder, as addresses."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
