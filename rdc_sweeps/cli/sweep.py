"""The local sweep as a user sees it: preparation, the live board, what came out."""

from rdc_sweeps.cli.console import messages
from rdc_sweeps.cli.progress import preparation_progress
from rdc_sweeps.cli.watching import local_board
from rdc_sweeps.dispatch.local import run_locally, slots
from rdc_sweeps.dispatch.plan import Planned, enter
from rdc_sweeps.dispatch.preparation import prepare
from rdc_sweeps.monitoring.views import look, subject_of
from rdc_sweeps.runs.directory import RunDirectory
from rdc_sweeps.settings import Settings


def carry_out(planned: list[Planned], settings: Settings, *, rerun: bool) -> list[str]:
    """Prepare and train what is planned on this machine, and say how it went; returns the ids of runs not done."""
    todo = [one for one in planned if one.action != "skip"]
    skipped = [one for one in planned if one.action == "skip"]
    for one in skipped:
        if one.state != "done":
            messages.print(f"{one.run.title}: skipped, {one.reason}", markup=False, highlight=False)
    done_before = sum(one.state == "done" for one in skipped)
    if done_before:
        messages.print(f"{done_before} of {len(planned)} runs are done already", highlight=False)
    failed_before = [one.run.id for one in skipped if one.state == "failed"]
    if not todo:
        return failed_before
    with preparation_progress() as progress:
        gpus = prepare([one.run for one in todo], settings, progress)
    for one in todo:
        enter(one, settings.root, rerun=rerun)
    at_once = slots(len(todo), settings, gpus)
    where = f"{gpus} GPUs" if gpus else "the CPU"
    messages.print(
        f"training {len(todo)} runs on {where}: {at_once.runs} at once, {at_once.threads} threads each", highlight=False
    )
    with local_board([one.run for one in todo], settings.root) as watch:
        run_locally([one.run.id for one in todo], settings, at_once, gpus=gpus, watch=watch)
    unfinished = []
    for one in todo:
        view = look(subject_of(one.run), settings.root, {})
        if view.state == "done":
            continue
        unfinished.append(one.run.id)
        log = RunDirectory(settings.root, one.run.id).log
        cause = "another process is working on it" if view.state == "running" else view.cause
        messages.print(
            f"{one.run.title} ({one.run.id}): {view.state}: {cause or f'its process ended; see {log}'}",
            style="red",
            markup=False,
            highlight=False,
        )
    if not unfinished:
        run = todo[0].run
        messages.print(f"all done: rdc-sweep report {run.table.table} --profile {run.profile.profile}", highlight=False)
    return failed_before + unfinished
