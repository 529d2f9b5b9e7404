"""regions: compute region maps, and describe them."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rdc_sweeps.cli.console import build_progress, print_json, print_table, say, say_all
from rdc_sweeps.cli.listening import ConsoleListener
from rdc_sweeps.cli.options import (
    DeviceOption,
    ExperimentsOption,
    JsonOption,
    ProfileOption,
    RowsArgument,
    resolve,
)
from rdc_sweeps.errors import UsageError
from rdc_sweeps.processes.environment import adopt_worker_environment
from rdc_sweeps.settings import Settings, load_settings, read_settings

if TYPE_CHECKING:
    from rdc_sweeps.regions.build import Shard
    from rdc_sweeps.specs.maps import MapsSpec

group = typer.Typer(help="Compute and describe region maps.", no_args_is_help=True)

TableArgument = Annotated[
    str | None, typer.Argument(help="A table, whose runs' maps are meant; or use --generator.", show_default=False)
]
GeneratorOption = Annotated[
    str | None,
    typer.Option(
        "--generator", "-g", help="Without a table: sam, sam2, transformers, superpixel, ...", show_default=False
    ),
]
DatasetOption = Annotated[
    str | None, typer.Option("--dataset", help="Of --generator: training images of this data set.", show_default=False)
]
ImagesOption = Annotated[
    Path | None, typer.Option("--images", help="Of --generator: all images in this folder.", show_default=False)
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="a.b=c", help="Set a field in every row; of --generator: regions.a=b, dataset.a=b.",
        show_default=False,
    ),
]  # fmt: skip
SettingsOption = Annotated[
    Path | None, typer.Option("--settings", help="JSON file that replaces all other settings.", hidden=True)
]


def register(app: typer.Typer) -> None:
    """Add the group."""
    app.add_typer(group, name="regions")


@group.callback()
def _group() -> None:
    """Compute and describe region maps."""


@group.command()
def build(
    table: TableArgument = None,
    rows: RowsArgument = None,
    generator: GeneratorOption = None,
    dataset: DatasetOption = None,
    images: ImagesOption = None,
    assignments: SetOption = None,
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Only every Nth image from image I on, 0/N to N-1/N.", show_default=False),
    ] = None,
    shards: Annotated[
        int | None, typer.Option(min=1, help="Submit so many jobs that share the work.", show_default=False)
    ] = None,
    profile: ProfileOption = None,
    device: DeviceOption = None,
    executor: Annotated[str | None, typer.Option(help="slurm, with --shards.", show_default=False)] = None,
    node: Annotated[str | None, typer.Option(help="Node profile for Slurm.", show_default=False)] = None,
    experiments: ExperimentsOption = None,
    settings_file: SettingsOption = None,
) -> None:
    """Compute the region maps of a table's runs, a data set or a folder; resumes if stopped."""
    if shards and shard:
        raise typer.BadParameter("is for one process, and --shards for jobs; use one of them", param_hint="--shard")
    if executor == "slurm" and not shards:
        raise typer.BadParameter("needs the number of jobs: --shards N", param_hint="--executor slurm")
    part = parse_shard(shard)
    flags = {"profile": profile, "device": device, "executor": executor, "node": node, "experiments": experiments}
    settings = read_settings(settings_file) if settings_file else load_settings(**flags)
    wanted = _wanted(settings, flags, table, rows, generator, dataset, images, assignments)
    if not wanted:
        say(f"no row of {table} under profile {settings.profile} reads stored regions")
        return
    if shards:
        from rdc_sweeps.dispatch.executors import executor_for
        from rdc_sweeps.dispatch.region_jobs import submit_builds

        submit_builds(wanted, shards, executor_for(settings, _JobListener(settings)))
        return
    say_all(adopt_worker_environment())
    from rdc_sweeps.dispatch.region_maps import build_maps

    with build_progress() as report:
        reports = build_maps(wanted, settings, report, part)
    for title, built in reports.items():
        say(f"{title}: {built.built} built, {built.reused} already stored")


