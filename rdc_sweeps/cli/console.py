"""Output: data on stdout, messages on stderr, and progress bars."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rdc_sweeps.texts import TextConsole

if TYPE_CHECKING:
    from rdc_sweeps.reporting.text_tables import TextTable

data = TextConsole(soft_wrap=False)
"""Prints the data that the user asked for."""

messages = TextConsole(stderr=True, soft_wrap=True)
"""Prints everything else."""

LINE_SECONDS = 10.0


def print_json(value: Any) -> None:
    """Print plain JSON on stdout."""
    data.file.write(json.dumps(value, indent=2) + "\n")


def print_table(table: "TextTable") -> None:
    """Print a table at its full width; a column that is cut off would hide what was measured."""
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False)
    for number, column in enumerate(table.columns):
        shown.add_column(Text(column.replace(", ", ",\n")), justify="right" if number else "left", no_wrap=True)
    for row in table.rows:
        shown.add_row(*map(Text, row))
    width = Measurement.get(data, data.options.update(max_width=1000), shown).maximum
    wide = TextConsole(file=data.file, width=max(width, data.width), soft_wrap=False)
    data.print(Text(table.title), soft_wrap=True)
    wide.print(shown)
    wide.print()


def say(text: str, style: str | None = None) -> None:
    """Print a message literally, without markup or highlighting."""
    messages.print(text, style=style, markup=False, highlight=False)


def say_all(lines: Iterable[str]) -> None:
    """Print messages, each literally on a line."""
    for line in lines:
        say(line)


@contextmanager
def build_progress() -> Iterator[Callable[[str, int, int], None]]:
    """Yields a function of (title, done, total): a progress bar on a terminal, otherwise plain lines."""
    if not messages.is_terminal:
        yield _plain_lines()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
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
            say(f"{title}: {done} of {total}")

    return update
