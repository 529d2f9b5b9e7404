"""What dashboards show of tables and studies."""

from pathlib import Path

import pytest

from rdc_sweeps.dashboards.contents import Bars, Coordinates, Lines, Pictures, study_dashboard, table_dashboard
from rdc_sweeps.metrics.metric import METRICS
from rdc_sweeps.reporting.report import build_report
from rdc_sweeps.runs.directory import RunDirectory
from tests.dashboards.conftest import dashboard_of, log_of
from tests.reporting.conftest import Bench
from tests.tuning.studies import aligned, report_of, tuned_row, usual


def test_a_table_has_bars_of_its_measures_and_lines_of_all_metrics(bench: Bench) -> None:
    shown = dashboard_of(bench)
    sections = {section.title: section.panels for section in shown.sections}
    bars = sections["Test images, epoch chosen by best-validation"]
    assert [one.key for one in bars if isinstance(one, Bars)] == [
        f"best-validation/{name}" for name in ("mIoU", "aErr", "aErr_released", "mErr", "mErr_released")
    ]
    for title, split in (("Test images", "test"), ("Validation images", "validation")):
        lines = [one for one in sections[title] if isinstance(one, Lines)]
        assert {one.key for one in lines} == {f"{split}/{name}" for name in METRICS}
        assert all(one.over_epochs for one in lines)
    assert (shown.done, shown.total, shown.rows) == (1, 12, 12)
    assert "20.00 | 40.24" in shown.text


def test_what_runs_have_logged_besides_has_panels(bench: Bench) -> None:
    sections = {section.title: section.panels for section in dashboard_of(bench).sections}
    assert sections["Predictions"] == (Pictures("panels/image 3", "panels/image 3"),)
    assert [one.title for one in sections["Losses"]] == ["loss", "loss/contrast"]
    assert sections["Contrast"] == (Lines("contrast/accuracy", "contrast/accuracy", over_epochs=False),)
    assert sections["Probes"] == (
        Lines("probe/region_contrast/alignment", "probe/region_contrast/alignment", over_epochs=True),
    )


def test_before_any_run_has_started_metrics_are_shown(bench: Bench) -> None:
    shown = dashboard_of(bench, done=0)
    assert [section.title for section in shown.sections][1:] == ["Test images", "Validation images"]
    assert shown.done == 0


def test_the_name_stays_when_results_come_and_differs_between_tables(bench: Bench) -> None:
    before = dashboard_of(bench, done=0)
    assert dashboard_of(bench).name == before.name
    for runs in (bench.runs("cpu"), bench.runs("demo", settings=["training.epochs=2"])):
        assert table_dashboard(runs, bench.root, build_report(runs, bench.root)).name != before.name


def test_a_study_shows_its_trials_over_the_tuned_fields(tmp_path: Path) -> None:
    tuned = tuned_row(tmp_path)
    shown = study_dashboard(report_of(tuned, usual(tuned), tmp_path / "runs"), tmp_path / "runs")
    (trials,) = shown.sections[0].panels
    assert isinstance(trials, Coordinates)
    assert trials.fields == tuple(tuned.spec.space)
    assert trials.keys == ("validation/mIoU", "validation/aErr", "validation/mErr")
    assert (shown.group, shown.runs) == ("example-demo", ())
    assert (shown.done, shown.total) == (15, 20)


@pytest.mark.parametrize("title", ["An example", "a|b <script>alert(1)</script>\n# x"])
def test_the_text_of_a_study(title: str, tmp_path: Path) -> None:
    tuned = tuned_row(tmp_path, title=title)
    text = study_dashboard(report_of(tuned, usual(tuned), tmp_path / "runs"), tmp_path / "runs").text
    assert "| 0 | complete, the untuned row |" in text
    assert "complete, best" in text
    assert "confirm" in text or "## table3" in text
    assert "<script>" not in text.replace("\\<script>", "")
    assert not [line for line in text.splitlines() if line.startswith("# ")]
    lengths = {line.count(" | ") for line in text.splitlines() if line.startswith("| ") and "complete" in line}
    assert len(lengths) == 1


def test_a_study_by_alignment_shows_the_probe_that_it_chooses_by(tmp_path: Path) -> None:
    report = aligned(tmp_path)
    root = tmp_path / "runs"
    run = next(iter(report.summary.trials[0].runs.values()))
    (root / run).mkdir(parents=True, exist_ok=True)
    log_of(RunDirectory(root, run))
    (trials,) = study_dashboard(report, root).sections[0].panels
    assert isinstance(trials, Coordinates)
    assert trials.keys[-1] == "probe/region_contrast/alignment"
