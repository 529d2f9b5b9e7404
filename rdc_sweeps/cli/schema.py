"""schema: JSON Schemas of files and of JSON output."""

from typing import Annotated, Literal

import typer

from rdc_sweeps.cli.console import print_json
from rdc_sweeps.specs.schema import SchemaName, json_schema


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(schema)


def schema(
    name: Annotated[
        Literal[SchemaName, "report", "claims", "data-check"], typer.Argument(help="Kind of file, or a command.")
    ] = "table",
) -> None:
    """Print the JSON Schema of a kind of file, or of JSON output.

    Files are tables, profiles, compat overlays, studies, runs and descriptions of data to import. `report` and
    `claims` are what `rdc-sweep report` and `claims` print with `--format json`, and `data-check` what `rdc-sweep data
    check` prints with `--json`.
    """
    if name == "report" or name == "claims" or name == "data-check":
        from rdc_sweeps.reporting.json_schemas import output_schema

        print_json(output_schema(name))
    else:
        print_json(json_schema(name))
