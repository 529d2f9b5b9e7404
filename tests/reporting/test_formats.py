"""Rendered texts against goldens; `RDC_WRITE_GOLDENS=1 pytest tests/reporting` rewrites them; review the difference."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from rdc_sweeps.metrics.metric import MetricValues
from rdc_sweeps.reporting.formats import render, render_csv, render_json
from rdc_sweeps.reporting.markdown import render_markdown
from rdc_sweeps.reporting.report import Report, build_report
from rdc_sweeps.reporting.terminal import render_terminal

GOLDENS = Path(__file__).parent / "goldens"
Make = Callable[..., MetricValues]


def terminal(report: Report, width: int) -> str:
    file = io.StringIO()
    Console(file=file, width=width, color_system=None, legacy_windows=False).print(render_terminal(report))
    return "".join(line.rstrip() + "\n" for line in file.getvalue().splitlines())


def three_seeds(bench: Any, metrics: Make) -> Report:
    """Under `cpu`: a failed, a preempted and a planned run, a metric without valid pixels, and the rest done."""
    runs = bench.runs("cpu", seeds=[0, 1, 2])
    for number, run in enumerate(runs):
        if run.row.id == "rand-region-gaussian" and run.spec.seed > 0:
            continue
        if number == 7:
            bench.fail(run, "DivergenceError: loss is nan in step 12")
        elif number == 10:
            bench.preempt(run, epoch=2, epochs=8)
        else:
            missing = {"aErr": None, "aErr_released": None} if number == 20 else {}
            bench.finish(run, metrics((number * 37 % 17) / 5, **missing))
    return build_report(runs, bench.root)


def one_seed(bench: Any, metrics: Make) -> Report:
    """Under `paper`: everything done."""
    runs = bench.runs("paper")
    for number, run in enumerate(runs):
        bench.finish(run, metrics(20 + number * 29 % 13, mErr_released=8 - number / 4))
    return build_report(runs, bench.root, selection="best-test")


def nothing(bench: Any, metrics: Make) -> Report:
    """Under `demo`: nothing done."""
    return build_report(bench.runs("demo"), bench.root)


CASES = {case.__name__: case for case in (three_seeds, one_seed, nothing)}
RENDERERS: dict[str, Callable[[Report], str]] = {
    "120.txt": lambda report: terminal(report, 120),
    "100.txt": lambda report: terminal(report, 100),
    "80.txt": lambda report: terminal(report, 80),
    "md": render_markdown,
    "csv": render_csv,
    "json": render_json,
}


@pytest.mark.parametrize("form", RENDERERS)
@pytest.mark.parametrize("case", CASES)
def test_rendered_texts(bench: Any, metrics: Make, case: str, form: str) -> None:
    report = CASES[case](bench, metrics)
    text = RENDERERS[form](report)
    for run in sorted({run for row in report.rows for run in row.cells["mIoU"].runs}):
        text = text.replace(run, "0123456789abcdef")  # identities change with the specs' schema
    golden = GOLDENS / f"{case}.{form}"
    if os.environ.get("RDC_WRITE_GOLDENS"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize("width", [80, 100, 120])
@pytest.mark.parametrize("case", CASES)
def test_nothing_is_cut_off_at_usual_widths(bench: Any, metrics: Make, case: str, width: int) -> None:
    text = terminal(CASES[case](bench, metrics), width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize(("width", "marks", "lines_of_gains"), [(120, 24, 0), (100, 0, 0), (80, 0, 20)])
def test_a_narrow_terminal_names_rows_by_their_ids_and_puts_gains_below(
    bench: Any, metrics: Make, width: int, marks: int, lines_of_gains: int
) -> None:
    text = terminal(one_seed(bench, metrics), width)
    assert text.count("✓") == marks
    assert text.count("gain %") == lines_of_gains


def test_better_is_green_and_worse_is_red(bench: Any, metrics: Make) -> None:
    runs = bench.runs(rows=["one-patch-vector", "one-patch-pixel"])
    bench.finish(runs[0], metrics())
    bench.finish(runs[1], metrics(mIoU=22.0, aErr=1.8))
    file = io.StringIO()
    Console(file=file, width=120, force_terminal=True, color_system="standard").print(
        render_terminal(build_report(runs, bench.root))
    )
    assert "\x1b[32m+10.0" in file.getvalue()
    assert "\x1b[31m-50.0" in file.getvalue()


def test_csv_is_read_back(bench: Any, metrics: Make) -> None:
    report = three_seeds(bench, metrics)
    lines = list(csv.DictReader(io.StringIO(render_csv(report))))
    assert [line["row"] for line in lines] == [row.id for row in report.rows]
    for line, row in zip(lines, report.rows, strict=True):
        for key, cell in row.cells.items():
            assert line[key] == ("X" if cell.value is None else repr(cell.value))
            assert line[f"{key}_sd"] == ("" if cell.sd is None else repr(cell.sd))
        assert (line["profile"], line["comparable"], line["seeds"]) == ("cpu", "False", "0 1 2")


def test_no_two_columns_of_a_csv_have_one_name(bench: Any) -> None:
    # Its rows differ in their methods, so that the report has a column of them as well.
    runs = bench.runs(rows=["one-patch-vector"])
    others = bench.runs(rows=["one-patch-pixel"], settings=["method={name: supervised}", "labels={setting: full}"])
    report = build_report([*runs, *others], bench.root)
    assert "method" in [column.key for column in report.columns]
    head, *lines = csv.reader(io.StringIO(render_csv(report)))
    assert len(set(head)) == len(head)
    assert [line[head.index("method")] for line in lines] == [row.method for row in report.rows]
    assert [line[head.index("label_setting")] for line in lines] == [row.labels[0] for row in report.rows]


def test_json_is_read_back(bench: Any, metrics: Make) -> None:
    report = three_seeds(bench, metrics)
    data = json.loads(render_json(report))
    assert data["profile"] == "cpu"
    assert data["comparable"] is False
    assert [found["state"] for found in data["missing"]] == ["failed", "preempted", "done", "planned", "planned"]
    cell = data["rows"][2]["cells"]["mIoU"]
    assert (cell["value"], cell["text"], cell["n"]) == (None, "X", 0)
    assert len(cell["runs"]) == 3


@pytest.mark.parametrize("form", ["120.txt", "md"])
def test_the_command_that_fills_a_table(bench: Any, form: str) -> None:
    runs = bench.runs("demo", seeds=[0, 2], settings=["training.epochs=3", "labels={setting: onelabel}"])
    bench.fail(runs[0], "disk full")
    command = (
        "rdc-sweep run table3 --profile demo --seeds 0,2 --set training.epochs=3 "
        "--set 'labels={setting: onelabel}' --retry-failed"
    )
    assert command in " ".join(RENDERERS[form](build_report(runs, bench.root)).split())


def test_a_full_table_needs_no_command(bench: Any, metrics: Make) -> None:
    assert "rdc-sweep run" not in render_markdown(one_seed(bench, metrics))


def test_markdown_keeps_the_table_whole(bench: Any, metrics: Make) -> None:
    runs = bench.runs(rows=["one-patch-vector"])
    bench.fail(runs[0], "a | b\nc <d> *e*")
    lines = render_markdown(build_report(runs, bench.root)).splitlines()
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1
    assert r"- X: failed, a \| b c \<d> \*e\* — one-patch-vector (seed 0)" in lines


@pytest.mark.parametrize(("form", "start"), [("terminal", "table3  Local"), ("markdown", "## table3"), ("json", "{\n")])
def test_formats_by_name(bench: Any, metrics: Make, form: Any, start: str) -> None:
    file = io.StringIO()
    render(one_seed(bench, metrics), form, Console(file=file))
    assert file.getvalue().startswith(start)
    assert "\x1b" not in file.getvalue()


def test_a_terminal_report_in_a_file_is_wide_enough(bench: Any, metrics: Make) -> None:
    file = io.StringIO()
    render(one_seed(bench, metrics), "terminal", Console(file=file, width=80))
    assert "✓" in file.getvalue()


def test_reporting_needs_no_heavy_packages() -> None:
    code = (
        "import sys; import rdc_sweeps.reporting.formats; "
        "print([name for name in ('torch', 'wandb', 'timm', 'skimage', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
