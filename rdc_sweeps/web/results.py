"""The results of a table as rows of texts and numbers to sort by, for the pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rdc_sweeps.reporting.report import MISSING, Cell, Measure, Report, Row
from rdc_sweeps.reporting.statistics import Difference, Interval
from rdc_sweeps.web.curves import row_groups


@dataclass(frozen=True)
class Number:
    """A number in a table."""

    text: str
    value: float | str = ""
    """To sort by; empty for a missing one."""
    good: bool | None = None
    """Whether a change is for the better; None if it is none."""
    details: tuple[str, ...] = ()
    """Lines below it."""

    @property
    def style(self) -> str:
        """The class of its colour."""
        return "" if self.good is None else "good" if self.good else "bad"


@dataclass(frozen=True)
class ResultCell:
    """What the table shows of one metric of a row."""

    measured: Number
    gain: Number | None
    """Improvement over the row's baseline."""
    published: Number | None
    difference: Number | None
    """Measured less published, in the metric's unit."""


def result_rows(report: Report) -> list[dict[str, Any]]:
    """The rows, in the order of the table, with what each seed measured."""
    bases = set(row_groups(report))
    return [
        {
            "id": row.id,
            "method": row.method,
            "labels": list(zip(report.columns, row.labels, strict=True)),
            "baseline": row.baseline,
            # A line above it: what follows is compared with another row.
            "begins": place > 0 and (row.id in bases or row.baseline not in _above(report, place)),
            "cells": [_cell(row.cells[measure.key], measure) for measure in report.measures],
            "delta_m": _delta(row),
            "seeds": [
                {"outcome": found, "numbers": [_value(found.values, measure) for measure in report.measures]}
                for found in row.outcomes
            ],
        }
        for place, row in enumerate(report.rows)
    ]


def _above(report: Report, place: int) -> tuple[str | None, str]:
    """The baseline of the row above, and that row."""
    above = report.rows[place - 1]
    return above.baseline, above.id


def _value(values: Mapping[str, float | None], measure: Measure) -> str:
    value = values.get(measure.key)
    return MISSING if value is None else f"{value:.{measure.digits}f}"


def _cell(cell: Cell, measure: Measure) -> ResultCell:
    measured = Number(MISSING)
    if cell.value is not None:
        measured = Number(cell.text, cell.value, details=_interval(cell.interval, f".{measure.digits}f"))
    gain = published = difference = None
    if cell.improvement is not None:
        gain = _gain(cell.improvement, cell.difference)
    if cell.published:
        published = Number(
            cell.published,
            float(cell.published),
            details=() if cell.published_improvement is None else (f"{_signed(cell.published_improvement)} %",),
        )
        if cell.value is not None:
            less = cell.value - float(cell.published)
            text = f"{less:+.{measure.digits}f}"
            difference = Number(text, less, (less > 0) == measure.higher_is_better if float(text) else None)
    return ResultCell(measured, gain, published, difference)


def _delta(row: Row) -> Number | None:
    return None if row.delta_m is None else _gain(row.delta_m, row.difference)


def _gain(percent: float, difference: Difference | None) -> Number:
    """An improvement with its interval and verdict; only a verdict is coloured, since a sign alone may be chance."""
    verdict = difference.verdict if difference else None
    good = {"better": True, "worse": False}.get(verdict or "")
    details = (verdict, *_interval(difference.interval, "+.1f")) if difference and verdict else ()
    return Number(f"{_signed(percent)} %", percent, good, details)


def _interval(ends: Interval | None, form: str) -> tuple[str, ...]:
    return () if ends is None else (f"[{ends[0]:{form}}, {ends[1]:{form}}]",)


def _signed(percent: float) -> str:
    text = f"{percent:+.1f}"
    return text if float(text) else "0.0"


def shown_columns(report: Report) -> Sequence[tuple[str, str, bool]]:
    """Kinds of columns that a reader may hide: name, title, and whether they are shown at first."""
    cells = [cell for row in report.rows for cell in row.cells.values()]
    kinds = [
        ("property", "properties of the rows", True, bool(report.columns)),
        ("gain", "improvement over the baseline", True, any(cell.improvement is not None for cell in cells)),
        ("published", "published", True, any(cell.published for cell in cells)),
        # Of numbers that do not compare, the difference says nothing at first sight.
        (
            "difference",
            "measured less published",
            report.comparable,
            any(cell.published and cell.value for cell in cells),
        ),
    ]
    return [(name, title, shown) for name, title, shown, present in kinds if present]
