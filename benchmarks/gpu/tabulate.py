"""Measurements as a table of the terminal."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table


def table(name: str, rows: Sequence[dict[str, Any]]) -> Table:
    """Rows of any columns; what a row lacks is a dash."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    found = Table(*columns, title=name, title_justify="left", box=None)
    for row in rows:
        cells = [row.get(column) for column in columns]
        found.add_row(*("-" if one is None else f"{one:.3g}" if isinstance(one, float) else str(one) for one in cells))
    return found


def wide_console() -> Console:
    """A console of at least 120 columns, since tables are read from logs too."""
    console = Console()
    console.width = max(console.width, 120)
    return console
