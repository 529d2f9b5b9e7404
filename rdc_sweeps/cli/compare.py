"""compare: runs or rows beside each other."""

from pathlib import Path
from typing import Annotated

import typer

from rdc_sweeps import api
from rdc_sweeps.cli.console import print_json, print_table, say
from rdc_sweeps.cli.options import (
    DeviceOption,
    ExperimentsOption,
    JsonOption,
    PresentSeedsOption,
    ProfileOption,
    RootOption,
    SetOption,
    parse_seeds,
)
from rdc_sweeps.metrics.selection import Selection


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(compare)


def compare(
    targets: Annotated[
        list[str],
        typer.Argument(metavar="RUN|ROW...", help="Rows (TABLE/ROW), or the first digits of runs' ids; two or more."),
    ],
    selection: Annotated[
        Selection | None,
        typer.Option(help="Which epoch counts; default: the rule of the first's profile.", show_default=False),
    ] = None,
    seeds: PresentSeedsOption = None,
    assignments: SetOption = None,
    images: Annotated[
        str | None,
        typer.Option(
            help="Test images in the figures, such as 3,17 or worst:4; default: most-changed.", show_default=False
        ),
    ] = None,
    by_image: Annotated[bool, typer.Option("--by-image/--no-images", help="Compare single test images, too.")] = True,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for comparison.json and figures.", show_default=False),
    ] = None,
    profile: ProfileOption = None,
    device: DeviceOption = None,
    root: RootOption = None,
    experiments: ExperimentsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare runs or rows: specs, metrics, curves and single images.

    All gains are over the first run or row, and above 0 is better.
    """
    numbers = parse_seeds(seeds)
    from rdc_sweeps.reporting.comparison_formats import comparison_json, comparison_tables
    from rdc_sweeps.reporting.figures.choice import ImageChoice

    found = api.compare(
        targets,
        selection=selection,
        seeds=numbers,
        changes=assignments or (),
        images=by_image,
        output=output,
        shown=None if images is None else ImageChoice.parse(images),
        tell=say,
        profile=profile,
        device=device,
        root=root,
        experiments=experiments,
    )
    if as_json:
        print_json(comparison_json(found))
    else:
        for table in comparison_tables(found):
            print_table(table)
    for note in found.notes:
        say(note, style="yellow")
