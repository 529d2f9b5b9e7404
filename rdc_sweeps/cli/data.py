"""data: import data sets from what their owners distribute, check and pack them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rdc_sweeps import api
from rdc_sweeps.cli.console import build_progress, data, print_json, say
from rdc_sweeps.cli.options import JsonOption

if TYPE_CHECKING:
    from rdc_sweeps.data.importing.own import OwnSource
    from rdc_sweeps.data.importing.source import Source
    from rdc_sweeps.specs.base import Size

group = typer.Typer(help="Import, check and pack data sets.", no_args_is_help=True)
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
    """Import, check and pack data sets."""


@group.command()
def check(
    root: Annotated[Path, typer.Argument(help="The folder that holds train/ and val/.", show_default=False)],
    dataset: Annotated[
        str | None,
        typer.Option(
            help="What to compare with: nyuv2, nyuv2-40, cityscapes, cityscapes-19, rooms or streets; default: as it "
            "was imported, or by its folders.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for check.json, check.png and check.html.", show_default=False),
    ] = None,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a data set: files, values, units, classes, frames, and whether its maps belong together.

    Exits with 1 if a check has failed. Nothing is changed.
    """
    with build_progress() as progress:
        checked = api.check_data(root, dataset, workers=workers, progress=progress)
    from rdc_sweeps.reporting.data_check import as_json as record
    from rdc_sweeps.reporting.data_check import render_terminal, summary, write_folder

    if output is not None:
        for path in write_folder(checked, output):
            say(f"wrote {path}")
    if as_json:
        print_json(record(checked))
    else:
        data.print(render_terminal(checked))
    say(summary(checked))
    if checked.count("error"):
        raise typer.Exit(1)


@group.command()
def where(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME...", help="nyuv2, cityscapes, mtan, labels; default: all.", show_default=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show where data sets are distributed, and their terms."""
    from dataclasses import asdict

    from rdc_sweeps.data.importing.where import described, find_distributions

    found = find_distributions(names or [])
    if as_json:
        print_json([asdict(one) for one in found])
        return
    for number, one in enumerate(found):
        for line in ([""] if number else []) + list(described(one)):
            data.print(line, soft_wrap=True)


@importers.callback()
def _importers() -> None:
    """Write a data set in the layout that runs read; resumes if stopped."""


@importers.command("nyuv2")
def import_nyuv2(
    file: Annotated[
        Path, typer.Argument(metavar="MAT", help="nyu_depth_v2_labeled.mat of its owners.", show_default=False)
    ],
    output: OutputArgument,
    size: Annotated[str, typer.Option(help="Height and width to write.")] = "288x384",
    crop: Annotated[bool, typer.Option(help="Cut off the white border (to 427x561).")] = True,
    depth: Annotated[
        Literal["inpainted", "raw"], typer.Option(help="With holes filled in, or as measured.")
    ] = "inpainted",
    classes: Annotated[Literal["13", "40"], typer.Option(help="Semantic classes.")] = "13",
    normals: Annotated[
        Path | None,
        typer.Option(help="Folder normals_gt or nyu_normals_gt; default: fit them to depth.", show_default=False),
    ] = None,
    splits: Annotated[
        Path | None, typer.Option(help="A file like splits.mat; default: the official split.", show_default=False)
    ] = None,
    workers: WorkersOption = None,
) -> None:
    """Import NYU-V2 from nyu_depth_v2_labeled.mat."""
    from rdc_sweeps.data.importing.nyuv2 import open_nyuv2_source

    source = open_nyuv2_source(
        file,
        size=parse_size(size),
        cropped=crop,
        depth=depth,
        classes=13 if classes == "13" else 40,
        normals=normals,
        splits=splits,
    )
    run_import(source, output, workers, "RDC_SWEEP_NYUV2_ROOT")


@importers.command("cityscapes")
def import_cityscapes(
    images: Annotated[Path, typer.Argument(metavar="leftImg8bit", help="Images.", show_default=False)],
    labels: Annotated[Path, typer.Argument(metavar="gtFine", help="Fine labels.", show_default=False)],
    disparity: Annotated[Path, typer.Argument(metavar="disparity", help="Disparities.", show_default=False)],
    output: OutputArgument,
    size: Annotated[str, typer.Option(help="Height and width to write.")] = "128x256",
    classes: Annotated[Literal["7", "19"], typer.Option(help="7 categories, or the benchmark's 19 classes.")] = "7",
    workers: WorkersOption = None,
) -> None:
    """Import Cityscapes from the folders of its official archives."""
    from rdc_sweeps.data.importing.cityscapes import open_cityscapes_source
    from rdc_sweeps.data.importing.files import write_index
    from rdc_sweeps.specs.dataset import CityscapesSpec

    source = open_cityscapes_source(
        images, labels, disparity, size=parse_size(size), classes=7 if classes == "7" else 19
    )
    if (found := tuple(source.counts.values())) != CityscapesSpec.published:
        say("note: {} training and {} validation images, but 2975 and 500 are published".format(*found))
    run_import(source, output, workers, "RDC_SWEEP_CITYSCAPES_ROOT")
    if source.classes != CityscapesSpec().label_classes:
        say(f"  and in each run: --set dataset.label_classes={source.classes}")
    write_index(output, source.keys)


@importers.command("folder")
def import_folder(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="Describes the files, or a folder with it as import.yaml; see docs/own-data.md.",
            show_default=False,
        ),
    ],
    output: OutputArgument,
    workers: WorkersOption = None,
) -> None:
    """Import your own images and labels, as a file describes them."""
    from rdc_sweeps.data.importing.own import open_folder_source

    _import_own(open_folder_source(source), output, workers)


