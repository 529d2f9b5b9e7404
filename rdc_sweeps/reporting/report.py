"""A report: the results of a table beside the published numbers, and a list of missing runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from rdc_sweeps.errors import UsageError
from rdc_sweeps.metrics.delta import delta_m, improvement_percent
from rdc_sweeps.metrics.metric import METRICS, MainMetric, shown_for
from rdc_sweeps.metrics.selection import Selection
from rdc_sweeps.reporting.axes import Column, common_facts, label_columns, labels
from rdc_sweeps.reporting.notes import describe_data, notes
from rdc_sweeps.reporting.outcomes import Outcome, data_of, images_of, outcome
from rdc_sweeps.specs.catalogue import Run, unknown
from rdc_sweeps.specs.table import Published, RowSpec, TableSpec

MISSING = "X"
"""The text of a cell without a value."""


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


@dataclass(frozen=True)
class Cell:
    """A measured value, its text, and the runs it is computed from."""

    value: float | None
    """Mean over the seeds; None if it is missing for any seed."""
    sd: float | None
    """Sample standard deviation over the seeds; None for one seed."""
    n: int
    """Number of seeds averaged; 0 if the value is missing."""
    text: str
    runs: tuple[str, ...]
    improvement: float | None
    """Percent over the row's baseline; + is better."""
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
    """Mean improvement over the table's metrics, aErr and mErr by the honest meter."""
    outcomes: tuple[Outcome, ...]
    """One per seed."""


@dataclass(frozen=True)
class Report:
    """A table of results with all that is needed to interpret them."""

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
    notes: tuple[str, ...]


def build_report(
    runs: Sequence[Run], root: Path, *, selection: Selection | None = None, baseline: str | None = None
) -> Report:
    """Read the finished runs of a table.

    Args:
        runs: Runs of one table under one profile.
        root: The runs folder.
        selection: Which epoch counts; None for the profile's rule.
        baseline: Row that all improvements are relative to; None for each row's own baseline.

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
    records = data_of(runs, root)
    counted = images_of(runs, root, records)
    outcomes = {row: tuple(outcome(run, root, rule, keys) for run in runs if run.row.id == row) for row in rows}
    means = {row: _means(found, keys) for row, found in outcomes.items()}
    columns = label_columns(runs)
    built = []
    for row in rows.values():
        base = row.baseline if baseline is None else baseline
        base = None if base == row.id else base
        first = next(run for run in runs if run.row.id == row.id)
        base_means = means.get(base, {}) if base else {}
        cells = {
            measure.key: _cell(measure, row, rows.get(base) if base else None, outcomes[row.id], base_means)
            for measure in measures
        }
        built.append(
            Row(
                id=row.id,
                method=row.method,
                labels=labels(first, columns),
                baseline=base,
                cells=cells,
                delta_m=_delta(means[row.id], base_means, table.metrics),
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
        notes=notes(
            runs,
            changes,
            selection=rule,
            baselines=[row.baseline for row in built],
            metrics=[METRICS[measure.key] for measure in measures],
            printed=printed,
            records=records,
        ),
    )


def measures_of(table: TableSpec) -> tuple[Measure, ...]:
    """The measured columns of a table: its metrics, and aErr and mErr by both meters.

    Published values are shown beside the released meters, with which they were measured. Networks that normalise their
    normals (SegNet) have the same mErr on both meters, and those that predict no negative depth the same aErr.
    """
    return tuple(
        Measure(metric.name, metric.column_title, metric.digits, metric.higher_is_better, metric.published)
        for name in table.metrics
        for metric in shown_for(name)
    )


def _means(outcomes: Sequence[Outcome], keys: Sequence[str]) -> dict[str, float]:
    """Mean over the seeds of each metric that every seed has."""
    values = {key: [found.values.get(key) for found in outcomes] for key in keys}
    return {
        key: fmean(value for value in found if value is not None) for key, found in values.items() if None not in found
    }


def _cell(
    measure: Measure, row: RowSpec, base: RowSpec | None, outcomes: Sequence[Outcome], base_means: Mapping[str, float]
) -> Cell:
    values = [value for found in outcomes if (value := found.values.get(measure.key)) is not None]
    complete = len(values) == len(outcomes)
    mean = fmean(values) if complete else None
    sd = stdev(values) if complete and len(values) > 1 else None
    text = MISSING if mean is None else f"{mean:.{measure.digits}f}"
    return Cell(
        value=mean,
        sd=sd,
        n=len(values) if complete else 0,
        text=text if sd is None else f"{text} ± {sd:.{measure.digits}f}",
        runs=tuple(found.run for found in outcomes),
        improvement=_improvement(mean, base_means.get(measure.key), measure.key),
        published=_published(row.published, measure.published),
        published_improvement=_published_improvement(row, base, measure.published),
    )


def _improvement(value: float | None, baseline: float | None, metric: str) -> float | None:
    return improvement_percent(value, baseline, metric) if value is not None and baseline else None


def _published(numbers: Published | None, metric: MainMetric | None) -> str | None:
    return getattr(numbers, metric) if numbers and metric else None


def _published_improvement(row: RowSpec, base: RowSpec | None, metric: MainMetric | None) -> float | None:
    if metric is None:
        return None
    # Printed percentages are over the paper's own baseline; they do not hold over another.
    if base is not None and base.id == row.baseline and (printed := _published(row.published_improvement, metric)):
        return float(printed)
    value, baseline = _published(row.published, metric), _published(base.published if base else None, metric)
    return _improvement(float(value), float(baseline), metric) if value and baseline else None


def _delta(means: Mapping[str, float], base: Mapping[str, float], metrics: Sequence[MainMetric]) -> float | None:
    if not all(metric in means and base.get(metric) for metric in metrics):
        return None
    return delta_m(means, {metric: base[metric] for metric in metrics})
