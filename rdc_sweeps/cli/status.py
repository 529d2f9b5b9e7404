"""status: show the state and progress of runs, once or live."""

import time
from collections.abc import Callable
from typing import Annotated

import typer

from rdc_sweeps.cli.board import Board
from rdc_sweeps.cli.console import data, messages, print_json
from rdc_sweeps.cli.options import (
    CompatOption,
    ExperimentsOption,
    JsonOption,
    ProfileOption,
    RootOption,
    SeedsOption,
    SetOption,
    resolve,
)
from rdc_sweeps.cli.watching import watching
from rdc_sweeps.errors import UsageError
from rdc_sweeps.monitoring.changes import RunChanges
from rdc_sweeps.monitoring.groups import RunGroup, RunsFolder, table_group
from rdc_sweeps.monitoring.queueing import SlurmQueue
from rdc_sweeps.monitoring.views import inspect, subject_of
from rdc_sweeps.runs.states import TERMINAL_STATES
from rdc_sweeps.settings import load_settings

PAUSE_SECONDS = 0.2


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(status)


def status(
    table: Annotated[str | None, typer.Argument(help="A table; default: all runs.", show_default=False)] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Keep updating until all runs have ended.")] = False,
    study: Annotated[str | None, typer.Option(help="Show only the trials of this study.", show_default=False)] = None,
    profile: ProfileOption = None,
    seeds: SeedsOption = None,
    assignments: SetOption = None,
    compat: CompatOption = None,
    root: RootOption = None,
    experiments: ExperimentsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show runs with state, progress, time left, metrics and errors."""
    if table is not None and study is not None:
        raise UsageError(f"status {table} --study {study}: name a table or a study, not both")
    if table is None and (profile or seeds or assignments or compat):
        raise UsageError("--profile, --seeds, --set and --compat select runs of a table; name a table")
    if table is not None:
        resolved = resolve(table, None, seeds, assignments, compat, profile=profile, root=root, experiments=experiments)
        runs, settings = resolved.runs, resolved.settings
        queue = SlurmQueue(settings.root)
        subjects = [subject_of(run) for run in runs]

        def read() -> list[RunGroup]:
            waiting = queue.read()
            views = [inspect(subject, settings.root, waiting) for subject in subjects]
            return queue.explained([table_group(runs, views)])
    else:
        settings = load_settings(root=root)
        queue = SlurmQueue(settings.root)
        folder = RunsFolder(settings.root)

        def read() -> list[RunGroup]:
            return queue.explained(folder.groups(queue.read(), study=study))

    if watch and not as_json:
        _watch(read, queue)
        return
    groups = read()
    if as_json:
        print_json([_as_json(group) for group in groups])
    elif groups:
        data.print(Board(groups))
    else:
        messages.print(f"no {f'runs of study {study}' if study else 'runs'} in {settings.root}", highlight=False)
    if queue.problem:
        messages.print(f"queued jobs are not shown: {queue.problem}", style="yellow", markup=False, highlight=False)


def _watch(read: Callable[[], list[RunGroup]], queue: SlurmQueue) -> None:
    """Show the board until all runs have ended or the user interrupts it."""
    last: list[RunGroup] = []

    def remember() -> list[RunGroup]:
        last[:] = read()
        return last

    try:
        with watching(remember, data, RunChanges()) as show:
            show()
            while any(view.state not in TERMINAL_STATES for group in last for view in group.views):
                time.sleep(PAUSE_SECONDS)
                show()
    except KeyboardInterrupt:
        return
    if queue.problem:
        messages.print(f"queued jobs are not shown: {queue.problem}", style="yellow", markup=False, highlight=False)


def _as_json(group: RunGroup) -> dict[str, object]:
    return {
        "title": group.title,
        "counts": group.counts,
        "seconds_left": group.seconds_left,
        "runs": [view.as_json() for view in group.views],
    }
