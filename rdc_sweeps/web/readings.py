"""What the pages show of tables and their runs, read from run directories; what has not changed is read once."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rdc_sweeps.errors import RdcError
from rdc_sweeps.metrics.selection import Selection
from rdc_sweeps.monitoring.views import RunView, inspect, subject_of
from rdc_sweeps.reporting.lines import run_command
from rdc_sweeps.reporting.report import Report, build_report
from rdc_sweeps.runs.cache import caching
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.runs.events import EventReader
from rdc_sweeps.runs.records import EnvironmentDetails, Result
from rdc_sweeps.specs.catalogue import Run

Epoch = Mapping[str, Any]
"""The record of an epoch: `epoch` from 0, `losses`, `test` and `validation` metrics."""


@dataclass(frozen=True)
class RunReading:
    """A run at one moment."""

    run: Run
    view: RunView
    epochs: Sequence[Epoch]
    """The epochs so far."""
    result: Result | None
    environment: EnvironmentDetails | None
    panels: Mapping[str, Path]
    """Pictures of the last epoch, by title."""

    @property
    def command(self) -> str:
        """The command that trains this run."""
        run = self.run
        return run_command(run.table.table, [run.row.id], run.profile.profile, [run.spec.seed], run.changes)


@dataclass(frozen=True)
class TableReading:
    """A table at one moment."""

    report: Report
    runs: Sequence[RunReading]
    """Rows x seeds."""


class RunReader:
    """Reads runs again and again."""

    def __init__(self, root: Path) -> None:
        self.root, self.open_run = root, caching()
        self._logs: dict[str, tuple[EventReader, list[Epoch]]] = {}

    def read(self, run: Run) -> RunReading:
        """The run at this moment."""
        directory = self.open_run(self.root, run.id)
        view = inspect(subject_of(run), self.root, {}, self.open_run)
        result = environment = None
        # A damaged record, which the state names, does not hide the others.
        with suppress(RdcError, OSError):
            result = directory.result()
        with suppress(RdcError, OSError):
            environment = directory.environment_details()
        return RunReading(run, view, self._epochs(directory, result), result, environment, directory.panels())

    def _epochs(self, directory: RunDirectory, result: Result | None) -> Sequence[Epoch]:
        if result is not None:
            self._close(directory.id)
            return result.history
        log, epochs = self._logs.setdefault(directory.id, (EventReader(directory.events), []))
        with suppress(RdcError, OSError):
            for event in log.read():
                if event["sequence"] == 0:
                    # A resumed run has replaced its log.
                    epochs.clear()
                if event["kind"] == "epoch":
                    epochs.append(event["record"])
        return epochs

    def _close(self, run: str) -> None:
        if run in self._logs:
            self._logs.pop(run)[0].close()

    def close(self) -> None:
        """Close the logs."""
        for run in list(self._logs):
            self._close(run)


class TableReader:
    """Reads a table again and again.

    Args:
        runs: The runs of one table under one profile.
        reader: Reads them.
        selection: See `build_report`.
        baseline: See `build_report`.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        reader: RunReader,
        *,
        selection: Selection | None = None,
        baseline: str | None = None,
    ) -> None:
        self.runs, self.reader = runs, reader
        self.selection, self._baseline = selection, baseline

    def read(self) -> TableReading:
        """The table at this moment."""
        report = build_report(
            self.runs,
            self.reader.root,
            selection=self.selection,
            baseline=self._baseline,
            open_run=self.reader.open_run,
        )
        return TableReading(report, [self.reader.read(run) for run in self.runs])
