"""logs, cancel: read the output of runs, and stop runs."""

import sys
import time
from typing import Annotated, Any

import typer

from rdc_sweeps.cli.console import print_json, say
from rdc_sweeps.cli.options import (
    CompatOption,
    ExperimentsOption,
    JsonOption,
    ProfileOption,
    RootOption,
    SeedsOption,
    SetOption,
    find_run,
    parse_seeds,
)
from rdc_sweeps.errors import UnavailableError, UsageError
from rdc_sweeps.monitoring.cancellation import cancel as cancel_runs
from rdc_sweeps.monitoring.logs import RunOutput
from rdc_sweeps.monitoring.targets import named_subjects
from rdc_sweeps.monitoring.views import Subject
from rdc_sweeps.settings import Settings, load_settings

POLL_SECONDS = 0.5


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(logs)
    app.command()(cancel)


def logs(
    run_id: Annotated[str, typer.Argument(help="Id of a run, or the first digits of one.", show_default=False)],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing until the run has ended.")] = False,
    lines: Annotated[int | None, typer.Option("--lines", "-n", min=0, help="Print only the last lines.")] = None,
    root: RootOption = None,
) -> None:
    """Show the output of a run's workers.

    If no worker has started, show the output of its Slurm job.
    """
    settings = load_settings(root=root)
    directory = find_run(settings, run_id)
    output = RunOutput(directory, lines)
    if not output.exists:
        say(f"run {directory.id}: {directory.state()}, no output yet")
    elif output.job_log is not None:
        other = "no worker has started; output of its Slurm job" if output.is_of_job else "output of its Slurm job"
        say(f"{other}: {output.job_log}")
    _write(output.news())
    while follow and not output.ended:
        time.sleep(POLL_SECONDS)
        _write(output.news())
    if follow:
        say(f"run {directory.id}: {directory.state()}")


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

    Each running one saves a checkpoint first. A table means all of its runs, with any seeds and changed fields.
    """
    settings = load_settings(profile=profile, root=root, experiments=experiments)
    chosen = {"seeds": parse_seeds(seeds), "changes": assignments or (), "compat": compat}
    subjects = {one.run: one for target in targets for one in _subjects(target, settings, **chosen)}
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
            done = ", ".join(one.done) if one.done else "unchanged"
            say(f"{one.subject.title} ({one.subject.run}): was {one.before}, {done}")
        say(f"{len(cancelled)} of {len(subjects)} runs cancelled")
    if cancellation.problem:
        raise UnavailableError(
            f"pending jobs were not cancelled: {cancellation.problem}; they will exit as soon as they start"
        )


def _subjects(target: str, settings: Settings, **chosen: Any) -> list[Subject]:
    try:
        return named_subjects(target, settings, **chosen)
    except UsageError as error:
        raise typer.BadParameter(str(error), param_hint="TABLE|RUN") from error
