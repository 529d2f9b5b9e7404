"""A table with one finished row, and the W&B server of the tests."""

from rdc_sweeps.dashboards.contents import Dashboard, table_dashboard
from rdc_sweeps.reporting.report import build_report
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.events import encode
from tests.reporting.conftest import Bench, bench, metrics  # noqa: F401 (fixtures)
from tests.tracking.conftest import backend, environment  # noqa: F401 (fixtures)

RECORD = {
    "epoch": 0,
    "losses": {"loss": 1.0},
    "test": {"mIoU": 20.0},
    "validation": {"mIoU": 19.0},
    "probe": {"region_contrast/alignment": 0.1},
}


def log_of(directory: RunDirectory) -> None:
    """Write the event log of an epoch with one step."""
    events = [
        {
            "kind": "step",
            "step": 0,
            "epoch": 0,
            "values": {"loss": 1.0, "loss/contrast": 0.5, "contrast/accuracy": 1.0},
        },
        {"kind": "panels", "step": 0, "epoch": 0, "panels": {"image 3": "panels/3.png"}},
        {"kind": "epoch", "step": 0, "epoch": 0, "record": RECORD},
    ]
    directory.events.write_bytes(b"".join(encode(event, number) for number, event in enumerate(events)))


def dashboard_of(bench: Bench, done: int = 1) -> Dashboard:  # noqa: F811
    """The dashboard of table 3 with so many finished runs."""
    runs = bench.runs("demo")
    for run in runs[:done]:
        values = {"mIoU": 20.0, "aErr": 1.0, "aErr_released": 0.9, "mErr": 30.0, "mErr_released": 12.0}
        bench.finish(run, {**values, "pixAcc": 50.0, "rErr": 0.3})
        log_of(RunDirectory(bench.root, run.id))
    return table_dashboard(runs, bench.root, build_report(runs, bench.root))
