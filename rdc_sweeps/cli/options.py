"""Options that several commands share."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rdc_sweeps.errors import UsageError
from rdc_sweeps.settings import Settings, experiments_folder
from rdc_sweeps.specs.catalogue import Catalogue

if TYPE_CHECKING:
    from rdc_sweeps.api import Table
    from rdc_sweeps.runs.directory import RunDirectory

MOST_SEEDS = 10_000

TableArgument = Annotated[str, typer.Argument(help="Name of a table, such as table3.", show_default=False)]
TablesArgument = Annotated[list[str], typer.Argument(metavar="TABLE...", help="Names of tables.", show_default=False)]
RowsArgument = Annotated[list[str] | None, typer.Argument(help="Ids of rows; default: all.", show_default=False)]
ProfileOption = Annotated[
    str | None,
    typer.Option("--profile", "-p", help="Scale: paper, cpu or demo (setting: profile).", show_default=False),
]
SeedsOption = Annotated[
    str | None, typer.Option("--seeds", help="Seeds, such as 0,1,2; default: the profile's.", show_default=False)
]
PresentSeedsOption = Annotated[
    str | None, typer.Option("--seeds", help="Seeds, such as 0,1,2; default: all that have runs.", show_default=False)
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="a.b=c", help="Set a field in every row.", show_default=False)
]
CompatOption = Annotated[
    str | None,
    typer.Option("--compat", help="Reproduce the differences of other code: released.", show_default=False),
]
RootOption = Annotated[Path | None, typer.Option("--root", help="Runs folder (setting: root).", show_default=False)]
DeviceOption = Annotated[str | None, typer.Option(help="auto, cpu or cuda.", show_default=False)]
ExperimentsOption = Annotated[
    Path | None, typer.Option("--experiments", help="Folder of tables and profiles.", show_default=False)
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def parse_seeds(text: str | None) -> list[int] | None:
    """Parse `0,1,2` or `0-4`; None stays None."""
    if text is None:
        return None
    try:
        seeds: list[int] = []
        for part in text.split(","):
            first, dash, last = part.partition("-")
            asked = range(int(first), int(last if dash else first) + 1)
            if asked.stop - asked.start + len(seeds) > MOST_SEEDS:
                raise typer.BadParameter(f"at most {MOST_SEEDS} seeds at once, found {text!r}", param_hint="--seeds")
            seeds += asked
    except ValueError:
        raise typer.BadParameter(f"write seeds as 0,1,2 or 0-4, found {text!r}", param_hint="--seeds") from None
    if not seeds:
        raise typer.BadParameter(f"no seeds in {text!r}", param_hint="--seeds")
    return list(dict.fromkeys(seeds))


def open_catalogue(settings: Settings) -> Catalogue:
    """Open the catalogue of the experiments folder."""
    return Catalogue(experiments_folder(settings))


def resolve(
    table: str,
    rows: list[str] | None,
    seeds: str | None,
    assignments: list[str] | None,
    compat: str | None = None,
    **flags: object,
) -> "Table":
    """Load the table that the command line names."""
    from rdc_sweeps.api import load_table

    return load_table(
        table, rows=rows or (), seeds=parse_seeds(seeds), changes=assignments or (), compat=compat, **flags
    )


def find_run(settings: Settings, prefix: str) -> "RunDirectory":
    """Find the run whose id starts with `prefix`."""
    from rdc_sweeps.runs import directory

    try:
        return directory.find_run(settings.root, prefix)
    except UsageError as error:
        raise typer.BadParameter(str(error), param_hint="RUN_ID") from error
