import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rdc_sweeps.data.provenance import DataRecord, SplitRecord
from rdc_sweeps.errors import UsageError
from rdc_sweeps.metrics.metric import MetricValues
from rdc_sweeps.reporting.report import Report, Row, build_report
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.lock import exclusive
from rdc_sweeps.runs.records import Selected
from rdc_sweeps.specs.catalogue import Run
from tests.runs.writing import write_data

Make = Callable[..., MetricValues]
BASE, PIXEL, GAUSSIAN = "one-patch-vector", "one-patch-pixel", "one-patch-gaussian"
ROWS = [BASE, PIXEL, GAUSSIAN]


def row(report: Report, name: str) -> Row:
    return next(found for found in report.rows if found.id == name)


def test_a_cell_is_the_mean_with_the_runs_behind_it(bench: Any, metrics: Make) -> None:
    runs = bench.runs(rows=[BASE], seeds=[0, 1, 2])
    for run, number in zip(runs, [0.0, 1.0, 5.0], strict=True):
        bench.finish(run, metrics(number))
    cell = row(build_report(runs, bench.root), BASE).cells["mIoU"]
    assert (cell.value, cell.n, cell.runs) == (22.0, 3, tuple(run.id for run in runs))
    assert cell.sd == pytest.approx(statistics.stdev([20, 21, 25]))
    assert cell.text == "22.00 ± 2.65"
    assert cell.published == "40.24"


def test_one_seed_has_no_deviation(bench: Any, metrics: Make) -> None:
    [run] = bench.runs(rows=[BASE])
    bench.finish(run, metrics())
    report = build_report([run], bench.root)
    cell = row(report, BASE).cells["aErr"]
    assert (cell.sd, cell.n, cell.text) == (None, 1, "1.2000")
    assert any("One seed shows no spread" in note for note in report.notes)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(0.1, 100), min_size=2, max_size=4))
def test_mean_and_deviation_are_those_of_the_sample(bench: Any, metrics: Make, values: list[float]) -> None:
    runs = bench.runs(rows=[BASE], seeds=range(len(values)))
    for run, value in zip(runs, values, strict=True):
        bench.finish(run, metrics(mIoU=value))
    cell = row(build_report(runs, bench.root), BASE).cells["mIoU"]
    assert cell.value == pytest.approx(statistics.mean(values))
    assert cell.sd == pytest.approx(statistics.stdev(values), abs=1e-9)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(0.1, 100), st.floats(0.1, 100))
def test_improvements_are_positive_where_better(bench: Any, metrics: Make, value: float, base: float) -> None:
    first, second = bench.runs(rows=[BASE, PIXEL])
    bench.finish(first, metrics(mIoU=base, aErr=base, mErr=base, aErr_released=base, mErr_released=base))
    bench.finish(second, metrics(mIoU=value, aErr=value, mErr=value, aErr_released=value, mErr_released=value))
    cells = row(build_report([first, second], bench.root), PIXEL).cells
    gain = pytest.approx((value - base) / base * 100)
    assert cells["mIoU"].improvement == gain
    for metric in ("aErr", "aErr_released", "mErr", "mErr_released"):
        improvement = cells[metric].improvement
        assert improvement is not None
        assert -improvement == gain


def test_delta_m_is_the_mean_improvement_with_the_honest_meter(bench: Any, metrics: Make) -> None:
    runs = bench.runs(rows=[BASE, PIXEL])
    bench.finish(runs[0], metrics(mIoU=20, aErr=1.0, mErr=40, mErr_released=10))
    bench.finish(runs[1], metrics(mIoU=22, aErr=0.8, mErr=44, mErr_released=1))
    report = build_report(runs, bench.root)
    assert row(report, PIXEL).delta_m == pytest.approx((10 + 20 - 10) / 3)
    assert row(report, BASE).delta_m is None
    assert any("aErr and mErr by the honest meter" in note for note in report.notes)


def test_published_errors_stand_beside_the_released_meters(bench: Any) -> None:
    cells = row(build_report(bench.runs(rows=ROWS), bench.root), PIXEL).cells
    assert (cells["aErr"].published, cells["mErr"].published) == (None, None)
    assert cells["aErr_released"].published == "0.4934"
    assert cells["mErr_released"].published == "8.3648"


