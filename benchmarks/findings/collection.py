"""Finished runs of the tables `findings`, from a runs folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.findings.claims import claim_records
from benchmarks.findings.records import Results, RowRecord, RunRecord, TableRecord
from rdc_sweeps.metrics.metric import MAIN_METRICS, MainMetric, MetricValues
from rdc_sweeps.reporting.notes import describe_data
from rdc_sweeps.reporting.outcomes import Outcome, data_of, images_of, outcome
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.specs.catalogue import Catalogue, Run
from rdc_sweeps.specs.run import run_id

PREFIX = "findings"


def collect(
    catalogue: Catalogue, profile: str, seeds: Sequence[int], root: Path, machine: str
) -> tuple[Results, list[tuple[str, Outcome]]]:
    """The results of the tables that have any, of those whose names start with `findings`, and their missing runs.

    Args:
        catalogue: Of the tables.
        profile: Name of the profile.
        seeds: Of every row.
        root: The runs folder, which is only read.
        machine: That trained its runs.

    Raises:
        UsageError: There is no such profile.
        SpecError: All problems of the tables.
    """
    tables, found, missing = [], [], []
    for name in catalogue.tables:
        if name.startswith(PREFIX):
            runs = catalogue.runs(name, profile, seeds=seeds)
            results = [(run, outcome(run, root, run.profile.selection, MAIN_METRICS)) for run in runs]
            finished = [_record(run, result, root, machine) for run, result in results if result.cause is None]
            if finished:
                tables.append(_table(runs, seeds, root))
                found += finished
                missing += [(name, result) for _, result in results if result.cause is not None]
    return Results(tables=tuple(tables), runs=tuple(found)), missing


def _table(runs: Sequence[Run], seeds: Sequence[int], root: Path) -> TableRecord:
    firsts = list({run.row.id: run for run in reversed(runs)}.values())[::-1]
    return TableRecord(
        table=runs[0].table.table,
        title=runs[0].table.title,
        profile=runs[0].profile.profile,
        data=describe_data(runs, images_of(runs, root, data_of(runs, root))),
        selection=runs[0].profile.selection,
        seeds=tuple(sorted(set(seeds))),
        rows=tuple(
            RowRecord(
                id=run.row.id,
                method=run.row.method,
                label_setting=run.spec.labels.setting,
                baseline=run.row.baseline,
                spec=_spec_id(run),
            )
            for run in firsts
        ),
        claims=claim_records(firsts),
    )


def _spec_id(run: Run) -> str:
    return run_id(run.spec.model_copy(update={"seed": 0}))


def _record(run: Run, found: Outcome, root: Path, machine: str) -> RunRecord:
    result = RunDirectory(root, run.id).result()
    selected = result.selected[run.profile.selection] if result else None
    assert result is not None
    assert selected is not None
    return RunRecord(
        table=run.table.table,
        profile=run.profile.profile,
        row=run.row.id,
        seed=run.spec.seed,
        run=run.id,
        machine=machine,
        spec=_spec_id(run),
        epoch=selected.epoch + 1,
        seconds=round(result.seconds, 1),
        images=result.images,
        test=_main(selected.metrics),
        validation=None if selected.validation is None else _main(selected.validation),
    )


def _main(values: MetricValues | Mapping[str, float | None]) -> dict[MainMetric, float]:
    return {name: value for name in MAIN_METRICS if (value := values.get(name)) is not None}
