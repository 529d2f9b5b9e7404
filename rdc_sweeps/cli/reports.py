"""report, claims: finished runs as tables, and what they say about the claims of the paper."""

from pathlib import Path
from typing import Annotated

import typer

from rdc_sweeps import api
from rdc_sweeps.cli.console import data, messages, say
from rdc_sweeps.cli.options import (
    CompatOption,
    ExperimentsOption,
    ProfileOption,
    RootOption,
    SeedsOption,
    SetOption,
    TablesArgument,
    parse_seeds,
    resolve,
)
from rdc_sweeps.errors import UsageError
from rdc_sweeps.metrics.selection import Selection
from rdc_sweeps.reporting.claims_formats import ClaimsFormat, render_claims
from rdc_sweeps.reporting.formats import SINGLE, Format, render

SelectionOption = Annotated[
    Selection | None,
    typer.Option(help="Which epoch counts; default: the profile's rule.", show_default=False),
]

INCOMPLETE = 4


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(report)
    app.command()(claims)


def report(
    tables: TablesArgument,
    profile: ProfileOption = None,
    seeds: SeedsOption = None,
    assignments: SetOption = None,
    compat: CompatOption = None,
    form: Annotated[Format, typer.Option("--format", "-f", help="How to print it; html writes a folder.")] = "terminal",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for --format html.", show_default=False)
    ] = None,
    selection: SelectionOption = None,
    baseline: Annotated[
        str | None,
        typer.Option(help="Row that improvements are relative to; default: each row's own.", show_default=False),
    ] = None,
    statistics: Annotated[
        bool, typer.Option("--statistics", help="List all differences: intervals, p values, verdicts.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 4 if a run is missing.")] = False,
    root: RootOption = None,
    experiments: ExperimentsOption = None,
) -> None:
    """Report tables: published and measured results side by side.

    It shows the mean and standard deviation over seeds, and improvements over the baseline with marks for those that
    are more than chance.
    """
    if (form == "html") != (output is not None):
        raise UsageError("--format html needs a folder to write to: name one with --output, which others do not take")
    if form in SINGLE and len(tables) > 1:
        raise UsageError(f"--format {form} has one table at a time; name one")
    found = [
        resolve(table, None, seeds, assignments, compat, profile=profile, root=root, experiments=experiments)
        for table in tables
    ]
    if output is not None:
        page = api.write_report(found, output, selection=selection, baseline=baseline)
        data.print(str(page), soft_wrap=True)
        say(f"open it in a browser: {page.resolve().as_uri()}")
    reports = [api.report(table, selection=selection, baseline=baseline) for table in found if form != "html" or strict]
    if form != "html":
        for number, one in enumerate(reports):
            if number:
                data.print()
            render(one, form, data, statistics=statistics)
    missing = sum(len(one.missing) for one in reports)
    if strict and missing:
        messages.print(f"{missing} runs are missing", style="red")
        raise typer.Exit(INCOMPLETE)


def claims(
    tables: Annotated[
        list[str] | None, typer.Argument(help="Tables whose rows are compared; default: all.", show_default=False)
    ] = None,
    profile: ProfileOption = None,
    seeds: SeedsOption = None,
    assignments: SetOption = None,
    compat: CompatOption = None,
    form: Annotated[ClaimsFormat, typer.Option("--format", "-f", help="How to print it.")] = "terminal",
    selection: SelectionOption = None,
    root: RootOption = None,
    experiments: ExperimentsOption = None,
) -> None:
    """Put the paper's claims to the test: measured and published.

    Each claim is answered by all pairs of rows that differ in what it is about.
    """
    built = api.claims(
        tables or (),
        seeds=parse_seeds(seeds),
        changes=assignments or (),
        compat=compat,
        selection=selection,
        profile=profile,
        root=root,
        experiments=experiments,
    )
    render_claims(built, form, data)
