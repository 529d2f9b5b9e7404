"""A report as a GitHub-flavoured Markdown table."""

from rdc_sweeps.reporting.lines import header_lines, missing_lines, remedy
from rdc_sweeps.reporting.report import Report
from rdc_sweeps.texts import markdown


def render_markdown(report: Report) -> str:
    """Heading, header lines, a table with published beside measured values, and notes."""
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
            cells.append(_with_gain(cell.text, cell.improvement))
            if measure.published:
                cells.append(_with_gain(cell.published or "", cell.published_improvement))
        cells.append("" if row.delta_m is None else f"{row.delta_m:+.2f}")
        lines.append(_line(cells))
    lines.append("")
    lines += [f"- X: {markdown(text)}" for text in missing_lines(report)]
    if command := remedy(report):
        lines.append(f"- To train the missing runs: `{command}`")
    lines += [f"- {markdown(text)}" for text in report.notes]
    return "\n".join(lines) + "\n"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _label(label: str | bool) -> str:
    return markdown(label) if isinstance(label, str) else "✓" if label else ""


def _with_gain(text: str, gain: float | None) -> str:
    return text if gain is None else f"{text} ({gain:+.2f})"
