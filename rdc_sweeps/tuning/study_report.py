"""A study's report: what was found on the validation images, and what the choice is worth on the test images."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rdc_sweeps.reporting.report import Report, build_report
from rdc_sweeps.specs.catalogue import Catalogue, Run
from rdc_sweeps.specs.tuned import TunedRow, confirmation_runs
from rdc_sweeps.tuning.study import Study
from rdc_sweeps.tuning.summary import StudySummary, TrialSummary, summarise


@dataclass(frozen=True)
class StudyReport:
    """A study with the confirmation of its choice."""

    tuned: TunedRow
    summary: StudySummary
    folder: Path
    confirmation: Report | None
    """Baseline, row and tuned row on the test images; None if nothing is chosen yet or no seeds confirm."""

    @property
    def confirmed(self) -> bool:
        """Whether all runs that confirm the choice are done."""
        return self.confirmation is not None and not self.confirmation.missing

    @property
    def tried_first(self) -> list[TrialSummary]:
        """Trials that the study's file wanted to see, besides the row as it is and the best."""
        wanted = self.tuned.enqueued()
        found = (trial for trial in self.summary.trials if dict(trial.values) in wanted)
        return [trial for trial in found if trial not in (self.summary.default, self.summary.best)]

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
            "confirmed": self.confirmed,
            "confirmation": asdict(self.confirmation) if self.confirmation else None,
        }


def build_study_report(study: Study, catalogue: Catalogue) -> StudyReport:
    """Read a study, and the runs that confirm its choice as far as they are done.

    Raises:
        SpecError: The study's table or profile has changed and has problems.
    """
    summary = summarise(study)
    runs = chosen_runs(study.tuned, summary, catalogue)
    confirmation = build_report(runs, study.folder.root) if runs else None
    return StudyReport(study.tuned, summary, study.folder.folder, confirmation)


def chosen_runs(tuned: TunedRow, summary: StudySummary, catalogue: Catalogue) -> list[Run]:
    """The runs that confirm the choice; none if nothing is chosen yet or no seeds confirm."""
    if summary.best is None or not tuned.spec.confirm:
        return []
    return confirmation_runs(tuned, catalogue, summary.best.values)