@group.command()
def stats(
    table: TableArgument = None,
    rows: RowsArgument = None,
    generator: GeneratorOption = None,
    dataset: DatasetOption = None,
    images: ImagesOption = None,
    assignments: SetOption = None,
    min_pixels: Annotated[
        int, typer.Option(min=0, help="Regions with fewer pixels of the image are counted as small.")
    ] = 40,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for histograms and images.", show_default=False)
    ] = None,
    show: Annotated[int, typer.Option(min=0, help="Images to draw with their regions, for --output.")] = 4,
    profile: ProfileOption = None,
    experiments: ExperimentsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Describe stored region maps: numbers, sizes, coverage, and how well regions can follow labels."""
    flags = {"profile": profile, "experiments": experiments}
    settings = load_settings(**flags)
    wanted = _wanted(settings, flags, table, rows, generator, dataset, images, assignments)
    if not wanted:
        say(f"no row of {table} under profile {settings.profile} reads stored regions")
    from rdc_sweeps.reporting.region_maps import describe_maps, region_tables

    with build_progress() as progress:
        reports = [
            describe_maps(maps, settings, min_pixels=min_pixels, show=show if output else 0, progress=progress)
            for maps in wanted
        ]
    if as_json:
        print_json([report.to_data() for report in reports])
    else:
        for report in reports:
            for shown in region_tables(report):
                print_table(shown)
    if output:
        from rdc_sweeps.reporting.figures.region_maps import write_map_figures

        for number, report in enumerate(reports):
            for path in write_map_figures(report, output / str(number) if len(reports) > 1 else output):
                say(f"wrote {path}")


class _JobListener(ConsoleListener):
    """Prints which jobs compute maps."""

    def workers_submitted(self, count: int, job: str | None, preparation: str | None) -> None:
        """Print the array."""
        say(f"submitted {count} jobs that share the images, as Slurm job {job}, node profile {self.settings.node}")

    def workers_found(self, running: int, waiting: int) -> None:
        """Print why nothing was submitted."""
        say(f"Slurm already has jobs for these maps: {running} running, {waiting} pending; nothing was submitted")


def parse_shard(text: str | None) -> "Shard":
    """Parse `0/8`, or `task/8` in a Slurm array; None is everything."""
    from rdc_sweeps.regions.build import EVERYTHING, Shard

    if text is None:
        return EVERYTHING
    found = re.fullmatch(r"(\d{1,9}|task)/(\d{1,9})", text)
    if found is None:
        raise typer.BadParameter(f"write it as 0/8, or task/8 in a Slurm array, found {text!r}", param_hint="--shard")
    index = os.environ.get("SLURM_ARRAY_TASK_ID", "") if found[1] == "task" else found[1]
    if not index.isdecimal():
        raise typer.BadParameter("task is only known in a task of a Slurm array; write 0/8", param_hint="--shard")
    if not int(index) < int(found[2]):
        raise typer.BadParameter(
            f"the shards of {found[2]} are 0/{found[2]} to {int(found[2]) - 1}/{found[2]}, found {index}",
            param_hint="--shard",
        )
    return Shard(int(index), int(found[2]))


def _wanted(
    settings: Settings,
    flags: Mapping[str, object],
    table: str | None,
    rows: list[str] | None,
    generator: str | None,
    dataset: str | None,
    images: Path | None,
    assignments: list[str] | None,
) -> "list[MapsSpec]":
    """The maps that a command line names."""
    if (table is None) == (generator is None):
        raise UsageError("name a table, or a source of regions with --generator")
    if generator is None:
        if dataset or images:
            raise UsageError("--dataset and --images are for --generator; a table has its own images")
        assert table is not None
        resolved = resolve(table, rows, None, assignments, None, **flags)
        from rdc_sweeps.dispatch.inputs import check_regions
        from rdc_sweeps.dispatch.region_maps import maps_of

        check_regions(resolved.runs, settings)
        return maps_of(run.spec for run in resolved.runs)
    if (dataset is None) == (images is None):
        raise UsageError("--generator needs the images: --dataset NAME, or --images FOLDER")
    from rdc_sweeps.specs.maps import maps_spec

    return [maps_spec(generator, dataset, images, assignments or ())]
