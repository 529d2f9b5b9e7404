"""probe: what the cross-task term of a run looks at."""

from pathlib import Path
from typing import Annotated

import typer

from rdc_sweeps import api
from rdc_sweeps.cli.console import build_progress, data, print_json, print_table, say
from rdc_sweeps.cli.options import DeviceOption, ExperimentsOption, JsonOption, ProfileOption, RootOption


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(probe)


def probe(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Ids of runs, or their first digits.")],
    compare: Annotated[
        bool, typer.Option("--compare", help="Also print how the further runs differ from the first, paired by image.")
    ] = False,
    epoch: Annotated[
        int | None,
        typer.Option(min=0, help="Epoch whose weights to probe; default: the last checkpoint.", show_default=False),
    ] = None,
    images: Annotated[int, typer.Option(min=1, help="Training images to probe, in whole batches.")] = 48,
    refit: Annotated[
        int | None,
        typer.Option(
            min=0, help="Train the term afresh for this many steps, on the run's network.", show_default=False
        ),
    ] = None,
    true_regions: Annotated[
        bool,
        typer.Option(
            "--true-regions",
            help="For analysis alone: regions are the connected parts of all semantic labels, withheld ones too.",
        ),
    ] = False,
    method_of: Annotated[
        str | None,
        typer.Option(metavar="TABLE/ROW", help="Probe the method of another row; needs --refit.", show_default=False),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="method.a=b", help="Change the method; needs --refit.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for probe.json, pictures and probe.html.", show_default=False),
    ] = None,
    profile: ProfileOption = None,
    device: DeviceOption = None,
    root: RootOption = None,
    experiments: ExperimentsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure what the cross-task term of a run looks at.

    Its value and accuracy with other things in place of the predictions, on the way to the truth, and the cosine
    between its gradient and that of labels that the training does not see.
    """
    with build_progress() as progress:
        probed = api.probe(
            runs,
            epoch=epoch,
            images=images,
            refit=refit,
            true_regions=true_regions,
            method_of=method_of,
            changes=assignments or (),
            progress=progress,
            profile=profile,
            device=device,
            root=root,
            experiments=experiments,
        )
    from rdc_sweeps.reporting.probe_page import write_folder
    from rdc_sweeps.reporting.probe_tables import comparison, heading, tables_of
    from rdc_sweeps.reporting.probes import as_json as records

    if output is not None:
        for path in write_folder(probed, output, compare=compare):
            say(f"wrote {path}")
    if as_json:
        print_json(records(probed))
        return
    for run in probed:
        for one in run.probes:
            data.print(heading(run, one), style="bold", highlight=False, markup=False, soft_wrap=True)
            for table in tables_of(one):
                print_table(table)
    if compare:
        for table in comparison(probed):
            print_table(table)
