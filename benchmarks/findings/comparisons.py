"""Rows compared by seed: with their baseline in each label setting, and with each other where a claim says so."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

from benchmarks.findings.records import Results, RowRecord, RunRecord, TableRecord
from rdc_sweeps.metrics.delta import delta_m
from rdc_sweeps.metrics.metric import MAIN_METRICS, METRICS, MainMetric
from rdc_sweeps.reporting.statistics import Difference, corrected, difference

Measure = MainMetric | Literal["delta_m"]
MEASURES: tuple[Measure, ...] = (*MAIN_METRICS, "delta_m")


Tests = Mapping[MainMetric, float]
"""What a run measured on test images."""

Runs = Mapping[int, Mapping[str, RunRecord]]
"""Those of a row, by seed and machine."""


@dataclass(frozen=True)
class Comparison:
    """A row minus another, over the seeds that both have: for each, the mean over the machines that trained both."""

    row: RowRecord
    other: RowRecord
    seeds: tuple[int, ...]
    differences: Mapping[Measure, Difference]
    """Empty without a common seed."""
    claim: str | None = None

    @property
    def specs(self) -> tuple[str, str]:
        """What the two rows train."""
        return self.row.spec, self.other.spec


@dataclass(frozen=True)
class Setting:
    """The rows of a table with one label setting."""

    table: TableRecord
    label_setting: str
    rows: tuple[RowRecord, ...]
    runs: Mapping[str, Runs]
    """By row."""
    comparisons: tuple[Comparison, ...]
    """Of each row that has a baseline with it."""

    @property
    def name(self) -> str:
        """For files and headings."""
        return f"{self.table.table}-{self.table.profile}-{self.label_setting}"


def settings(results: Results) -> list[Setting]:
    """All label settings of all tables, in order."""
    found = []
    for table in results.tables:
        runs = counted_runs(results, table)
        for label_setting in dict.fromkeys(row.label_setting for row in table.rows):
            rows = tuple(row for row in table.rows if row.label_setting == label_setting)
            by_id = {row.id: row for row in table.rows}
            pairs = [(row, by_id[row.baseline], None) for row in rows if row.baseline is not None]
            found.append(Setting(table, label_setting, rows, runs, compare(pairs, runs)))
    return found


def claimed(results: Results, table: TableRecord) -> tuple[Comparison, ...]:
    """The pairs of rows to which a claim applies."""
    by_id = {row.id: row for row in table.rows}
    pairs = [(by_id[one.better], by_id[one.worse], one.claim) for one in table.claims]
    return compare(pairs, counted_runs(results, table))


def counted_runs(results: Results, table: TableRecord) -> Mapping[str, Runs]:
    """By row, the runs whose spec is that of the row."""
    specs = {row.id: row.spec for row in table.rows}
    found: dict[str, dict[int, dict[str, RunRecord]]] = {row: {} for row in specs}
    for run in results.runs:
        if (run.table, run.profile) == table.key and specs.get(run.row) == run.spec:
            found[run.row].setdefault(run.seed, {})[run.machine] = run
    return found


def compare(
    pairs: Iterable[tuple[RowRecord, RowRecord, str | None]], runs: Mapping[str, Runs]
) -> tuple[Comparison, ...]:
    """Differences of pairs of rows; for each measure, p values are corrected over all pairs.

    Pairs of the same trainings, as under two claims, are one.
    """
    found = [_differences(row, other, claim, runs) for row, other, claim in pairs]
    by_measure = {
        measure: corrected({one.specs: one.differences[measure] for one in found if measure in one.differences})
        for measure in MEASURES
    }
    return tuple(
        replace(one, differences={measure: by_measure[measure][one.specs] for measure in one.differences})
        for one in found
    )


def _differences(row: RowRecord, other: RowRecord, claim: str | None, runs: Mapping[str, Runs]) -> Comparison:
    seeds = tuple(sorted(runs[row.id].keys() & runs[other.id].keys()))
    pairs = {seed: _tests(runs[row.id][seed], runs[other.id][seed]) for seed in seeds}
    if not pairs:
        return Comparison(row, other, (), {}, claim)
    found: dict[Measure, Difference] = {
        name: difference(
            {seed: fmean(first[name] - second[name] for first, second in of_seed) for seed, of_seed in pairs.items()},
            higher_is_better=METRICS[name].higher_is_better,
        )
        for name in MAIN_METRICS
    }
    found["delta_m"] = difference(
        {seed: fmean(delta_m(first, second) for first, second in of_seed) for seed, of_seed in pairs.items()}
    )
    return Comparison(row, other, seeds, found, claim)


def _tests(one: Mapping[str, RunRecord], other: Mapping[str, RunRecord]) -> list[tuple[Tests, Tests]]:
    """What two rows measured with a seed: on each machine that trained both, else on the first of each."""
    both = sorted(one.keys() & other.keys())
    chosen = [(machine, machine) for machine in both] or [(min(one), min(other))]
    return [(one[first].test, other[second].test) for first, second in chosen]
