"""A report: the results of a table beside the published numbers, and a list of missing runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Literal

from rdc_sweeps.errors import UsageError
from rdc_sweeps.metrics.metric import METRICS, MainMetric, Meter, shown_for
from rdc_sweeps.metrics.selection import Selection
from rdc_sweeps.reporting.axes import Column, common_facts, label_columns, labels
from rdc_sweeps.reporting.differences import DELTA_M, differences_by_measure, gains_of
from rdc_sweeps.reporting.notes import describe_data, notes
from rdc_sweeps.reporting.outcomes import Outcome, data_of, images_of, outcome
from rdc_sweeps.reporting.published import inconsistencies, printed_gain, published
from rdc_sweeps.reporting.statistics import Difference, Interval, Statistics, deviation, mean_interval
from rdc_sweeps.runs.directory import OpenRun, RunDirectory
from rdc_sweeps.specs.catalogue import Run, unknown
from rdc_sweeps.specs.table import RowSpec, TableSpec

MISSING = "X"
"""The text of a cell without a value."""

DEVIATION = " ± "
"""Between the mean and its deviation in the text of a cell."""


@dataclass(frozen=True)
class Measure:
    """A column of measured values."""

    key: str
    """The metric's name in results."""
    title: str
    digits: int
    higher_is_better: bool
    published: MainMetric | None
    """The published metric that is shown beside it."""
    meter: Meter | None = None
    """The meter, of a metric that is measured with two."""


@dataclass(frozen=True)
class Cell:
    """A measured value, its text, and the runs it is computed from."""

    value: float | None
    """Mean over the seeds; None if it is missing for any seed."""
    sd: float | None
    """Sample standard deviation over the seeds; None for one seed."""
    n: int
    """Number of seeds averaged; 0 if the value is missing."""
    interval: Interval | None
    """95 % t interval of the mean over the seeds; None for one seed."""
    text: str
    """What every format prints: the mean, with its deviation."""
    runs: tuple[str, ...]
    improvement: float | None
    """Percent over the row's baseline; + is better. The mean of `difference`."""
    difference: Difference | None
    """Improvements over the baseline in percent, paired by seed, with interval, p values and verdict. None without a
    baseline, if a value of either row is missing, or if they have no seed in common."""
    published: str | None
    """As printed."""
    published_improvement: float | None
    """As printed; if the paper prints none, computed from the published values of the row and its baseline."""


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    id: str
    method: str
    labels: tuple[str | bool, ...]
    """One per label column of the report."""
    baseline: str | None
    cells: Mapping[str, Cell]
    """By metric."""
    delta_m: float | None
    """Mean improvement over the table's metrics, aErr and mErr by the honest meter. The mean of `difference`."""
    difference: Difference | None
    """delta-m, paired by seed, as that of a cell."""
    outcomes: tuple[Outcome, ...]
    """One per seed."""


@dataclass(frozen=True)
class Report:
    """A table of results with all that is needed to interpret them."""

    version: Literal[1] = field(default=1, kw_only=True)
    """Of its form as JSON (`rdc-sweep schema report`); another one may lack these fields, or mean something else."""
    table: str
    title: str
    profile: str
    profile_title: str
    comparable: bool
    """Whether the numbers are comparable with the published ones."""
    changes: tuple[str, ...]
    """Assignments of `--set` that changed the runs."""
    data: tuple[str, ...]
    selection: Selection
    seeds: tuple[int, ...]
    facts: Mapping[str, str]
    """What all rows share."""
    columns: tuple[Column, ...]
    measures: tuple[Measure, ...]
    rows: tuple[Row, ...]
    missing: tuple[Outcome, ...]
    """Runs whose metrics are missing, and why."""
    statistics: Statistics
    """How the intervals and verdicts were computed."""
    notes: tuple[str, ...]

    @property
    def has_verdicts(self) -> bool:
        """Whether any difference has a verdict: whether a row and its baseline have several seeds."""
        found = (
            one for row in self.rows for one in (row.difference, *(cell.difference for cell in row.cells.values()))
        )
        return any(one is not None and one.verdict is not None for one in found)


