"""The results as stored in docs/findings/results.json: the tables with their rows, and every run that was found."""

from collections import Counter
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from rdc_sweeps.errors import UsageError
from rdc_sweeps.files import write_json
from rdc_sweeps.metrics.metric import MainMetric
from rdc_sweeps.metrics.selection import Selection

Key = tuple[str, str]
"""A table and a profile."""


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class RowRecord(Record):
    """A row of a table as it was when the results were collected."""

    id: str
    method: str
    label_setting: str
    baseline: str | None
    spec: str
    """Id of its run with seed 0, which identifies its spec."""


class ClaimRecord(Record):
    """Two rows that put a claim of the paper to the test."""

    claim: str
    better: str
    """Row that the claim says is better."""
    worse: str


class TableRecord(Record):
    """A table under a profile."""

    table: str
    title: str
    profile: str
    data: tuple[str, ...]
    selection: Selection
    seeds: tuple[int, ...]
    """That were asked for; a run of these that is missing shows as X."""
    rows: tuple[RowRecord, ...]
    claims: tuple[ClaimRecord, ...]

    @property
    def key(self) -> Key:
        return self.table, self.profile


class RunRecord(Record):
    """A finished run."""

    table: str
    profile: str
    row: str
    seed: int
    run: str
    machine: str
    """That trained it."""
    spec: str
    """As of its row, then; a run counts if this is still the spec of the row."""
    epoch: int
    """That the selection rule chose, from 1."""
    seconds: float
    images: int
    test: dict[MainMetric, float]
    validation: dict[MainMetric, float] | None

    @property
    def order(self) -> tuple[str, str, str, int, str, str]:
        return self.table, self.profile, self.row, self.seed, self.run, self.machine


class Results(Record):
    """All that the page and its figures are made from."""

    tables: tuple[TableRecord, ...] = ()
    runs: tuple[RunRecord, ...] = ()

    @model_validator(mode="after")
    def _nothing_twice(self) -> Self:
        keys = [" ".join(table.key) for table in self.tables]
        keys += [
            f"{run.table} {run.profile} {run.row} seed {run.seed}, spec {run.spec}, {run.machine}" for run in self.runs
        ]
        twice = [key for key, count in Counter(keys).items() if count > 1]
        if twice:
            raise ValueError(f"is there twice: {'; '.join(twice)}")
        return self

    def merged(self, found: "Results") -> "Results":
        """These results with others: those replace what has the same id and machine, and all else stays."""
        tables = {table.key: table for table in self.tables}
        for table in found.tables:
            earlier = tables[table.key].seeds if table.key in tables else ()
            tables[table.key] = table.model_copy(update={"seeds": tuple(sorted({*earlier, *table.seeds}))})
        runs = {run.order: run for run in (*self.runs, *found.runs)}
        return Results(
            tables=tuple(tables[key] for key in sorted(tables)),
            runs=tuple(runs[order] for order in sorted(runs)),
        )

    def uncounted(self) -> list[RunRecord]:
        """Runs of specs that their rows no longer have; they stay, but do not count."""
        current = {(*table.key, row.id, row.spec) for table in self.tables for row in table.rows}
        return [run for run in self.runs if (run.table, run.profile, run.row, run.spec) not in current]


def read_results(path: Path) -> Results:
    """Read the stored results.

    Raises:
        UsageError: They are damaged, or hold a run twice.
    """
    try:
        return Results.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such file; collect results from a runs folder first") from error
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(map(str, problem["loc"]))
        raise UsageError(f"{path}: {where or 'the file'}: {problem['msg']}; restore it from version control") from error


def write_results(path: Path, results: Results) -> None:
    write_json(path, results.model_dump(mode="json"))
