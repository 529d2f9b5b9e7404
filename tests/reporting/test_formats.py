"""Reports in each format, as goldens and read back."""

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from rich.console import Console

from rdc_sweeps.metrics.metric import MetricValues
from rdc_sweeps.reporting.formats import render, render_csv, render_json
from rdc_sweeps.reporting.json_schemas import output_schema
from rdc_sweeps.reporting.latex import render_latex
from rdc_sweeps.reporting.markdown import render_markdown
from rdc_sweeps.reporting.report import Report, build_report
from rdc_sweeps.reporting.terminal import render_terminal
from rdc_sweeps.texts import latex
from tests.reporting.golden import check_golden

Make = Callable[..., MetricValues]


def terminal(report: Report, width: int, *, statistics: bool = False) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, color_system=None, legacy_windows=False)
    console.print(render_terminal(report, statistics=statistics))
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


def verdicts(bench: Any, metrics: Make) -> Report:
    """Under `cpu`, with five seeds: all verdicts."""
    runs = bench.runs("cpu", seeds=range(5), rows=["one-patch-vector", "one-patch-pixel", "one-region-pixel"])
    for number, run in enumerate(runs):
        seed, noise = run.spec.seed / 3, number * 37 % 17 / 20
        changes = {
            "one-patch-vector": {},
            "one-patch-pixel": {"mIoU": 19.6 + seed + noise, "aErr": 1.0 + seed / 100 + noise / 100},
            "one-region-pixel": {"mIoU": 17 + seed + noise / 9},
        }
        bench.finish(run, metrics(seed, **changes[run.row.id]))
    return build_report(runs, bench.root)


def nothing(bench: Any, metrics: Make) -> Report:
    """Under `demo`: nothing done."""
    return build_report(bench.runs("demo"), bench.root)


CASES = {case.__name__: case for case in (three_seeds, one_seed, verdicts, nothing)}
RENDERERS: dict[str, Callable[[Report], str]] = {
    "120.txt": lambda report: terminal(report, 120),
    "100.txt": lambda report: terminal(report, 100),
    "80.txt": lambda report: terminal(report, 80),
    "statistics.80.txt": lambda report: terminal(report, 80, statistics=True),
    "md": render_markdown,
    "statistics.md": lambda report: render_markdown(report, statistics=True),
    "tex": render_latex,
    "csv": render_csv,
    "json": render_json,
}


@pytest.mark.parametrize("form", RENDERERS)
@pytest.mark.parametrize("case", CASES)
def test_rendered_texts(bench: Any, metrics: Make, case: str, form: str) -> None:
    text = RENDERERS[form](CASES[case](bench, metrics))
    check_golden(f"{case}.{form}", text)


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


def test_every_format_prints_the_text_of_a_cell(bench: Any, metrics: Make) -> None:
    report = three_seeds(bench, metrics)
    texts = {cell.text for row in report.rows for cell in row.cells.values()}
    assert {"X", "20.60 ± 0.60"} <= texts
    printed = {form: RENDERERS[form](report) for form in ("md", "csv", "json", "tex")}
    for text in texts:
        for form, found in printed.items():
            assert (latex(text) if form == "tex" else text) in found
        for width in (80, 120):
            # The deviation stands below the mean.
            assert all(part in terminal(report, width) for part in text.replace("± ", "±").split(" "))


def test_json_is_as_its_schema_says(bench: Any, metrics: Make) -> None:
    validator = jsonschema.Draft202012Validator(output_schema("report"))
    for case in CASES.values():
        data = json.loads(render_json(case(bench, metrics)))
        validator.validate(data)
        assert data["version"] == 1
    del data["rows"][0]["cells"]["mIoU"]["difference"]
    assert not validator.is_valid(data)


def test_all_verdicts_are_marked_and_explained(bench: Any, metrics: Make) -> None:
    report = verdicts(bench, metrics)
    found = {
        (row.id, key): cell.difference.verdict
        for row in report.rows
        for key, cell in row.cells.items()
        if cell.difference is not None
    }
    assert set(found.values()) == {"better", "worse", "cannot tell", "identical"}
    text = render_markdown(report)
    assert text.count("\\*)") == sum(verdict in {"better", "worse"} for verdict in found.values())
    assert text.count("=)") == sum(verdict == "identical" for verdict in found.values())
    assert "corrected by Holm" in text
    lines = list(csv.DictReader(io.StringIO(render_csv(report))))
    assert [line["aErr_improvement_verdict"] for line in lines] == ["", "better", "identical"]
    assert "corrected by Holm" not in render_markdown(one_seed(bench, metrics))


def test_statistics_list_all_differences(bench: Any, metrics: Make) -> None:
    report = verdicts(bench, metrics)
    for text in (terminal(report, 80, statistics=True), render_markdown(report, statistics=True)):
        assert len(re.findall(r"(better|worse|cannot tell|identical)( |$)", text, re.MULTILINE)) >= 2 * (
            len(report.measures) + 1
        )
        assert "one-patch-pixel − one-patch-vector, seeds 0, 1, 2, 3, 4" in text
    nothing_done = nothing(bench, metrics)
    assert terminal(nothing_done, 80, statistics=True) == terminal(nothing_done, 80)


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


def test_a_report_of_several_seeds_imports_no_heavy_packages(bench: Any, metrics: Make) -> None:
    runs = bench.runs("cpu", rows=["one-patch-vector", "one-patch-pixel"], seeds=[0, 1])
    for number, run in enumerate(runs):
        bench.finish(run, metrics(number**2))
    code = (
        "import sys; from pathlib import Path; from rdc_sweeps.specs.catalogue import Catalogue\n"
        "from rdc_sweeps.reporting.formats import render_json\n"
        "from rdc_sweeps.reporting.report import build_report\n"
        f"runs = Catalogue(Path({str(bench.experiments)!r})).runs('table3', 'cpu', "
        "rows=['one-patch-vector', 'one-patch-pixel'], seeds=[0, 1])\n"
        f'assert \'"verdict": "cannot tell"\' in render_json(build_report(runs, Path({str(bench.root)!r})))\n'
        "heavy = {'torch', 'wandb', 'timm', 'skimage', 'matplotlib', 'pandas', 'statsmodels', 'scipy.stats'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