def test_published_improvements_follow_from_published_numbers(bench: Any) -> None:
    report = build_report(bench.runs(rows=ROWS), bench.root)
    assert row(report, PIXEL).cells["mIoU"].published_improvement == pytest.approx((41.50 - 40.24) / 40.24 * 100)
    assert any("are computed from the published numbers" in note for note in report.notes)


def test_printed_improvements_are_kept(bench: Any) -> None:
    table = bench.experiments / "table3.yaml"
    text = table.read_text()
    old = 'published: {mIoU: "41.50"'
    table.write_text(text.replace(old, f'published_improvement: {{mIoU: "+9.99"}}\n    {old}', 1))
    report = build_report(bench.runs(rows=ROWS), bench.root)
    assert row(report, PIXEL).cells["mIoU"].published_improvement == 9.99
    assert any("as printed" in note for note in report.notes)
    # The paper's percentages are over its own baseline.
    other = build_report(bench.runs(rows=ROWS), bench.root, baseline=GAUSSIAN)
    assert row(other, PIXEL).cells["mIoU"].published_improvement == pytest.approx((41.50 - 41.56) / 41.56 * 100)


def test_another_baseline(bench: Any, metrics: Make) -> None:
    runs = bench.runs(rows=ROWS)
    for number, run in enumerate(runs):
        bench.finish(run, metrics(number))
    report = build_report(runs, bench.root, baseline=GAUSSIAN)
    assert [found.baseline for found in report.rows] == [GAUSSIAN, GAUSSIAN, None]
    assert row(report, BASE).cells["mIoU"].improvement == pytest.approx((20 - 22) / 22 * 100)
    with pytest.raises(UsageError, match=f"no row to be the baseline 'one-patch-gausian'; did you mean '{GAUSSIAN}'"):
        build_report(runs, bench.root, baseline="one-patch-gausian")


def test_a_baseline_outside_the_report_gives_no_improvement(bench: Any, metrics: Make) -> None:
    [run] = bench.runs(rows=[PIXEL])
    bench.finish(run, metrics())
    found = row(build_report([run], bench.root), PIXEL)
    assert found.delta_m is None
    assert all(cell.improvement is None for cell in found.cells.values())


def test_a_baseline_of_zero_gives_no_improvement(bench: Any, metrics: Make) -> None:
    runs = bench.runs(rows=[BASE, PIXEL])
    bench.finish(runs[0], metrics(mIoU=0.0))
    bench.finish(runs[1], metrics())
    found = row(build_report(runs, bench.root), PIXEL)
    assert found.cells["mIoU"].improvement is None
    assert found.cells["aErr"].improvement == pytest.approx(0)
    assert found.delta_m is None


def test_no_average_over_an_incomplete_row(bench: Any, metrics: Make) -> None:
    runs = bench.runs(rows=[BASE, PIXEL], seeds=[0, 1])
    for run in runs[:3]:
        bench.finish(run, metrics())
    report = build_report(runs, bench.root)
    cell = row(report, PIXEL).cells["mIoU"]
    assert (cell.value, cell.sd, cell.n, cell.text, cell.improvement) == (None, None, 0, "X", None)
    assert [(found.row, found.seed, found.state) for found in report.missing] == [(PIXEL, 1, "planned")]


def test_an_incomplete_baseline_gives_no_improvement(bench: Any, metrics: Make) -> None:
    runs = bench.runs(rows=[BASE, PIXEL], seeds=[0, 1])
    for run in runs[1:]:
        bench.finish(run, metrics())
    found = row(build_report(runs, bench.root), PIXEL)
    assert found.cells["mIoU"].value == 20
    assert found.cells["mIoU"].improvement is None


def test_a_metric_without_valid_pixels_is_missing_alone(bench: Any, metrics: Make) -> None:
    [run] = bench.runs(rows=[BASE])
    bench.finish(run, metrics(aErr=None))
    report = build_report([run], bench.root)
    assert {key: cell.text for key, cell in row(report, BASE).cells.items()} == {
        "mIoU": "20.00", "aErr": "X", "aErr_released": "1.1000", "mErr": "38.00", "mErr_released": "12.00",
    }  # fmt: skip
    assert [(found.state, found.cause) for found in report.missing] == [
        ("done", "has no aErr: no test pixel was valid")
    ]


