"""The growth of commands with the number of runs: the folder, the fit, and the table in its page."""

import json
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.dispatch.planning import all_runs
from benchmarks.growth import __main__ as growth
from benchmarks.growth.folder import fill
from benchmarks.growth.point import OPERATIONS
from rdc_sweeps.dispatch.plan import plan
from rdc_sweeps.reporting.report import build_report


def test_the_folder_has_runs_in_every_state_and_results_that_reports_can_use(tmp_path: Path) -> None:
    rows, runs = fill(tmp_path, 1)
    found = plan(all_runs(1), tmp_path)
    assert (rows, runs) == (len(all_runs(1)), len(found))
    states = Counter(one.state for one in found)
    assert states.keys() == {"planned", "failed", "preempted", "done"}
    assert states["done"] > 0.8 * runs
    table3 = [run for run in all_runs(1) if run.table.table == "table3"]
    report = build_report(table3, tmp_path)
    done = [row for row in report.rows if row.id not in {one.row for one in report.missing}]
    assert len(done) >= 9
    assert all(row.difference for row in done if row.baseline)


def made(power: float) -> list[dict[str, float]]:
    sizes = (47, 235, 940, 3008, 10011)
    # The small ones are dominated by fixed costs.
    return [
        {"rows x seeds": n, "runs": n, "seconds": (n / 1000) ** power + (n < 900), "bytes": 2.0**20 * n} for n in sizes
    ]


def test_exponents_are_those_of_the_largest_sizes() -> None:
    found = growth.exponents(made(1.5))
    assert found == {"seconds exponent": pytest.approx(1.5), "bytes exponent": pytest.approx(1)}
    assert growth.exponents(made(1)[:1]) == {"seconds exponent": None, "bytes exponent": None}
    nothing = [{**point, "bytes": 0.0} for point in made(1)]
    assert growth.exponents(nothing)["bytes exponent"] is None


def test_the_table_stands_in_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = made(1.0)
    monkeypatch.setattr(
        growth, "measured", lambda _: [{"operation": "plan", "points": points, **growth.exponents(points)}]
    )
    page, stored = tmp_path / "page.md", tmp_path / "growth.json"
    page.write_text("before\n<!-- growth -->\nold\n<!-- end of growth -->\nafter\n")
    growth.main(["--page", str(page), "--json", str(stored)])
    assert page.read_text() == (
        "before\n<!-- growth -->\n\n"
        "| | 47 | 235 | 940 | 3,008 | 10,011 | exponents |\n"
        "|---|---|---|---|---|---|---|\n"
        "| plan | 1 s, 47 MiB | 1.2 s, 235 MiB | 0.94 s, 940 MiB | 3 s, 3008 MiB | 10 s, 10011 MiB | 1.00, 1.00 |\n\n"
        "<!-- end of growth -->\nafter\n"
    )
    assert json.loads(stored.read_text())[0]["operation"] == "plan"


@pytest.mark.slow
def test_every_operation_is_measured() -> None:
    found = growth.measured([1])
    assert [one["operation"] for one in found] == list(OPERATIONS)
    for one in found:
        (point,) = one["points"]
        assert point["rows x seeds"] == 47
        assert point["seconds"] > 0