@importers.command("huggingface")
def import_huggingface(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="Describes the columns, or a folder with it as import.yaml; see docs/own-data.md.",
            show_default=False,
        ),
    ],
    output: OutputArgument,
    workers: WorkersOption = None,
) -> None:
    """Import your own images and labels from a Hugging Face data set on disk."""
    from rdc_sweeps.data.importing.huggingface import open_huggingface_source

    _import_own(open_huggingface_source(source), output, workers)


@group.command()
def pack(
    root: Annotated[
        Path, typer.Argument(metavar="ROOT", help="The folder that holds train/ and val/.", show_default=False)
    ],
    size: Annotated[
        str | None, typer.Option(help="Height and width of runs; default: the data set's.", show_default=False)
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="The data set; default: as settings and folders tell.", show_default=False)
    ] = None,
    classes: Annotated[
        int | None, typer.Option(help="Semantic classes; default: as the folders tell.", show_default=False)
    ] = None,
) -> None:
    """Pack a data set for fast reading, into the cache folder."""
    with build_progress() as progress:
        reports = api.pack_data(
            root, dataset, size=None if size is None else parse_size(size), classes=classes, progress=progress
        )
    for report in reports:
        types = ", ".join(f"{kind} {dtype}" for kind, dtype in report.types.items())
        state = "packed" if report.written else "already packed"
        say(f"{report.folder}: {state} ({types}; {report.bytes / 2**20:,.0f} MB)")


def _import_own(source: "OwnSource", output: Path, workers: int | None) -> None:
    from rdc_sweeps.data.importing.files import write_index
    from rdc_sweeps.data.importing.label_setting import FOLDER, write_label_setting
    from rdc_sweeps.data.importing.package import write_package

    name = source.spec.name
    say("{}: {} training and {} test images".format(name, *source.counts.values()))
    if source.unused:
        say(f"note: {source.unused} images are in neither split and are not imported")
    run_import(source, output, workers)
    write_index(output, source.keys)
    package = write_package(output, source)
    setting, problem = write_label_setting(output, source) if source.spec.optional else (None, None)
    if problem:
        say(f"note: no label setting can describe these labels, so runs use `labels.setting: full`: {problem}")
    say("to use them:")
    say(f"  pip install {package}")
    say(f'  in rdc-sweep.toml, below [dataset_roots]: {name} = "{output.absolute()}"')
    say(f"  in a table, below defaults: dataset: {{name: {name}}}")
    if setting and not problem:
        say(f'  in rdc-sweep.toml: label_settings_root = "{output.absolute() / FOLDER}"')
        say(f"  in a table, below defaults: labels: {{setting: {setting}, origin: published}}")


def parse_size(text: str) -> "Size":
    """Parse a height and width, such as `128x256`."""
    height, _, width = text.partition("x")
    if not (height.isdecimal() and width.isdecimal() and 0 < int(height) <= 8192 and 0 < int(width) <= 8192):
        raise typer.BadParameter(f"write it as HEIGHTxWIDTH, such as 128x256, found {text!r}", param_hint="--size")
    return int(height), int(width)


def run_import(source: "Source", output: Path, workers: int | None, setting: str | None = None) -> None:
    """Import a source, and say what was written.

    Args:
        source: What to import.
        output: The root to write.
        workers: Number of processes; None: one for each core.
        setting: The environment variable that locates this data set for runs; None if it has none.
    """
    with build_progress() as progress:
        report = api.import_data(source, output, workers=workers, progress=progress)
    say(f"{output}: {report.written} images imported, {report.kept} already there")
    say(f"to check them: rdc-sweep data check {output}")
    if setting:
        say(f"to use them: export {setting}={output.absolute()}")
