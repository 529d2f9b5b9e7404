"""Shows runs repeatedly: a live board on a terminal, otherwise one line per change."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.live import Live

from rdc_sweeps.cli.board import Board
from rdc_sweeps.cli.console import messages
from rdc_sweeps.monitoring.changes import RunChanges
from rdc_sweeps.monitoring.groups import LocalSweep, RunGroup
from rdc_sweeps.specs.catalogue import Run

REFRESH_SECONDS = 0.5
READING_SHARE = 0.1
"""Maximum share of time spent on reading; many runs on a slow disk are refreshed less often."""

Read = Callable[[], Sequence[RunGroup]]


@contextmanager
def watching(read: Read, console: Console, changes: RunChanges) -> Iterator[Callable[[], None]]:
    """Show runs repeatedly; yields a function that refreshes them when due. Shows them once more at the end.

    Args:
        read: Reads the runs.
        console: Where to show them.
        changes: The last known states; without a terminal, only changes from these are printed.
    """
    if not console.is_terminal:

        def print_changes() -> None:
            for group in read():
                for line in changes.lines(group.views):
                    console.print(line, highlight=False, markup=False, soft_wrap=True)

        yield throttled(print_changes)
        print_changes()
        return
    with Live(console=console, auto_refresh=False) as live:
        yield throttled(lambda: live.update(Board(read(), console.height - 1), refresh=True))
        # The last board remains, and may be longer than the terminal.
        live.update(Board(read()))


def throttled(act: Callable[[], None]) -> Callable[[], None]:
    """Limit how often `act` is called: the longer a call takes, the longer the pause until the next."""
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
    """Show a sweep on this machine; yields a function that refreshes the board when due."""
    sweep = LocalSweep(runs, root)
    with watching(lambda: [sweep.group()], messages, RunChanges(sweep.group().views)) as watch:
        yield watch
