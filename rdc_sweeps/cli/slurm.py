"""The Slurm executor as a user sees it: what is submitted, the job file of a dry run, the preparation on a node."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from rdc_sweeps.cli.console import data, messages
from rdc_sweeps.dispatch.plan import Planned
from rdc_sweeps.dispatch.slurm.nodes import node_profile
from rdc_sweeps.errors import UnavailableError
from rdc_sweeps.settings import Settings, read_settings

Plan = Callable[[], list[Planned]]


def submit_missing(plan: Plan, settings: Settings, *, rerun: bool) -> list[str]:
    """Submit what is missing and say what; returns the ids of runs that failed before and are left alone."""
    from rdc_sweeps.cli.progress import preparation_progress
    from rdc_sweeps.dispatch.preparation import needs_building
    from rdc_sweeps.dispatch.slurm.submitter import as_slurm_has_it, largest_array, submit

    profile = node_profile(settings.node, settings.nodes)
    todo = [one for one in as_slurm_has_it(plan(), settings.root) if one.action != "skip"]
    build = False
    if todo:
        # Ahead of the long look at the data.
        largest_array()
        with preparation_progress() as progress:
            build = needs_building([one.run for one in todo], settings, progress)
    submitted = submit(plan, settings, prepare=build, rerun=rerun)
    for one in submitted.planned:
        if one.action == "skip" and one.state != "done":
            messages.print(f"{one.run.title}: skipped, {one.reason}", markup=False, highlight=False)
        elif one.action != "skip" and one.reason != "new":
            messages.print(f"{one.run.title}: submitted, {one.reason}", markup=False, highlight=False)
    done = sum(one.state == "done" and one.action == "skip" for one in submitted.planned)
    if done:
        messages.print(f"{done} of {len(submitted.planned)} runs are done already", highlight=False)
    if submitted.preparation:
        messages.print(
            f"region maps are missing: Slurm job {submitted.preparation.job} computes them first", highlight=False
        )
    at_once = settings.max_parallel or profile.array_parallelism
    for array in submitted.arrays:
        messages.print(
            f"submitted {array.runs} runs as Slurm job {array.job}: node profile {settings.node}, "
            f"{profile.time_limit} each, {min(array.runs, at_once)} at once",
            highlight=False,
            markup=False,
        )
    return [one.run.id for one in submitted.planned if one.action == "skip" and one.state == "failed"]


def seen_in_slurm(planned: list[Planned], settings: Settings) -> list[Planned]:
    """The plan with what Slurm knows of it; says so where Slurm does not answer."""
    from rdc_sweeps.dispatch.slurm.submitter import as_slurm_has_it

    try:
        return as_slurm_has_it(planned, settings.root)
    except UnavailableError as error:
        messages.print(f"what is queued is unknown: {error}", style="yellow", markup=False, highlight=False)
        return planned


def print_job_files(planned: list[Planned], settings: Settings) -> None:
    """The job files that would be submitted; nothing is written anywhere."""
    from rdc_sweeps.dispatch.slurm.sbatch import Batch, batch_text
    from rdc_sweeps.dispatch.slurm.submitter import drafts, worker_settings

    profile = node_profile(settings.node, settings.nodes)
    todo = [one for one in planned if one.action != "skip"]
    for draft in drafts(len(todo), todo[0].run.table.table if todo else "", settings):
        data.file.write("\n" + batch_text(Batch(draft, profile, worker_settings(settings, profile))))


def prepare(
    runs: Annotated[Path, typer.Argument(help="File with a run id per line.", show_default=False)],
    settings_file: Annotated[Path, typer.Option("--settings", help="Settings as JSON.", show_default=False)],
) -> None:
    """Compute the region maps that are missing for submitted runs; goes on where it was stopped."""
    settings = read_settings(settings_file)
    import torch

    from rdc_sweeps.cli.progress import preparation_progress
    from rdc_sweeps.dispatch.inputs import build_missing_regions
    from rdc_sweeps.runs.directory import RunDirectory

    specs = [RunDirectory(settings.root, run_id).read_spec() for run_id in runs.read_text(encoding="utf-8").split()]
    on = "cuda" if settings.device != "cpu" and torch.cuda.is_available() else "cpu"
    with preparation_progress() as progress:
        reports = build_missing_regions(specs, settings, on, progress)
    # What waits for this job tells by it why it was dropped, if it was.
    runs.with_name("prepared").touch()
    for title, report in reports.items():
        messages.print(f"{title}: {report.built} built, {report.reused} were there", highlight=False)
