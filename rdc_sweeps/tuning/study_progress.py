"""Progress of a study while its workers train: changed trials, the baseline's progress, and the time left."""

import time
from dataclasses import dataclass

from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.specs.run import run_id
from rdc_sweeps.tuning.storage import storage_errors
from rdc_sweeps.tuning.study import Study
from rdc_sweeps.tuning.summary import FINISHED_PHASES, StudySummary, TrialSummary, summarise


@dataclass(frozen=True)
class StudyProgress:
    """Progress of a study besides its trials."""

    epochs: int
    """Epochs of a complete trial."""
    baseline: str | None = None
    """Progress of the baseline row while trials wait for it."""
    seconds_left: float | None = None


class ProgressTracker:
    """Follows a study from the moment of its creation."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self._begun = time.monotonic()
        first = self.summary()
        self._epochs_before = first.epochs_spent if first else 0
        self._phases = {trial.number: trial.phase for trial in first.trials} if first else {}

    def summary(self) -> StudySummary | None:
        """The current state of the study; None while its storage cannot be reached, which the workers report."""
        try:
            return summarise(self.study)
        except storage_errors():
            return None

    def changed(self, summary: StudySummary) -> list[TrialSummary]:
        """The trials whose phase has changed since the last call; a new one once its configuration is chosen."""
        fields = len(self.study.tuned.spec.space)
        found = [
            trial
            for trial in summary.trials
            if self._phases.get(trial.number) != trial.phase
            # A sampler stores one field after the other.
            and (trial.phase != "running" or len(trial.values) == fields)
        ]
        self._phases.update({trial.number: trial.phase for trial in found})
        return found

    def progress(self, summary: StudySummary) -> StudyProgress:
        """Progress of the study besides its trials."""
        return StudyProgress(self.study.epochs, self._baseline(summary), self._seconds_left(summary))

    def _baseline(self, summary: StudySummary) -> str | None:
        tuned = self.study.tuned
        if tuned.baseline is None or summary.trials:
            return None
        for seed in tuned.spec.seeds:
            directory = RunDirectory(self.study.folder.root, run_id(tuned.baseline.model_copy(update={"seed": seed})))
            status = directory.last_status()
            if directory.state() != "done" and status is not None and status.epochs:
                epoch = f"epoch {status.epoch} of {status.epochs}"
                return f"first the baseline {tuned.baseline_row} seed {seed}: {epoch}"
        return None

    def _seconds_left(self, summary: StudySummary) -> float | None:
        """Time left at the speed so far, if remaining trials take as many epochs as finished ones on average."""
        trained = summary.epochs_spent - self._epochs_before
        if not trained or not summary.finished or summary.finished >= summary.asked:
            return None
        finished = sum(trial.epochs for trial in summary.trials if trial.phase in FINISHED_PHASES)
        partly = sum(trial.epochs for trial in summary.trials if trial.phase not in FINISHED_PHASES)
        epochs = max(0.0, (summary.asked - summary.finished) * finished / summary.finished - partly)
        return epochs * (time.monotonic() - self._begun) / trained
