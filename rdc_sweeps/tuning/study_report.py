"""Report of a study: its trials on the validation images, and the chosen configuration on the test images."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from rdc_sweeps.errors import DamagedError
from rdc_sweeps.metrics.metric import MetricValues
from rdc_sweeps.reporting.report import Report, build_report
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.specs.catalogue import Catalogue, Run
from rdc_sweeps.specs.study import AlignmentObjective
from rdc_sweeps.tuning.epochs import finished_epochs
from rdc_sweeps.tuning.study import Study
from rdc_sweeps.tuning.summary import StudySummary, TrialSummary, summarise
from rdc_sweeps.tuning.tuned_row import TunedRow, confirmation_runs


@dataclass(frozen=True)
class StudyReport:
    """A study, and the confirmation of its choice on the test images."""

    tuned: TunedRow
    summary: StudySummary
    folder: Path
    confirmation: Report | None
    """Baseline, row and tuned row on the test images; None without a choice or without confirmation seeds."""
    validation: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    """By complete trial, its validation metrics, means over seeds, if trials are not chosen by such metrics."""
    images: tuple[int, ...] = ()
    """Numbers of images that done trials were trained on, as counted; one, unless the data changed."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics of the table that `validation` has."""
        return tuple(name for name in self.tuned.metrics if any(name in one for one in self.validation.values()))

    @property
    def confirmed(self) -> bool:
        """Whether all confirmation runs are done."""
        return self.confirmation is not None and not self.confirmation.missing

    @property
    def compared(self) -> list[tuple[str, TrialSummary]]:
        """The trials to compare, by name: the best one, the untuned row, and the others that were tried first."""
        wanted, own = self.tuned.enqueued(), self.tuned.own_values
        named = {trial.number: "tried first" for trial in self.summary.trials if dict(trial.values) in wanted}
        named |= {trial.number: "the untuned row" for trial in self.summary.trials if dict(trial.values) == own}
        best = self.summary.best
        if best is not None:
            found = named.pop(best.number, None)
            named = {best.number: "best, and the untuned row" if found == "the untuned row" else "best", **named}
        trials = {trial.number: trial for trial in self.summary.trials}
        return [(name, trials[number]) for number, name in named.items()]

    def to_data(self) -> dict[str, Any]:
        """Everything as plain values."""
        spec = self.tuned.spec
        return {
            "study": spec.study,
            "title": spec.title,
            "folder": str(self.folder),
            "finished": self.summary.finished,
            "baseline_row": self.tuned.baseline_row,
            "space": {path: drawn.model_dump(mode="json") for path, drawn in spec.space.items()},
            **asdict(self.summary),
            "validation": {number: dict(metrics) for number, metrics in self.validation.items()},
            "confirmed": self.confirmed,
            "confirmation": asdict(self.confirmation) if self.confirmation else None,
        }


def build_study_report(study: Study, catalogue: Catalogue) -> StudyReport:
    """Read a study and those of its confirmation runs that are done.

    Raises:
        SpecError: The study's table or profile has changed and has problems.
    """
    summary = summarise(study)
    runs = chosen_runs(study.tuned, summary, catalogue)
    confirmation = build_report(runs, study.folder.root) if runs else None
    by_alignment = isinstance(study.tuned.spec.objective, AlignmentObjective)
    validation = _validation(study.tuned, summary, study.folder.root) if by_alignment else {}
    images = _counted_images(summary, study.folder.root)
    return StudyReport(study.tuned, summary, study.folder.folder, confirmation, validation, images)


def _counted_images(summary: StudySummary, root: Path) -> tuple[int, ...]:
    counted: dict[int, None] = {}
    for run in (run for trial in summary.trials for run in trial.runs.values()):
        try:
            result = RunDirectory(root, run).result()
        except DamagedError:
            continue  # the state of that run says so
        if result is not None:
            counted[result.images] = None
    return tuple(counted)


def _validation(tuned: TunedRow, summary: StudySummary, root: Path) -> dict[int, dict[str, float]]:
    found: dict[int, dict[str, float]] = {}
    for trial in summary.trials:
        if trial.phase != "complete":
            continue
        last = [_last_validation(RunDirectory(root, run)) for run in trial.runs.values()]
        columns = {name: [one.get(name) for one in last] for name in tuned.metrics}
        found[trial.number] = {
            name: fmean(known)
            for name, values in columns.items()
            if len(known := [value for value in values if value is not None]) == len(values)
        }
    return found


def _last_validation(directory: RunDirectory) -> MetricValues:
    """Validation metrics after a run's last epoch; none of a run whose result is damaged."""
    try:
        history = finished_epochs(directory)
    except DamagedError:
        return {}
    return (history[-1].validation or {}) if history else {}


def chosen_runs(tuned: TunedRow, summary: StudySummary, catalogue: Catalogue) -> list[Run]:
    """The confirmation runs; none without a choice or without confirmation seeds."""
    if summary.best is None or not tuned.spec.confirm:
        return []
    return confirmation_runs(tuned, catalogue, summary.best.values)
