"""Lines that all text formats share: the header of a report, and those about missing runs."""

import shlex
from collections.abc import Sequence

from rdc_sweeps.reporting.report import Report
from rdc_sweeps.reporting.statistics import Difference


def header_lines(report: Report) -> list[tuple[str, str]]:
    """The header, as names and values: profile, data, selection rule, seeds, common properties."""
    lines = [("profile", f"{report.profile}: {report.profile_title}")]
    lines += [("data", text) for text in report.data]
    lines += [("selection", report.selection), ("seeds", ", ".join(map(str, report.seeds)))]
    if report.facts:
        lines.append(("all rows", ", ".join(f"{name} {value}" for name, value in report.facts.items())))
    return lines


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
