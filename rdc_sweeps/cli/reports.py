"""report: finished runs as a table."""

from typing import Annotated

import typer

from rdc_sweeps import api
from rdc_sweeps.cli.console import data, messages
from rdc_sweeps.cli.options import (
    CompatOption,
    ExperimentsOption,
    ProfileOption,
    RootOption,
    SeedsOption,
    SetOption,
    TableArgument,
    resolve,
)
from rdc_sweeps.metrics.selection import Selection
from rdc_sweeps.reporting.formats import Format, render

INCOMPLETE = 4


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(report)


def report(
    table: TableArgument,
    profile: ProfileOption = None,
    seeds: SeedsOption = None,
    assignments: SetOption = None,
    compat: CompatOption = None,
    form: Annotated[Format, typer.Option("--format", "-f", help="How to print it.")] = "terminal",
    selection: Annotated[
        Selection | None,
        typer.Option(help="Which epoch counts; default: the profile's rule.", show_default=False),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(help="Row that improvements are relative to; default: each row's own.", show_default=False),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 4 if a run is missing.")] = False,
    root: RootOption = None,
    experiments: ExperimentsOption = None,
) -> None:
    """Report a table: published and measured results side by side.

    It shows the mean and standard deviation over seeds, and improvements over the baseline.
    """
    resolved = resolve(table, None, seeds, assignments, compat, profile=profile, root=root, experiments=experiments)
    built = api.report(resolved, selection=selection, baseline=baseline)
    render(built, form, data)
    if strict and built.missing:
        messages.print(f"{len(built.missing)} runs are missing", style="red")
        raise typer.Exit(INCOMPLETE)