def test_states_and_causes_of_what_is_missing(bench: Any, metrics: Make) -> None:
    runs = bench.runs(rows=[BASE, PIXEL, GAUSSIAN, "one-region-vector", "one-region-pixel"])
    bench.fail(runs[0], "DivergenceError: loss is nan")
    bench.preempt(runs[1], epoch=2, epochs=8)
    bench.finish(runs[2], metrics())
    (bench.root / runs[2].id / "result.json").write_text("{")
    with exclusive(RunDirectory(bench.root, runs[3].id)):
        bench.preempt(runs[3], epoch=7, epochs=8)
        found = build_report(runs, bench.root).missing
    assert [(outcome.state, outcome.cause) for outcome in found[:2]] == [
        ("failed", "DivergenceError: loss is nan"),
        ("preempted", "in epoch 3 of 8"),
    ]
    assert found[2].state == "damaged"
    assert str(found[2].cause).endswith("continues from the checkpoint")
    assert [(outcome.state, outcome.cause) for outcome in found[3:]] == [
        ("running", "in epoch 8 of 8"),
        ("planned", "not started"),
    ]


def test_reports_create_nothing(bench: Any) -> None:
    build_report(bench.runs(), bench.root)
    assert not bench.root.exists()


@pytest.mark.parametrize(("rule", "value"), [("last", 1.0), ("best-validation", 2.0), ("best-test", 3.0)])
def test_selection_rules(bench: Any, metrics: Make, rule: Any, value: float) -> None:
    [run] = bench.runs(rows=[BASE])
    rules = ("last", "best-validation", "best-test")
    chosen = {name: Selected(epoch=index, metrics=metrics(mIoU=index + 1.0)) for index, name in enumerate(rules)}
    bench.finish(run, metrics(), chosen)
    report = build_report([run], bench.root, selection=rule)
    assert report.selection == rule
    assert row(report, BASE).cells["mIoU"].value == value
    assert row(report, BASE).outcomes[0].epoch == value
    assert any(note.startswith(f"Selection `{rule}`") for note in report.notes)
    assert any("optimistic" in note for note in report.notes) == (rule == "best-test")


def test_the_profiles_rule_is_the_default(bench: Any) -> None:
    assert build_report(bench.runs("cpu"), bench.root).selection == "best-validation"
    assert build_report(bench.runs("paper"), bench.root).selection == "last"


def test_a_rule_that_cannot_choose(bench: Any, metrics: Make) -> None:
    [run] = bench.runs(rows=[BASE])
    bench.finish(run, metrics(), {"last": Selected(epoch=0, metrics=metrics()), "best-validation": None})
    report = build_report([run], bench.root)
    assert row(report, BASE).cells["mIoU"].text == "X"
    assert "no images were held out" in str(report.missing[0].cause)
    assert build_report([run], bench.root, selection="last").missing == ()


def test_only_the_unchanged_paper_profile_is_comparable(bench: Any) -> None:
    paper = build_report(bench.runs("paper"), bench.root)
    assert paper.comparable
    assert "compare with those published" in paper.notes[0]
    for name in ("cpu", "demo"):
        small = build_report(bench.runs(name), bench.root)
        assert not small.comparable
        assert small.notes[0].startswith(f"Numbers of profile `{name}` are not comparable")
    changed = build_report(bench.runs("paper", settings=["training.epochs=3"]), bench.root)
    assert not changed.comparable
    assert changed.notes[0] == "Changed by --set training.epochs=3: not comparable with the published numbers."


def test_the_data_are_described(bench: Any) -> None:
    assert build_report(bench.runs("paper", rows=[BASE]), bench.root).data == (
        "nyuv2 (real images), 288×384, 795 training images, 654 test images; published label setting",
    )
    assert build_report(bench.runs("demo", rows=[BASE]), bench.root).data == (
        "rooms (synthetic images), 96×128, 160 training images, 40 held out for validation, 40 test images; "
        "generated label setting",
    )


def test_no_runs() -> None:
    with pytest.raises(UsageError, match="no runs to report"):
        build_report([], Path())


def test_what_the_table_says_about_rows_is_in_the_notes_once(bench: Any) -> None:
    runs = bench.runs(seeds=range(2))
    noted = {BASE: "ours", runs[-1].row.id: "ours"}
    changed = [replace(run, row=run.row.model_copy(update={"notes": noted.get(run.row.id)})) for run in runs]
    report = build_report(changed, bench.root)
    assert [note for note in report.notes if note.endswith("ours.")] == [f"{BASE}, {runs[-1].row.id}: ours."]


