"""A report as a LaTeX table, to be read in by a document."""

import re
from collections.abc import Mapping, Sequence

from rdc_sweeps.reporting.lines import header_lines, missing_lines, note_lines, signed
from rdc_sweeps.reporting.report import Cell, Measure, Report, Row
from rdc_sweeps.reporting.statistics import Difference
from rdc_sweeps.texts import latex

PREAMBLE = r"\usepackage{amssymb,booktabs,graphicx}"
"""What the document needs; all three packages are in every TeX distribution."""

SETTING = ("label_setting", "backbone")
"""Label columns of which comparable rows have the same values: they differ in their methods only."""


def render_latex(report: Report) -> str:
    """A table with a caption and a label: check marks, improvements with marks, published numbers below, notes.

    The best value of each column is bold, among the rows with the same label setting and backbone.
    """
    best = _best(report)
    marks = [column.mark for column in report.columns]
    # Ids name the rows if their labels do not.
    named = len({row.labels for row in report.rows}) == len(report.rows)
    titles = [*([] if named else ["Row"]), *(column.title for column in report.columns)]
    alignment = ("" if named else "l") + "".join("c" if mark else "l" for mark in marks)
    head = [latex(title) for title in titles]
    head += [rf"{latex(measure.title)} \({_arrow(measure)}\)" for measure in report.measures]
    lines = [
        f"% Needs {PREAMBLE}",
        r"\begin{table}",
        r"\centering\setlength{\tabcolsep}{3pt}",
        rf"\caption{{{latex(f'{report.title} ({report.table}, profile {report.profile})')}}}",
        rf"\label{{tab:{report.table}}}",
        r"\resizebox{\linewidth}{!}{%",
        rf"\begin{{tabular}}{{{alignment}{'r' * (len(report.measures) + 1)}}}",
        r"\toprule",
        _line([*head, r"\(\Delta\)m \%"]),
        r"\midrule",
    ]
    for row, following in zip(report.rows, (*report.rows[1:], None), strict=True):
        lines += _row_lines(report, row, best, named=named)
        if following and following.baseline not in (row.baseline, row.id):
            lines.append(r"\midrule")
    lines += [r"\bottomrule", r"\end{tabular}}", r"\par\smallskip", r"\begin{minipage}{\linewidth}\scriptsize"]
    lines += [rf"{latex(name)}: {latex(value)}.\\" for name, value in header_lines(report)]
    notes = [*(f"X: {text}." for text in missing_lines(report)), *note_lines(report)]
    bold = "Bold: the best of a column among rows with the same label setting and backbone."
    lines += [" ".join(_note(text) for text in (*notes, bold))]
    return "\n".join([*lines, r"\end{minipage}", r"\end{table}"]) + "\n"


def _arrow(measure: Measure) -> str:
    return r"\uparrow" if measure.higher_is_better else r"\downarrow"


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _row_lines(report: Report, row: Row, best: Mapping[tuple[str, str], bool], *, named: bool) -> list[str]:
    """A line with the measured values, and one with the published ones, if there are any."""
    names = [*([] if named else [row.id]), *row.labels]
    labels = [r"\checkmark" if name is True else latex(name or "") for name in names]
    cells = [_cell(row.cells[measure.key], bold=best[row.id, measure.key]) for measure in report.measures]
    lines = [_line([*labels, *cells, "" if row.delta_m is None else _gain(row.delta_m, row.difference)])]
    if any(cell.published for cell in row.cells.values()):
        published = [_published(row.cells[measure.key]) for measure in report.measures]
        first = r"\itshape published" if isinstance(names[0], str) else ""
        lines.append(_line([first, *[""] * (len(labels) - 1), *published, ""]))
    return lines


def _cell(cell: Cell, *, bold: bool) -> str:
    text = latex(cell.text)
    text = rf"\textbf{{{text}}}" if bold else text
    return text if cell.improvement is None else f"{text} ({_gain(cell.improvement, cell.difference)})"


def _gain(gain: float, difference: Difference | None = None) -> str:
    mark = difference.mark if difference else ""
    return rf"\({signed(gain, 1)}{f'^{{{mark}}}' if mark else ''}\)"


def _published(cell: Cell) -> str:
    if cell.published is None:
        return ""
    gain = "" if cell.published_improvement is None else f" ({_gain(cell.published_improvement)})"
    return rf"\itshape {latex(cell.published)}{gain}"


def _note(text: str) -> str:
    """A note; what it sets in backquotes is set in a typewriter font."""
    parts = re.split("`([^`]*)`", text)
    return "".join(rf"\texttt{{{latex(part)}}}" if index % 2 else latex(part) for index, part in enumerate(parts))


def _best(report: Report) -> dict[tuple[str, str], bool]:
    """By row and measure, whether its value is the best, as printed, of two or more comparable ones."""
    places = [index for index, column in enumerate(report.columns) if column.key in SETTING]
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in report.rows:
        groups.setdefault(tuple(row.labels[place] for place in places), []).append(row)
    found: dict[tuple[str, str], bool] = {}
    for rows in groups.values():
        for measure in report.measures:
            values = {
                row.id: round(value, measure.digits)
                for row in rows
                if (value := row.cells[measure.key].value) is not None
            }
            top = (max if measure.higher_is_better else min)(values.values(), default=None)
            found |= {(row.id, measure.key): len(values) > 1 and values.get(row.id) == top for row in rows}
    return found
