"""Progress of preparations: a bar on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from rdc_sweeps.cli.console import messages

LINE_SECONDS = 10.0


@contextmanager
def preparation_progress() -> Iterator[Callable[[str, int, int], None]]:
    """A function of (title, done, total) that shows how far a long preparation is."""
    if not messages.is_terminal:
        yield _plain_lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=messages, transient=True) as bars:
        tasks = {}

        def update(title: str, done: int, total: int) -> None:
            if title not in tasks:
                tasks[title] = bars.add_task(title, total=total)
            bars.update(tasks[title], completed=done)

        yield update


def _plain_lines() -> Callable[[str, int, int], None]:
    last: dict[str, float] = {}

    def update(title: str, done: int, total: int) -> None:
        now = time.monotonic()
        if title not in last or (done == total and total) or now - last[title] >= LINE_SECONDS:
            last[title] = now
            messages.print(f"{title}: {done} of {total}", highlight=False)

    return update
