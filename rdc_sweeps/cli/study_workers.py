"""study-worker: workers of a study as Slurm jobs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rdc_sweeps.cli.console import build_progress, messages
from rdc_sweeps.dispatch.lifecycle import FAILED, STOPPED
from rdc_sweeps.dispatch.slurm.nodes import node_profile
from rdc_sweeps.errors import UsageError
from rdc_sweeps.settings import Settings, read_settings
from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.tuning.tuned_row import needed_runs

if TYPE_CHECKING:
    from rdc_sweeps.tuning.study import Study

AT_ONCE = 8
"""Workers unless the command line says another number: the more try at once, the less each knows of the others."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="study-worker", hidden=True)(study_worker)


def submit_workers(study: "Study", catalogue: Catalogue, settings: Settings, missing: int, workers: int | None) -> None:
    """Submit workers for the trials that are missing, unless there are some in Slurm, and say so."""
    from rdc_sweeps.dispatch.preparation import needs_building
    from rdc_sweeps.dispatch.slurm.submitter import queued_workers, submit_command

    if study.url.password:
        raise UsageError(
            "--storage: job files are no place for a password; leave it out of the URL, and give it by ~/.pgpass or "
            "PGPASSWORD"
        )
    about = f"study {study.name}"
    there = queued_workers(settings.root, about)
    if there:
        running = sum(job.state == "RUNNING" for job in there)
        messages.print(f"{about}: {running} workers are running and {len(there) - running} waiting in Slurm")
        return
    needed = needed_runs(study.tuned, catalogue)
    with build_progress() as progress:
        build = needs_building(needed, settings, progress)
    parallel = settings.max_parallel or node_profile(settings.node, settings.nodes).array_parallelism
    count = min(missing, workers or min(AT_ONCE, parallel))
    command = ("study-worker", study.name, "--trials", str(study.asked))
    preparation, submitted = submit_command(
        command, count, settings, about=about, needs=[run.spec for run in needed] if build else ()
    )
    if preparation is not None:
        messages.print(f"region maps are missing: Slurm job {preparation.job} computes them first", highlight=False)
    messages.print(
        f"submitted {count} workers for {missing} trials as Slurm job {submitted.job}, node profile {settings.node}; "
        "the same command again shows how far they are and confirms the choice",
        highlight=False,
        markup=False,
    )


def study_worker(
    name: Annotated[str, typer.Argument(help="Name of a study that was begun.", show_default=False)],
    settings_file: Annotated[Path, typer.Option("--settings", help="Settings as JSON.", show_default=False)],
    trials: Annotated[int, typer.Option(help="Trials that the study is to have.", show_default=False)],
) -> None:
    """Work on a study in this process until all of its trials are finished."""
    from rdc_sweeps.tuning.study_workers import enter_worker

    settings = read_settings(settings_file)
    try:
        enter_worker(settings.root, name, settings, trials)
    except SystemExit as end:
        # Slurm would start again what failed; what is left then is for somebody to mend.
        raise typer.Exit(STOPPED if end.code == FAILED else int(end.code or 0)) from None
