"""Results that tests make up."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.findings.records import ClaimRecord, Results, RowRecord, RunRecord, TableRecord
from rdc_sweeps.metrics.metric import MainMetric

ROWS = (
    ("mtl", "MTL", None),
    ("control", "Control", "mtl"),
    ("rdc", "RDC", "mtl"),
)


def table(seeds: Sequence[int] = (0, 1, 2), **changes: Any) -> TableRecord:
    fields = {
        "table": "findings",
        "title": "made up",
        "profile": "cpu",
        "data": ("rooms (synthetic images)",),
        "selection": "last",
        "seeds": tuple(seeds),
        "rows": tuple(
            RowRecord(id=row, method=method, label_setting="onelabel", baseline=base, spec=f"{row}-spec")
            for row, method, base in ROWS
        ),
        "claims": (ClaimRecord(claim="RDC is better than supervision alone", better="rdc", worse="mtl"),),
    }
    return TableRecord.model_validate({**fields, **changes})


def run(row: str, seed: int, miou: float = 20.0, **changes: Any) -> RunRecord:
    test: Mapping[MainMetric, float] = {"mIoU": miou, "aErr": 0.7, "mErr": 40.0}
    fields = {
        "table": "findings",
        "profile": "cpu",
        "row": row,
        "seed": seed,
        "run": f"{row}-{seed}",
        "machine": "one",
        "spec": f"{row}-spec",
        "epoch": 3,
        "seconds": 60.0,
        "images": 400,
        "test": test,
        "validation": None,
    }
    return RunRecord.model_validate({**fields, **changes})


def results(*runs: RunRecord, seeds: Sequence[int] = (0, 1, 2)) -> Results:
    return Results(tables=(table(seeds),), runs=runs)
