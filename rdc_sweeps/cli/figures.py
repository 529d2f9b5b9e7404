"""figures: pictures of runs in a folder."""

from pathlib import Path
from typing import Annotated

import typer

from rdc_sweeps import api
from rdc_sweeps.cli.console import data, say
from rdc_sweeps.cli.options import (
    DeviceOption,
    ExperimentsOption,
    PresentSeedsOption,
    ProfileOption,
    RootOption,
    SetOption,
    parse_seeds,
)
from rdc_sweeps.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(figures)


def figures(
    targets: Annotated[
        list[str],
        typer.Argument(metavar="TABLE|RUN...", help="Tables, rows (TABLE/ROW), or the first digits of runs' ids."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the files.")] = Path("figures"),
    form: Annotated[str, typer.Option("--format", help="png or pdf.")] = "png",
    only: Annotated[
        str | None,
        typer.Option(
            help="Kinds, such as predictions,errors,regions,curves,classes; default: all.", show_default=False
        ),
    ] = None,
    rows: Annotated[
        str | None, typer.Option(help="Only these rows, in this order, such as a,b.", show_default=False)
    ] = None,
    images: Annotated[
        str | None,
        typer.Option(
            help="Positions of test images, such as 3,17; or best, worst or most-changed, with a number as in worst:4.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Whose predictions and regions of a row to show.", show_default=False)
    ] = None,
    seeds: PresentSeedsOption = None,
    assignments: SetOption = None,
    training_image: Annotated[
        int, typer.Option(min=0, help="Position of the training image whose regions are shown.")
    ] = 0,
    profile: ProfileOption = None,
    device: DeviceOption = None,
    root: RootOption = None,
    experiments: ExperimentsOption = None,
) -> None:
    """Draw predictions, errors, regions, curves and classes of runs.

    Predictions and scores are those that runs keep, or are computed from their checkpoints.
    """
    numbers = parse_seeds(seeds)
    from rdc_sweeps.reporting.figures.choice import ImageChoice
    from rdc_sweeps.reporting.figures.folder import KINDS, FigureChoice

    kinds = tuple(dict.fromkeys(only.split(","))) if only else KINDS
    if wrong := [kind for kind in kinds if kind not in KINDS]:
        raise UsageError(f"--only: no figures {wrong[0]!r}. Available: {', '.join(KINDS)}")
    if form not in {"png", "pdf"}:
        raise UsageError(f"--format: no format {form!r}. Available: png, pdf")
    choice = FigureChoice(
        kinds=kinds,  # type: ignore[arg-type]
        images=None if images is None else ImageChoice.parse(images),
        seed=seed,
        training_image=training_image,
        form=form,  # type: ignore[arg-type]
    )
    written = api.figures(
        targets,
        output,
        rows=rows.split(",") if rows else (),
        seeds=numbers,
        changes=assignments or (),
        choice=choice,
        tell=say,
        profile=profile,
        device=device,
        root=root,
        experiments=experiments,
    )
    for path in written:
        data.print(str(path), soft_wrap=True)
