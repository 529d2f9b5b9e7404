"""LaTeX that compiles, whatever the texts of a table are."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdc_sweeps.metrics.metric import MetricValues
from rdc_sweeps.reporting.latex import PREAMBLE, render_latex
from rdc_sweeps.reporting.report import Report, build_report
from rdc_sweeps.texts import latex

Make = Callable[..., MetricValues]
HOSTILE = r"\input{/etc/passwd} [b] *x* {a} $1 & #2 50% a_b ~^ <c> | `d` 'e' \"f\" -- --- é ü ł 中 ± × ✓ \\ \end{table}"


def finished(bench: Any, metrics: Make, **choice: Any) -> Report:
    runs = bench.runs("cpu", seeds=[0, 1, 2], **choice)
    for run in runs:
        gain = run.spec.seed / 10 + (5.0 if run.row.id.endswith("gaussian") else 0.0)
        bench.finish(run, metrics(gain + len(run.row.id) % 3))
    return build_report(runs, bench.root)


def line(text: str, number: int) -> list[str]:
    """Cells of a measured line of the table."""
    body = text.partition(r"\midrule")[2].partition(r"\bottomrule")[0]
    lines = [one for one in body.splitlines() if "published" not in one and one.startswith(("one", "rand", "label"))]
    return [cell.strip() for cell in lines[number].removesuffix(r"\\").split(" & ")]


def test_the_best_of_comparable_rows_is_bold_and_verdicts_are_marked(bench: Any, metrics: Make) -> None:
    report = finished(bench, metrics)
    text = render_latex(report)
    for number, row in enumerate(report.rows):
        cells = line(text, number)
        for place, measure in enumerate(report.measures):
            cell = row.cells[measure.key]
            shown = cells[len(report.columns) + place]
            assert latex(cell.text) in shown
            rivals = [one.cells[measure.key].value for one in report.rows if one.labels[0] == row.labels[0]]
            best = (max if measure.higher_is_better else min)(value for value in rivals if value is not None)
            assert (r"\textbf{" in shown) == (
                cell.text == f"{best:.{measure.digits}f}{cell.text[cell.text.index(' ') :]}"
            )
            assert ("^{*}" in shown) == (cell.difference is not None and cell.difference.mark == "*")
    assert "^{*}" in text


def test_missing_values_are_x_and_nothing_is_bold(bench: Any) -> None:
    report = build_report(bench.runs("cpu", rows=["one-patch-vector", "one-patch-pixel"]), bench.root)
    text = render_latex(report)
    assert text.count("& X") == 2 * len(report.measures)
    assert r"\textbf" not in text
    assert "X: planned, not started" in text


def test_rows_that_labels_do_not_tell_apart_are_named(bench: Any, metrics: Make) -> None:
    report = finished(bench, metrics, rows=["one-patch-vector", "one-patch-pixel"])
    same = replace(report, rows=tuple(replace(row, labels=report.rows[0].labels) for row in report.rows))
    assert "one-patch-pixel" not in render_latex(report).partition(r"\midrule")[2].partition(r"\bottomrule")[0]
    assert r"one-patch-pixel &" in render_latex(same)


@given(st.text())
def test_escaped_text_has_no_commands_but_ours(text: str) -> None:
    escaped = latex(text)
    assert not set(re.sub(r"\\[a-zA-Z]+(\{\})?|\\[{}$&#%_()]|\{[\[\]*]\}|-\{\}", "", escaped)) & set("\\{}$&#%_~^[]*\n")
    assert "--" not in escaped


@pytest.mark.slow
def test_tables_compile(bench: Any, metrics: Make, tmp_path: Path) -> None:
    if shutil.which("pdflatex") is None:
        if os.environ.get("RDC_REQUIRE_LATEX") == "1":
            pytest.fail("RDC_REQUIRE_LATEX=1, but there is no pdflatex")
        pytest.skip("needs pdflatex, with booktabs")
    report = finished(bench, metrics)
    hostile = replace(
        report,
        title=HOSTILE,
        notes=(*report.notes, HOSTILE),
        rows=tuple(replace(row, labels=(HOSTILE, *row.labels[1:])) for row in report.rows),
    )
    nothing = build_report(bench.runs("demo"), bench.root)
    tables = "\n".join(map(render_latex, (report, hostile, nothing)))
    document = f"\\documentclass{{article}}\n{PREAMBLE}\n\\begin{{document}}\n{tables}\\end{{document}}\n"
    (tmp_path / "report.tex").write_text(document, encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "report.tex"],
        cwd=tmp_path,
        capture_output=True,
        timeout=120,
    )
    log = done.stdout.decode(errors="replace")
    assert done.returncode == 0, log[-3000:]
    assert "Output written on report.pdf" in log
    # Tables are as wide as the page's text; what is set in a paragraph may stand out by a little.
    overfull = [float(width) for width in re.findall(r"Overfull \\hbox \(([0-9.]+)pt", log)]
    assert max(overfull, default=0) < 40, log[-3000:]
