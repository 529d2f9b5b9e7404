"""A board that is looked at again and again: live on a terminal, a line per change elsewhere."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.live import Live

from rdc_sweeps.cli.board import Board, changes, told_of
from rdc_sweeps.cli.console import messages
from rdc_sweeps.monitoring.groups import Group
from rdc_sweeps.monitoring.views import Subject, View, Waiting, look, subject_of
from rdc_sweeps.specs.catalogue import Run

REFRESH_SECONDS = 0.5
LOOKING_SHARE = 0.1
"""Share of the time that may be spent looking: many runs on a slow disk are looked at less often."""

Look = Callable[[], Sequence[Group]]


@contextmanager
def watching(look_again: Look, console: Console, *, told: dict[str, tuple[str, int]]) -> Iterator[Callable[[], None]]:
    """A function that looks and shows what changed, if it is time to; at the end all is shown once more.

    Args:
        look_again: Reads the runs.
        console: Where to show them.
        told: State and epoch of runs that need not be told off a terminal.
    """
    if not console.is_terminal:

        def tell() -> None:
            for group in look_again():
                for line in changes(group.views, told):
                    console.print(line, highlight=False, markup=False, soft_wrap=True)

        yield throttled(tell)
        tell()
        return
    with Live(console=console, auto_refresh=False) as live:
        yield throttled(lambda: live.update(Board(look_again(), console.height - 1), refresh=True))
        # What stays may be longer than the terminal is high.
        live.update(Board(look_again()))


def throttled(act: Callable[[], None]) -> Callable[[], None]:
    """`act`, but only if it is time to: not too often, and the less often the longer it takes."""
    due = 0.0

    def maybe() -> None:
        nonlocal due
        begun = time.monotonic()
        if begun >= due:
            act()
            ended = time.monotonic()
            due = ended + max(REFRESH_SECONDS, (ended - begun) / LOOKING_SHARE)

    return maybe


@contextmanager
def local_board(runs: Sequence[Run], root: Path) -> Iterator[Callable[[], None]]:
    """The board of a sweep on this machine; runs that it has not begun wait in its own queue."""
    subjects = [subject_of(run) for run in runs]
    begun = time.time()
    final: dict[str, View] = {}

    def one(subject: Subject) -> View:
        view = look(subject, root, {})
        if view.state in {"planned", "preempted"} and (view.status is None or view.status.time < begun):
            view = look(subject, root, {subject.run: Waiting()})
        if view.state == "done":
            final[subject.run] = view
        return view

    def look_again() -> list[Group]:
        return table_groups(runs, [final.get(subject.run) or one(subject) for subject in subjects])

    told = {subject.run: told_of(one(subject)) for subject in subjects}
    with watching(look_again, messages, told=told) as watch:
        yield watch


def table_groups(runs: Sequence[Run], views: Sequence[View]) -> list[Group]:
    """The rows x seeds of one table under its name."""
    run = runs[0]
    return [Group(" ".join((f"{run.table.table} under profile {run.profile.profile}", *run.changes)), views)]
