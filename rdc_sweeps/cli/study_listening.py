"""Prints the progress of a study: a live board on a terminal, otherwise one line per change."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.live import Live

from rdc_sweeps.cli.console import messages, say
from rdc_sweeps.cli.listening import ConsoleListener
from rdc_sweeps.dispatch.executors import Start
from rdc_sweeps.settings import Settings
from rdc_sweeps.tuning.study_run import StudyListener

if TYPE_CHECKING:
    from rdc_sweeps.tuning.study import Study

BOARD_LINES = 6
"""Lines of a board that do not list running trials, including wrapped lines."""


class StudyConsoleListener(ConsoleListener, StudyListener):
    """Prints the progress of a study and its runs."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.study: Study | None = None
        self.missing = 0

    def opened(self, study: "Study", missing: int) -> None:
        """Print a message if all trials are finished."""
        self.study, self.missing = study, missing
        if not missing:
            say(f"all {study.asked} trials are finished")

    @contextmanager
    def training(self, start: Start) -> Iterator[Callable[[], None]]:
        """Show the board of the study, or of the runs that confirm its choice."""
        if start.runs or self.study is None:
            with super().training(start) as watch:
                yield watch
            return
        where = f"{start.gpus} GPUs" if start.gpus else "the CPU"
        say(
            f"study {self.study.name}: {self.missing} of {self.study.asked} trials to do; {start.slots.runs} workers "
            f"on {where}, {start.slots.threads} threads each"
        )
        with _study_board(self.study) as watch:
            yield watch

    def workers_failed(self, errors: Mapping[str, Path]) -> None:
        """Print the errors and the log files."""
        for error, log in errors.items():
            say(f"a worker failed: {error}", style="red")
            say(f"  see {log}")

    def left_to_others(self, trials: int) -> None:
        """Print who finishes the study."""
        say(f"other processes are training {trials} trials, which they finish; there is nothing else to do")

    def workers_found(self, running: int, waiting: int) -> None:
        """Print how many workers there are."""
        assert self.study is not None  # opened before
        say(f"study {self.study.name}: {running} workers running, {waiting} pending in Slurm")

    def workers_submitted(self, count: int, job: str | None, preparation: str | None) -> None:
        """Print what was submitted, and what to do next."""
        if preparation is not None:
            say(f"region maps are missing: Slurm job {preparation} computes them first")
        say(
            f"submitted {count} workers for {self.missing} trials as Slurm job {job}, node profile "
            f"{self.settings.node}; run the command again to see the progress and to confirm the choice"
        )

    def confirming(self, study: "Study", trial: int) -> None:
        """Print the trial and the confirmation seeds."""
        seeds = ", ".join(map(str, study.tuned.spec.confirm))
        say(f"confirming trial {trial} with seeds {seeds}, beside the untuned row")


@contextmanager
def _study_board(study: "Study") -> Iterator[Callable[[], None]]:
    """Yields a function that shows the progress of the study, at most a few times a second."""
    from rdc_sweeps.cli.watching import throttled
    from rdc_sweeps.tuning.study_progress import ProgressTracker
    from rdc_sweeps.tuning.study_terminal import live_board, trial_line

    tracker = ProgressTracker(study)
    if not messages.is_terminal:
        shown: list[str] = []

        def print_changes() -> None:
            summary = tracker.summary()
            if summary is None:
                return
            baseline = tracker.progress(summary).baseline
            if baseline is not None and baseline not in shown[-1:]:
                shown.append(baseline)
                say(baseline)
            for trial in tracker.changed(summary):
                say(trial_line(trial, summary))

        yield throttled(print_changes)
        print_changes()
        return
    with Live(console=messages, auto_refresh=False) as live:

        def show(lines: int | None = None) -> None:
            summary = tracker.summary()
            if summary is not None:
                live.update(live_board(summary, tracker.progress(summary), lines), refresh=True)

        yield throttled(lambda: show(max(1, messages.height - BOARD_LINES)))
        show()
