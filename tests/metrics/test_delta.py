import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rdc_sweeps.errors import UsageError
from rdc_sweeps.metrics.delta import delta_m, improvement_percent

# Printed percentages that the printed numbers do not give: row, metric, printed, computed.
MISPRINTS = {("T1-one-segnet-ours", "aErr"): (2.25, 2.08), ("T2-hrnet-ours", "aErr"): (22.73, 22.93)}


def test_higher_miou_and_lower_errors_are_better() -> None:
    assert improvement_percent(55.0, 50.0, "mIoU") == pytest.approx(10)
    assert improvement_percent(0.55, 0.5, "aErr") == pytest.approx(-10)
    assert improvement_percent(27.0, 30.0, "mErr") == pytest.approx(10)


def test_delta_m_is_the_mean_over_the_baselines_metrics() -> None:
    baseline = {"mIoU": 50.0, "aErr": 0.5, "mErr": 30.0}
    metrics = {"mIoU": 55.0, "aErr": 0.55, "mErr": 24.0, "pixAcc": 80.0}
    assert delta_m(metrics, baseline) == pytest.approx((10 - 10 + 20) / 3)
    assert delta_m(baseline, baseline) == 0


def test_comparing_needs_no_torch() -> None:
    code = "import sys, rdc_sweeps.metrics.selection; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("metrics", "baseline", "named"),
    [
        ({"mIoU": 1.0}, {"mIoU": 1.0, "aErr": 1.0}, "aErr"),
        ({"mIoU": 1.0}, {}, "all"),
        ({"mIoU": 1.0}, {"mIoU": 0.0}, "mIoU"),
        ({"iou": 1.0}, {"iou": 1.0}, "iou"),
    ],
)
def test_what_cannot_be_compared_is_named(metrics: dict[str, float], baseline: dict[str, float], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        delta_m(metrics, baseline)


@pytest.mark.skipif("RDC_SHARED" not in os.environ, reason="needs RDC_SHARED")
def test_published_percentages_follow_but_for_two() -> None:
    rows = {row["id"]: row for row in json.loads((Path(os.environ["RDC_SHARED"]) / "paper" / "rows.json").read_text())}
    compared = 0
    for name, row in rows.items():
        for metric, printed in (row["published_improvement_percent"] or {}).items():
            if printed is None:
                continue
            baseline = rows[row["improvement_baseline"]]["published"][metric]
            computed = improvement_percent(float(row["published"][metric]), float(baseline), metric)
            said, found = MISPRINTS.get((name, metric), (float(printed), float(printed)))
            assert float(printed) == said
            assert computed == pytest.approx(found, abs=0.0051), (name, metric)
            compared += 1
    assert compared > 25
