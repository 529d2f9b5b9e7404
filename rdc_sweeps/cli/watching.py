"""A board that is refreshed repeatedly: live on a terminal, a line per change elsewhere."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.live import Live

from rdc_sweeps.cli.board import Board, changes, shown_state
from rdc_sweeps.cli.console import messages
from rdc_sweeps.monitoring.groups import RunGroup
from rdc_sweeps.monitoring.views import RunView, Subject, Waiting, inspect, subject_of
from rdc_sweeps.specs.catalogue import Run

REFRESH_SECONDS = 0.5
READING_SHARE = 0.1
"""Share of the time that may be spent on reading: many runs on a slow disk are read less often."""

Read = Callable[[], Sequence[RunGroup]]


@contextmanager
def watching(read: Read, console: Console, *, shown: dict[str, tuple[str, int]]) -> Iterator[Callable[[], None]]:
    """A function that reads the runs and shows changes if a refresh is due; at the end all are shown once more.

    Args:
        read: Reads the runs.
        console: Where to show them.
        shown: State and epoch of runs as last shown; without a terminal only changes are shown.
    """
    if not console.is_terminal:

        def print_changes() -> None:
            for group in read():
                for line in changes(group.views, shown):
                    console.print(line, highlight=False, markup=False, soft_wrap=True)

        yield throttled(print_changes)
        print_changes()
        return
    with Live(console=console, auto_refresh=False) as live:
        yield throttled(lambda: live.update(Board(read(), console.height - 1), refresh=True))
        # The last board stays, and may be longer than the terminal is high.
        live.update(Board(read()))


def throttled(act: Callable[[], None]) -> Callable[[], None]:
    """`act`, but not too often: the longer a call takes, the longer until the next."""
    due = 0.0

    def maybe() -> None:
        nonlocal due
        started = time.monotonic()
        if started >= due:
            act()
            ended = time.monotonic()
            due = ended + max(REFRESH_SECONDS, (ended - started) / READING_SHARE)

    return maybe


@contextmanager
def local_board(runs: Sequence[Run], root: Path) -> Iterator[Callable[[], None]]:
    """The board of a sweep on this machine; runs that it has not started are shown as queued."""
    subjects = [subject_of(run) for run in runs]
    started = time.time()
    final: dict[str, RunView] = {}

    def one(subject: Subject) -> RunView:
        view = inspect(subject, root, {})
        if view.state in {"planned", "preempted"} and (view.status is None or view.status.time < started):
            view = inspect(subject, root, {subject.run: Waiting()})
        if view.state == "done":
            final[subject.run] = view
        return view

    def read() -> list[RunGroup]:
        return table_groups(runs, [final.get(subject.run) or one(subject) for subject in subjects])

    shown = {subject.run: shown_state(one(subject)) for subject in subjects}
    with watching(read, messages, shown=shown) as watch:
        yield watch


def table_groups(runs: Sequence[Run], views: Sequence[RunView]) -> list[RunGroup]:
    """The rows x seeds of one table, under its name."""
    run = runs[0]
    return [RunGroup(" ".join((f"{run.table.table} under profile {run.profile.profile}", *run.changes)), views)]
