"""A study while it runs: a live board on a terminal, a line per change elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live

from rdc_sweeps.cli.watching import throttled
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.specs.run import run_id
from rdc_sweeps.tuning.storage import storage_errors
from rdc_sweeps.tuning.study import Study
from rdc_sweeps.tuning.study_terminal import Progress, live_board, trial_line
from rdc_sweeps.tuning.summary import StudySummary, summarise

BOARD_LINES = 6
"""Lines of a board besides those of running trials, long ones folded."""


@contextmanager
def watching(study: Study, console: Console) -> Iterator[Callable[[], None]]:
    """A function that shows how far the study is, if it is time to."""
    watch = _Watch(study)
    if not console.is_terminal:

        def tell() -> None:
            for line in watch.news():
                console.print(line, highlight=False, markup=False, soft_wrap=True)

        yield throttled(tell)
        tell()
        return
    with Live(console=console, auto_refresh=False) as live:

        def show(lines: int | None = None) -> None:
            summary = watch.look()
            if summary is not None:
                live.update(live_board(summary, watch.progress(summary), lines), refresh=True)

        yield throttled(lambda: show(max(1, console.height - BOARD_LINES)))
        show()


class _Watch:
    def __init__(self, study: Study) -> None:
        self.study = study
        self.begun = time.monotonic()
        first = self.look()
        self.epochs_before = first.epochs_spent if first else 0
        self.told = {trial.number: trial.phase for trial in first.trials} if first else {}
        self.baseline_told: str | None = None

    def look(self) -> StudySummary | None:
        """The study; None while its storage cannot be reached, which is the workers' to report."""
        try:
            return summarise(self.study)
        except storage_errors():
            return None

    def news(self) -> list[str]:
        """A line per trial whose phase is another than at the last look."""
        summary = self.look()
        if summary is None:
            return []
        lines = []
        baseline = self._baseline(summary)
        if baseline is not None and baseline != self.baseline_told:
            lines.append(baseline)
            self.baseline_told = baseline
        for trial in summary.trials:
            if self.told.get(trial.number) != trial.phase:
                self.told[trial.number] = trial.phase
                lines.append(trial_line(trial, summary))
        return lines

    def progress(self, summary: StudySummary) -> Progress:
        """What the board shows besides the trials."""
        return Progress(self.study.epochs, self._baseline(summary), self._seconds_left(summary))

    def _baseline(self, summary: StudySummary) -> str | None:
        """What the runs are at that the trials wait for."""
        tuned = self.study.tuned
        if tuned.baseline is None or summary.trials:
            return None
        for seed in tuned.spec.seeds:
            directory = RunDirectory(self.study.folder.root, run_id(tuned.baseline.model_copy(update={"seed": seed})))
            status = directory.status()
            if directory.result() is None and status is not None and status.epochs:
                epoch = f"epoch {status.epoch} of {status.epochs}"
                return f"first the baseline {tuned.baseline_row} seed {seed}: {epoch}"
        return None

    def _seconds_left(self, summary: StudySummary) -> float | None:
        """At the speed of this call, and if the trials to come take as many epochs as those before."""
        taken = summary.epochs_spent - self.epochs_before
        if not taken or not summary.finished or summary.finished >= summary.asked:
            return None
        ended = ("complete", "pruned", "failed")
        usual = sum(trial.epochs for trial in summary.trials if trial.phase in ended) / summary.finished
        begun = sum(trial.epochs for trial in summary.trials if trial.phase not in ended)
        epochs = max(0.0, (summary.asked - summary.finished) * usual - begun)
        return epochs * (time.monotonic() - self.begun) / taken
