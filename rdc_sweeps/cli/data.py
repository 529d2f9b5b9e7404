"""data: import data sets from what their owners distribute."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rdc_sweeps.cli.console import build_progress, say

if TYPE_CHECKING:
    from rdc_sweeps.data.importing.source import Source

group = typer.Typer(help="Import data sets as their owners distribute them.", no_args_is_help=True)
importers = typer.Typer(help="Write a data set in the layout that runs read; resumes if stopped.", no_args_is_help=True)
group.add_typer(importers, name="import")

OutputArgument = Annotated[
    Path, typer.Argument(metavar="OUT", help="A new folder for train/ and val/.", show_default=False)
]
WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", "-w", min=1, help="Processes; default: one for each core.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(group, name="data")


@group.callback()
def _group() -> None:
    """Import data sets as their owners distribute them."""


@importers.callback()
def _importers() -> None:
    """Write a data set in the layout that runs read; resumes if stopped."""


def run_import(source: "Source", output: Path, workers: int | None, setting: str | None = None) -> None:
    """Import a source, and say what was written.

    Args:
        source: What to import.
        output: The root to write.
        workers: Number of processes; None: one for each core.
        setting: The environment variable that locates this data set for runs; None if it has none.
    """
    from rdc_sweeps.data.importing.engine import import_source

    with build_progress() as progress:
        report = import_source(source, output, workers=workers, progress=progress)
    say(f"{output}: {report.written} images imported, {report.kept} already there")
    if setting:
        say(f"to use them: export {setting}={output.absolute()}")