def record(run: Run, *, train: int = 795, depth: float = 2.7) -> DataRecord:
    split = SplitRecord(images=train, digest=f"{train} {depth}", means={"depth": depth})
    return DataRecord(
        root="/data",
        train=split,
        test=SplitRecord(images=654, digest="t"),
        training_images=run.spec.dataset.training_count,
        validation_images=run.spec.dataset.validation_images,
        test_images=300,
    )


def test_counted_images_are_reported_and_not_those_of_the_spec(bench: Any, metrics: Make) -> None:
    runs = bench.runs("paper", seeds=[0])
    assert build_report(runs, bench.root).data == (
        "nyuv2 (real images), 288×384, 795 training images, 654 test images; published label setting",
    )
    bench.finish(runs[0], metrics(), images=12)
    assert build_report(runs, bench.root).data == (
        "nyuv2 (real images), 288×384, 12 (instead of 795) training images, 654 test images; published label setting",
    )
    write_data(RunDirectory(bench.root, runs[0].id), record(runs[0]))
    bench.finish(runs[1], metrics())
    assert build_report(runs, bench.root).data == (
        "nyuv2 (real images), 288×384, 12 (instead of 795) training images, 300 (instead of 654) test images; "
        "published label setting",
        "nyuv2 (real images), 288×384, 795 training images, 654 test images; published label setting",
    )


def test_rows_trained_on_other_data_are_named(bench: Any, metrics: Make) -> None:
    runs = bench.runs("cpu", seeds=[0])
    for run, depth in zip(runs, (2.7, 2.7, 2700, 2700), strict=False):
        bench.finish(run, metrics())
        write_data(RunDirectory(bench.root, run.id), record(run, depth=depth))
    (note,) = [text for text in build_report(runs, bench.root).notes if "other data" in text]
    assert note == (
        f"Trained on other data than {runs[0].row.id}, so not comparable with it (mean depth of the training images "
        f"2.7 then, 2700 now): {runs[2].row.id}, {runs[3].row.id}."
    )


def test_a_damaged_record_of_the_data_hides_nothing(bench: Any, metrics: Make) -> None:
    runs = bench.runs("cpu", seeds=[0])
    bench.finish(runs[0], metrics())
    (RunDirectory(bench.root, runs[0].id).folder / "data.json").write_text("{")
    report = build_report(runs, bench.root)
    assert report.rows[0].cells["mIoU"].value is not None
    assert not [text for text in report.notes if "other data" in text]


def test_improvements_are_paired_by_seed_and_have_verdicts(bench: Any, metrics: Make) -> None:
    runs = bench.runs(rows=ROWS, seeds=[0, 1, 2])
    gains = {PIXEL: (10.0, 10.1, 9.9), GAUSSIAN: (-20.0, 25.0, 1.0)}
    for run in runs:
        base = 20.0 + run.spec.seed
        gain = gains.get(run.row.id, (0.0,) * 3)[run.spec.seed]
        bench.finish(run, metrics(mIoU=base * (1 + gain / 100)))
    report = build_report(runs, bench.root)
    cells = [row(report, name).cells["mIoU"] for name in ROWS]
    assert cells[0].difference is None
    found = cells[1].difference
    assert found is not None
    assert found.values == pytest.approx(gains[PIXEL])
    assert found.mean == cells[1].improvement == pytest.approx(10)
    assert (found.seeds, found.verdict, found.mark) == ((0, 1, 2), "better", "*")
    assert cells[2].difference is not None
    assert (cells[2].difference.verdict, cells[2].difference.mark) == ("cannot tell", "")
    # All other metrics are equal: identical, and not counted among the tests.
    same = row(report, PIXEL).cells["mErr"].difference
    assert same is not None
    assert (same.verdict, same.mark) == ("identical", "=")
    assert (report.statistics.families["mIoU"], report.statistics.families["mErr"]) == (2, 0)
    delta = row(report, PIXEL).difference
    assert delta is not None
    assert delta.values == pytest.approx([gain / 3 for gain in gains[PIXEL]])
    assert row(report, PIXEL).delta_m == delta.mean


def test_one_seed_has_no_verdict(bench: Any, metrics: Make) -> None:
    runs = bench.runs(rows=ROWS)
    for number, run in enumerate(runs):
        bench.finish(run, metrics(number))
    report = build_report(runs, bench.root)
    found = row(report, PIXEL).cells["mIoU"].difference
    assert found is not None
    assert found.mean == pytest.approx(5)
    assert (found.interval, found.verdict) == (None, None)
    assert not report.has_verdicts
