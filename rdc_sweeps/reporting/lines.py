"""Lines that all text formats share: the header of a report, and those about missing runs."""

import shlex
from collections.abc import Sequence

from rdc_sweeps.reporting.report import Report, Row
from rdc_sweeps.reporting.statistics import Difference


def header_lines(report: Report) -> list[tuple[str, str]]:
    """The header, as names and values: profile, data, selection rule, seeds, common properties."""
    lines = [("profile", f"{report.profile}: {report.profile_title}")]
    lines += [("data", text) for text in report.data]
    lines += [("selection", report.selection), ("seeds", ", ".join(map(str, report.seeds)))]
    if report.facts:
        lines.append(("all rows", ", ".join(f"{name} {value}" for name, value in report.facts.items())))
    return lines


LEGEND = (
    "`*`: better or worse than the baseline; `=`: identical for every seed; no mark: these seeds cannot tell. By "
    "two-sided t tests paired by seed, corrected by Holm over the rows of each column, so that the chance of any wrong "
    "`*` in a column is at most 5 %."
)

DIFFERENCES = "Differences to the baseline, paired by seed"

DIFFERENCES_NOTE = (
    "Gains are improvements in percent. Intervals are 95 % t intervals of the mean, not corrected. p: of a two-sided "
    "paired t test; p (Holm): corrected over the rows for each measure. Shows: the true gain that these seeds would "
    "have shown with a chance of 80 %, if their deviation is the true one."
)

DIFFERENCE_HEAD = ("measure", "gain %", "95 % interval", "p", "p (Holm)", "verdict", "shows")
"""Titles of the lines of differences. `shows`: the true gain that the seeds would have shown."""


def difference_lines(report: Report, row: Row) -> list[tuple[str, ...]]:
    """A line for each measure, and for delta-m, in which a row and its baseline were compared."""
    found = [(measure.title, row.cells[measure.key].difference) for measure in report.measures]
    return [_difference_line(title, one) for title, one in (*found, ("Δm", row.difference)) if one is not None]


def _difference_line(title: str, found: Difference) -> tuple[str, ...]:
    smallest = "" if found.smallest is None else f"{found.smallest:.2f}"
    gain = f"{signed(found.mean)}{found.mark}"
    tests = (p_text(found.p), p_text(found.p_holm), found.verdict or "one seed", smallest)
    return title, gain, interval_text(found), *tests


def differences_title(row: Row) -> str:
    """What is compared with what, and by how many seeds."""
    seeds = row.difference or next((one.difference for one in row.cells.values() if one.difference), None)
    return f"{row.id} − {row.baseline}" + (f", {_seeds(seeds.seeds)}" if seeds else "")


def compared_rows(report: Report) -> list[Row]:
    """The rows that were compared with their baseline."""
    return [row for row in report.rows if row.difference or any(cell.difference for cell in row.cells.values())]


def note_lines(report: Report) -> list[str]:
    """The notes, and the legend of the marks if there are any."""
    return [*report.notes, *([LEGEND] if report.has_verdicts else [])]


def missing_lines(report: Report) -> list[str]:
    """A line for each state and cause among the missing runs, with rows and seeds."""
    groups: dict[tuple[str, str | None], dict[str, list[int]]] = {}
    for found in report.missing:
        groups.setdefault((found.state, found.cause), {}).setdefault(found.row, []).append(found.seed)
    lines = []
    for (state, cause), rows in groups.items():
        where = ", ".join(f"{row} ({_seeds(seeds)})" for row, seeds in rows.items())
        lines.append(f"{state}, {cause} — {where}")
    return lines


def remedy(report: Report) -> str | None:
    """The command that completes the report; None if none is needed."""
    states = {found.state for found in report.missing}
    if not states & {"planned", "preempted", "failed"}:
        return None
    command = run_command(report.table, (), report.profile, report.seeds, report.changes)
    return command + (" --retry-failed" if "failed" in states else "")


def run_command(table: str, rows: Sequence[str], profile: str, seeds: Sequence[int], changes: Sequence[str]) -> str:
    """The command that trains these rows and seeds of a table; no rows: all."""
    words = ["rdc-sweep", "run", table, *rows, "--profile", profile, "--seeds", ",".join(map(str, seeds))]
    return shlex.join([*words, *(word for change in changes for word in change.split(" ", 1))])


def signed(percent: float, digits: int = 2) -> str:
    """An improvement with its sign; none for what rounds to 0."""
    text = f"{percent:+.{digits}f}"
    return text if float(text) else text[1:]


def interval_text(found: Difference) -> str:
    """The interval of a difference in percent; empty for one seed."""
    return " to ".join(signed(edge) for edge in found.interval) if found.interval else ""


def p_text(value: float | None) -> str:
    """A p value to four digits; empty if there is none."""
    if value is None:
        return ""
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def _seeds(seeds: Sequence[int]) -> str:
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
