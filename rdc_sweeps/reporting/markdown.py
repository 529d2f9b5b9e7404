"""A report as a GitHub-flavoured Markdown table."""

from rdc_sweeps.reporting.lines import (
    DIFFERENCE_HEAD,
    DIFFERENCES,
    DIFFERENCES_NOTE,
    compared_rows,
    difference_lines,
    differences_title,
    header_lines,
    missing_lines,
    note_lines,
    remedy,
    signed,
)
from rdc_sweeps.reporting.report import Report
from rdc_sweeps.reporting.statistics import Difference
from rdc_sweeps.texts import markdown


def render_markdown(report: Report, *, statistics: bool = False) -> str:
    """Heading, header lines, a table with published beside measured values, differences if asked for, and notes."""
    head, alignment = ["Row"], [":--"]
    for column in report.columns:
        head.append(markdown(column.title))
        alignment.append(":-:" if column.mark else ":--")
    for measure in report.measures:
        head.append(f"{measure.title} {'↑' if measure.higher_is_better else '↓'}")
        alignment.append("--:")
        if measure.published:
            head.append("published")
            alignment.append("--:")
    head.append("Δm %")
    alignment.append("--:")
    lines = [f"## {markdown(report.table)}: {markdown(report.title)}", ""]
    lines += [f"- **{name}** {markdown(value)}" for name, value in header_lines(report)]
    lines += ["", _line(head), _line(alignment)]
    for row in report.rows:
        cells = [markdown(row.id), *(_label(label) for label in row.labels)]
        for measure in report.measures:
            cell = row.cells[measure.key]
            cells.append(_with_gain(cell.text, cell.improvement, cell.difference))
            if measure.published:
                cells.append(_with_gain(cell.published or "", cell.published_improvement))
        cells.append("" if row.delta_m is None else _gain(row.delta_m, row.difference))
        lines.append(_line(cells))
    lines.append("")
    if statistics:
        lines += _differences(report)
    lines += [f"- X: {markdown(text)}" for text in missing_lines(report)]
    if command := remedy(report):
        lines.append(f"- To train the missing runs: `{command}`")
    lines += [f"- {markdown(text)}" for text in note_lines(report)]
    return "\n".join(lines) + "\n"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _label(label: str | bool) -> str:
    return markdown(label) if isinstance(label, str) else "✓" if label else ""


def _with_gain(text: str, gain: float | None, difference: Difference | None = None) -> str:
    return text if gain is None else f"{text} ({_gain(gain, difference)})"


def _gain(gain: float, difference: Difference | None) -> str:
    return signed(gain) + markdown(difference.mark if difference else "")


def _differences(report: Report) -> list[str]:
    """A table of all differences, with their intervals, tests and verdicts."""
    lines = [_line(["Row", *DIFFERENCE_HEAD]), _line([":--", ":--", *["--:"] * 4, ":--", "--:"])]
    for row in compared_rows(report):
        found = difference_lines(report, row)
        names = [differences_title(row), *[""] * (len(found) - 1)]
        lines += [_line([markdown(text) for text in (name, *line)]) for name, line in zip(names, found, strict=True)]
    return [f"### {DIFFERENCES}", "", *lines, "", f"- {DIFFERENCES_NOTE}"] if len(lines) > 2 else []