def build_report(
    runs: Sequence[Run],
    root: Path,
    *,
    selection: Selection | None = None,
    baseline: str | None = None,
    open_run: OpenRun = RunDirectory,
) -> Report:
    """Read the finished runs of a table.

    Args:
        runs: Runs of one table under one profile.
        root: The runs folder.
        selection: Which epoch counts; None for the profile's rule.
        baseline: Row that all improvements are relative to; None for each row's own baseline.
        open_run: Opens a run's directory.

    Raises:
        UsageError: There are no runs, or the baseline is not one of their rows.
    """
    if not runs:
        raise UsageError("there are no runs to report; name at least one row and seed")
    table, profile = runs[0].table, runs[0].profile
    rows = {run.row.id: run.row for run in runs}
    if baseline is not None and baseline not in rows:
        raise UsageError(unknown("row to be the baseline", baseline, rows))
    rule = selection or profile.selection
    changes = tuple(dict.fromkeys(change for run in runs for change in run.changes))
    measures = measures_of(table)
    keys = [measure.key for measure in measures]
    records = data_of(runs, root, open_run)
    counted = images_of(runs, root, records, open_run)
    outcomes = {
        row: tuple(outcome(run, root, rule, keys, open_run) for run in runs if run.row.id == row) for row in rows
    }
    baselines = {row: _baseline(spec, baseline) for row, spec in rows.items()}
    gains = gains_of(table.metrics)
    compared = differences_by_measure(outcomes, [(row, base) for row, base in baselines.items() if base], gains)
    columns = label_columns(runs)
    built = []
    for row in rows.values():
        base = baselines[row.id]
        first = next(run for run in runs if run.row.id == row.id)
        differences = {key: found.get((row.id, base or "")) for key, found in compared.items()}
        delta = differences[DELTA_M]
        cells = {
            measure.key: _cell(
                measure, row, rows.get(base) if base else None, outcomes[row.id], differences[measure.key]
            )
            for measure in measures
        }
        built.append(
            Row(
                id=row.id,
                method=row.method,
                labels=labels(first, columns),
                baseline=base,
                cells=cells,
                delta_m=delta.mean if delta else None,
                difference=delta,
                outcomes=outcomes[row.id],
            )
        )
    shown = any(cell.published_improvement is not None for row in built for cell in row.cells.values())
    printed = any(row.published_improvement for row in rows.values()) if shown else None
    return Report(
        table=table.table,
        title=table.title,
        profile=profile.profile,
        profile_title=profile.title,
        comparable=profile.comparable and not changes,
        changes=changes,
        data=describe_data(runs, counted),
        selection=rule,
        seeds=tuple(sorted({run.spec.seed for run in runs})),
        facts=common_facts(runs),
        columns=columns,
        measures=measures,
        rows=tuple(built),
        missing=tuple(found for row in outcomes.values() for found in row if found.cause is not None),
        statistics=Statistics.of(compared),
        notes=notes(
            runs,
            changes,
            selection=rule,
            baselines=[row.baseline for row in built],
            metrics=[METRICS[measure.key] for measure in measures],
            printed=printed,
            inconsistent=[one.text for one in inconsistencies(table)] if printed else [],
            records=records,
        ),
    )


def measures_of(table: TableSpec) -> tuple[Measure, ...]:
    """The measured columns of a table: its metrics, and aErr and mErr by both meters.

    Published values are shown beside the released meters, with which they were measured. Networks that normalise their
    normals (SegNet) have the same mErr on both meters, and those that predict no negative depth the same aErr.
    """
    return tuple(
        Measure(
            metric.name, metric.column_title, metric.digits, metric.higher_is_better, metric.published, metric.meter
        )
        for name in table.metrics
        for metric in shown_for(name)
    )


def _baseline(row: RowSpec, chosen: str | None) -> str | None:
    """The row that a row's improvements are relative to; no row is its own baseline."""
    base = row.baseline if chosen is None else chosen
    return None if base == row.id else base


def _cell(
    measure: Measure, row: RowSpec, base: RowSpec | None, outcomes: Sequence[Outcome], difference: Difference | None
) -> Cell:
    values = [value for found in outcomes if (value := found.values.get(measure.key)) is not None]
    complete = len(values) == len(outcomes)
    mean = fmean(values) if complete else None
    sd = deviation(values) if complete else None
    text = MISSING if mean is None else f"{mean:.{measure.digits}f}"
    return Cell(
        value=mean,
        sd=sd,
        n=len(values) if complete else 0,
        interval=mean_interval(values) if complete else None,
        text=text if sd is None else f"{text}{DEVIATION}{sd:.{measure.digits}f}",
        runs=tuple(found.run for found in outcomes),
        improvement=difference.mean if difference else None,
        difference=difference,
        published=published(row.published, measure.published),
        published_improvement=printed_gain(row, base, measure.published),
    )
