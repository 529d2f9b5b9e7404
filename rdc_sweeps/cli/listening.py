"""Prints the progress of an executor: plan, preparation, live board, submissions and outcome."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rdc_sweeps.cli.console import build_progress, say
from rdc_sweeps.dispatch.executors import Listener, Start
from rdc_sweeps.dispatch.plan import Planned
from rdc_sweeps.dispatch.slurm.nodes import NodeProfile
from rdc_sweeps.monitoring.views import inspect, subject_of
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.settings import Settings

if TYPE_CHECKING:
    from rdc_sweeps.dispatch.region_maps import ReportBuild
    from rdc_sweeps.dispatch.slurm.submitter import Submitted


class ConsoleListener(Listener):
    """Prints what an executor does."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def planned(self, planned: Sequence[Planned]) -> None:
        """Print which runs are skipped and why."""
        for one in planned:
            if one.action == "skip" and one.state != "done":
                say(f"{one.run.title}: skipped, {one.reason}")
        _say_done(planned)

    @contextmanager
    def preparing(self) -> Iterator["ReportBuild"]:
        """Show a progress bar."""
        with build_progress() as report:
            yield report

    @contextmanager
    def training(self, start: Start) -> Iterator[Callable[[], None]]:
        """Show the board of the runs."""
        from rdc_sweeps.cli.watching import local_board

        where = f"{start.gpus} GPUs" if start.gpus else "the CPU"
        say(
            f"training {len(start.runs)} runs on {where}: {start.slots.runs} at once, "
            f"{start.slots.threads} threads each"
        )
        with local_board(start.runs, self.settings.root) as watch:
            yield watch

    def ended(self, trained: Sequence[Planned], unfinished: Sequence[Planned]) -> None:
        """Print why runs are not done, or how to see the results."""
        root = self.settings.root
        for one in unfinished:
            view = inspect(subject_of(one.run), root, {})
            cause = "another process is working on it" if view.state == "running" else view.cause
            log = RunDirectory(root, one.run.id).log
            say(
                f"{one.run.title} ({one.run.id}): {view.state}: {cause or f'its process ended; see {log}'}", style="red"
            )
        if any(RunDirectory(root, one.run.id).state() == "preempted" for one in unfinished):
            say("repeat the command to continue preempted runs from their checkpoints")
        if not unfinished:
            run = trained[0].run
            say(f"all done: rdc-sweep report {run.table.table} --profile {run.profile.profile}")

    def submitted(self, submitted: "Submitted", profile: NodeProfile, at_once: int) -> None:
        """Print which runs were submitted, and why others were not."""
        for one in submitted.planned:
            if one.action == "skip" and one.state != "done":
                say(f"{one.run.title}: skipped, {one.reason}")
            elif one.action != "skip" and one.reason != "new":
                say(f"{one.run.title}: submitted, {one.reason}")
        _say_done(submitted.planned)
        if submitted.preparation:
            say(f"region maps are missing: Slurm job {submitted.preparation.job} computes them first")
        for array in submitted.arrays:
            say(
                f"submitted {array.runs} runs as Slurm job {array.job}: node profile {self.settings.node}, "
                f"{profile.time_limit} each, {min(array.runs, at_once)} at once"
            )


def _say_done(planned: Sequence[Planned]) -> None:
    done = sum(one.action == "skip" and one.state == "done" for one in planned)
    if done:
        say(f"{done} of {len(planned)} runs are already done")
    others: dict[str, list[str]] = {}
    for one in planned:
        if one.state == "done" and one.other_data:
            others.setdefault(one.reason, []).append(one.run.title)
    for reason, titles in others.items():
        say(f"{', '.join(titles)}: {reason}", style="yellow")
