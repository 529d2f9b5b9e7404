"""A report in each of its formats."""

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Literal

from rich.console import Console

from rdc_sweeps.reporting.differences import DELTA_M
from rdc_sweeps.reporting.latex import render_latex
from rdc_sweeps.reporting.markdown import render_markdown
from rdc_sweeps.reporting.report import MISSING, Report
from rdc_sweeps.reporting.statistics import Difference, Interval
from rdc_sweeps.reporting.terminal import render_terminal
from rdc_sweeps.texts import TextConsole, csv_cell

PrintedFormat = Literal["terminal", "markdown", "latex", "csv", "json"]
"""A format that is printed."""

Format = Literal["terminal", "markdown", "latex", "csv", "json", "html"]
"""`html` is a folder of pages (see `web`)."""

SINGLE: tuple[Format, ...] = ("csv", "json")
"""Formats in which a text has one report."""

FILE_WIDTH = 120
"""Columns of a terminal report that is written to a file or pipe."""


def render(report: Report, form: PrintedFormat, console: Console, *, statistics: bool = False) -> None:
    """Print a report; text formats are written as they are, without wrapping or colour.

    Args:
        report: The report.
        form: The format.
        console: Where to print it.
        statistics: Whether a terminal and Markdown list all differences; CSV and JSON always have them.
    """
    if form == "terminal":
        wide = console if console.is_terminal else TextConsole(file=console.file, width=FILE_WIDTH, color_system=None)
        wide.print(render_terminal(report, statistics=statistics))
    elif form == "markdown":
        console.file.write(render_markdown(report, statistics=statistics))
    else:
        console.file.write(TEXTS[form](report))


def render_json(report: Report) -> str:
    """All fields of the report, by name, as JSON."""
    return json.dumps(asdict(report), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def render_csv(report: Report) -> str:
    """A header line and a line per row at full precision; X for a missing value, empty if none can exist."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    head = ["table", "profile", "comparable", "data", "selection", "row", "method"]
    # Every row has its method already.
    others = [index for index, column in enumerate(report.columns) if column.key != "method"]
    head += [report.columns[index].key for index in others]
    head += ["seeds", "runs", "baseline"]
    for measure in report.measures:
        head += [measure.key, *(f"{measure.key}_{part}" for part in ("text", "sd", "low", "high"))]
        head += _difference_head(f"{measure.key}_improvement")
        if measure.published:
            head += [f"{measure.key}_published", f"{measure.key}_published_improvement"]
    writer.writerow([*head, *_difference_head(DELTA_M)])
    for row in report.rows:
        line: list[object] = [report.table, report.profile, report.comparable, "; ".join(report.data)]
        line += [report.selection, row.id, row.method]
        line += ["✓" if label is True else label or "" for label in (row.labels[index] for index in others)]
        line += [" ".join(str(found.seed) for found in row.outcomes)]
        line += [" ".join(found.run for found in row.outcomes), row.baseline or ""]
        for measure in report.measures:
            cell = row.cells[measure.key]
            line += [MISSING if cell.value is None else cell.value, cell.text, _number(cell.sd)]
            line += [*_ends(cell.interval), *_difference_cells(cell.difference)]
            if measure.published:
                line += [cell.published or "", _number(cell.published_improvement)]
        line += _difference_cells(row.difference)
        writer.writerow([csv_cell(value) if isinstance(value, str) else value for value in line])
    return file.getvalue()


def _difference_head(name: str) -> list[str]:
    return [name, *(f"{name}_{part}" for part in ("low", "high", "p", "p_holm", "verdict", "smallest"))]


def _difference_cells(found: Difference | None) -> list[object]:
    if found is None:
        return [""] * 7
    tests = [_number(found.p), _number(found.p_holm), found.verdict or "", _number(found.smallest)]
    return [found.mean, *_ends(found.interval), *tests]


def _ends(interval: Interval | None) -> tuple[float | str, float | str]:
    return interval or ("", "")


def _number(value: float | None) -> float | str:
    return "" if value is None else value


TEXTS: Mapping[str, Callable[[Report], str]] = {"latex": render_latex, "csv": render_csv, "json": render_json}
"""Formats that are plain text and have one form."""
