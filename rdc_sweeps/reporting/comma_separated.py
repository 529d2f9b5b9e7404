"""A report as CSV: a line per row of the table, numbers at full precision."""

import csv
import io

from rdc_sweeps.reporting.report import MISSING, Report


def render_csv(report: Report) -> str:
    """A header line and a line per row; X where a value is missing, nothing where there cannot be one."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    head = ["table", "profile", "comparable", "data", "selection", "row", "method"]
    head += [column.key for column in report.columns]
    head += ["seeds", "runs", "baseline"]
    for measure in report.measures:
        head += [measure.key, f"{measure.key}_sd", f"{measure.key}_improvement"]
        if measure.published:
            head += [f"{measure.key}_published", f"{measure.key}_published_improvement"]
    writer.writerow([*head, "delta_m"])
    for row in report.rows:
        line: list[object] = [report.table, report.profile, report.comparable, "; ".join(report.data)]
        line += [report.selection, row.id, row.method]
        line += ["✓" if label is True else label or "" for label in row.labels]
        line += [" ".join(str(found.seed) for found in row.outcomes)]
        line += [" ".join(found.run for found in row.outcomes), row.baseline or ""]
        for measure in report.measures:
            cell = row.cells[measure.key]
            line += [MISSING if cell.value is None else cell.value, _number(cell.sd), _number(cell.improvement)]
            if measure.published:
                line += [cell.published or "", _number(cell.published_improvement)]
        writer.writerow([*line, _number(row.delta_m)])
    return file.getvalue()


def _number(value: float | None) -> float | str:
    return "" if value is None else value
