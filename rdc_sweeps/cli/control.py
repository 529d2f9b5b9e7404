"""logs, cancel: look into a run that is worked on elsewhere, and end it."""

import sys
import time
from dataclasses import replace
from typing import Annotated

import typer

from rdc_sweeps.cli.console import messages, print_json
from rdc_sweeps.cli.options import (
    CompatOption,
    ExperimentsOption,
    JsonOption,
    ProfileOption,
    RootOption,
    SeedsOption,
    SetOption,
    open_catalogue,
    parse_seeds,
)
from rdc_sweeps.cli.runs import find_run
from rdc_sweeps.errors import UnavailableError, UsageError
from rdc_sweeps.monitoring.cancellation import cancel as cancel_runs
from rdc_sweeps.monitoring.groups import RunsFolder
from rdc_sweeps.monitoring.logs import GrowingFile, job_log
from rdc_sweeps.monitoring.views import ENDED, Subject, seed_of, subject_of, subject_of_directory
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.settings import Settings, load_settings

POLL_SECONDS = 0.5


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(logs)
    app.command()(cancel)


def logs(
    run_id: Annotated[str, typer.Argument(help="Id of a run, or its first digits.", show_default=False)],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")] = False,
    lines: Annotated[int | None, typer.Option("--lines", "-n", min=0, help="Only the last lines.")] = None,
    root: RootOption = None,
) -> None:
    """Show the output of a run's workers.

    If no worker has started, its Slurm job's output.
    """
    settings = load_settings(root=root)
    directory = find_run(settings, run_id)
    of_job = job_log(settings.root, directory.id)
    path = of_job if of_job is not None and not directory.log.exists() else directory.log
    file = GrowingFile(path)
    if lines is not None:
        file.skip_to_last(lines)
    if not path.exists():
        messages.print(f"run {directory.id}: {directory.state()}, nothing was printed yet", highlight=False)
    elif of_job is not None:
        other = "no worker has begun; from its Slurm job" if path == of_job else "what its Slurm job printed is in"
        messages.print(f"{other}: {of_job}", markup=False, highlight=False)
    _write(file.news())
    while follow:
        # Asked first: what is printed until then belongs to it.
        ended = directory.state() in ENDED
        if path != directory.log and directory.log.exists():
            path = directory.log
            file = GrowingFile(path)
        elif not path.exists() and (of_job := job_log(settings.root, directory.id)) is not None:
            path = of_job
            file = GrowingFile(path)
        _write(file.news())
        if ended:
            messages.print(f"run {directory.id}: {directory.state()}", highlight=False)
            return
        time.sleep(POLL_SECONDS)


def _write(text: bytes) -> None:
    sys.stdout.buffer.write(text)
    sys.stdout.buffer.flush()


def cancel(
    targets: Annotated[
        list[str], typer.Argument(metavar="TABLE|RUN...", help="Tables, or ids of runs.", show_default=False)
    ],
    profile: ProfileOption = None,
    seeds: SeedsOption = None,
    assignments: SetOption = None,
    compat: CompatOption = None,
    root: RootOption = None,
    experiments: ExperimentsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop runs that have not ended; `run` resumes them.

    Each saves a checkpoint. A table stands for all of its runs, whatever their seeds and changed fields.
    """
    settings = load_settings(profile=profile, root=root, experiments=experiments)
    choice = _Choice(settings, seeds, assignments, compat)
    subjects = {subject.run: subject for target in targets for subject in choice.subjects(target)}
    cancellation = cancel_runs(list(subjects.values()), settings.root)
    cancelled = [outcome for outcome in cancellation.outcomes if outcome.done]
    if as_json:
        print_json(
            [
                {"run": one.subject.run, "title": one.subject.title, "before": one.before, "done": one.done}
                for one in cancellation.outcomes
            ]
        )
    else:
        for one in cancellation.outcomes:
            told = ", ".join(one.done) if one.done else "left as it is"
            messages.print(f"{one.subject.title} ({one.subject.run}): was {one.before}, {told}", highlight=False)
        messages.print(f"{len(cancelled)} of {len(subjects)} runs cancelled", highlight=False)
    if cancellation.problem:
        raise UnavailableError(f"jobs that wait were not removed: {cancellation.problem}; they end when they begin")


class _Choice:
    """What the words on the command line mean."""

    def __init__(
        self, settings: Settings, seeds: str | None, assignments: list[str] | None, compat: str | None
    ) -> None:
        self.settings, self.seeds, self.assignments, self.compat = settings, parse_seeds(seeds), assignments, compat
        self.narrowed = bool(seeds or assignments or compat)

    def subjects(self, target: str) -> list[Subject]:
        """The runs of a table that have directories, or one run."""
        settings = self.settings
        try:
            catalogue = open_catalogue(settings)
        except UsageError:
            catalogue = None
        if catalogue is None or target not in catalogue.tables:
            return [_named(find_run(settings, target))]
        runs = catalogue.runs(
            target, settings.profile, seeds=self.seeds, settings=self.assignments or (), compat=self.compat
        )
        chosen = {run.id: subject_of(run) for run in runs}
        if not self.narrowed:
            # Also of other seeds and settings.
            for found in RunsFolder(settings.root).subjects():
                if (found.table, found.profile, found.study) == (target, settings.profile, None):
                    chosen.setdefault(found.run, _named(RunDirectory(settings.root, found.run)))
        return [subject for run, subject in chosen.items() if RunDirectory(settings.root, run).folder.is_dir()]


def _named(directory: RunDirectory) -> Subject:
    return replace(subject_of_directory(directory.root, directory.id), seed=seed_of(directory))
