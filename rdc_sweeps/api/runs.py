"""Finished runs, looked at and compared."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rdc_sweeps.errors import UsageError
from rdc_sweeps.metrics.selection import Selection
from rdc_sweeps.settings import experiments_folder, load_settings
from rdc_sweeps.specs.catalogue import Catalogue
from rdc_sweeps.specs.document import assignments

if TYPE_CHECKING:
    from rdc_sweeps.dispatch.region_maps import ReportBuild
    from rdc_sweeps.reporting.comparison import Comparison
    from rdc_sweeps.reporting.figures.choice import ImageChoice
    from rdc_sweeps.reporting.figures.folder import FigureChoice
    from rdc_sweeps.reporting.probes import ProbedRun


def probe(
    runs: Sequence[str],
    *,
    epoch: int | None = None,
    images: int = 48,
    refit: int | None = None,
    true_regions: bool = False,
    method_of: str | None = None,
    changes: Mapping[str, Any] | Sequence[str] = (),
    progress: "ReportBuild" = lambda *_: None,
    **settings: Any,
) -> "list[ProbedRun]":
    """Measure what the cross-task terms of runs look at; nothing in their directories changes.

    Args:
        runs: Ids of runs with a checkpoint, or their first digits.
        epoch: Whose weights to probe, see `training.keep_checkpoints`; None: the last checkpoint.
        images: At least so many training images, in whole batches.
        refit: Train the term afresh for so many steps on the run's network; None: that of the checkpoint.
        true_regions: For analysis alone: regions are the connected parts of all semantic labels, withheld ones too.
        method_of: `TABLE/ROW`: probe that row's method under the settings' profile; needs `refit`.
        changes: Fields of the method that differ, as for `load_table`; needs `refit`.
        progress: Told of region maps that are built.
        **settings: See `load_table`.

    Raises:
        UsageError: A run, checkpoint, table or row does not exist, or a run has no term.
        SpecError: The changed method is not valid.
        DataError: Data are missing or damaged.
    """
    from rdc_sweeps.reporting.probes import ProbedRun
    from rdc_sweeps.runs.directory import find_run

    chosen, method = load_settings(**settings), None
    if method_of is not None:
        table, slash, row = method_of.partition("/")
        if not slash:
            raise UsageError(f"{method_of!r} is not TABLE/ROW, such as table3/one-region-gaussian")
        (found,) = Catalogue(experiments_folder(chosen)).runs(table, chosen.profile, rows=[row], seeds=[0])
        method = found.spec.method
    return [
        ProbedRun.of(
            directory,
            chosen,
            epoch=epoch,
            images=images,
            refit=refit,
            true_regions=true_regions,
            method=method,
            changes=assignments(changes),
            progress=progress,
        )
        for directory in [find_run(chosen.root, run) for run in runs]
    ]


def figures(
    targets: Sequence[str],
    folder: Path,
    *,
    rows: Sequence[str] = (),
    seeds: Sequence[int] | None = None,
    changes: Mapping[str, Any] | Sequence[str] = (),
    choice: "FigureChoice | None" = None,
    tell: Callable[[str], object] = lambda _: None,
    **settings: Any,
) -> list[Path]:
    """Draw figures of runs into a folder: predictions, errors, regions, training curves, and classes (docs/figures.md).

    Args:
        targets: Each a table, `TABLE/ROW`, or the first digits of a run's id.
        folder: Created if it does not exist.
        rows: Only these rows, in this order.
        seeds: Seeds of rows; None: all of which there are runs.
        changes: Fields that differ in every row, as for `load_table`.
        choice: What to draw; None: everything.
        tell: Told what is missing, and what is computed.
        **settings: See `load_table`.

    Raises:
        UsageError: Something of this name does not exist, or nothing could be drawn.
    """
    from rdc_sweeps.reporting.figures.folder import FigureChoice, write_figures
    from rdc_sweeps.reporting.sides import find_sides, only_rows

    chosen = load_settings(**settings)
    sides = only_rows(find_sides(targets, chosen, seeds=seeds, changes=assignments(changes)), rows)
    return write_figures(sides, chosen, folder, choice or FigureChoice(), tell)


def compare(
    targets: Sequence[str],
    *,
    selection: Selection | None = None,
    seeds: Sequence[int] | None = None,
    changes: Mapping[str, Any] | Sequence[str] = (),
    images: bool = True,
    output: Path | None = None,
    shown: "ImageChoice | None" = None,
    tell: Callable[[str], object] = lambda _: None,
    **settings: Any,
) -> "Comparison":
    """Compare rows or runs with the first one: specs, metrics paired by seed, scores paired by image (docs/figures.md).

    Args:
        targets: At least two sides: each `TABLE/ROW` or the first digits of a run's id, or a table with several rows.
        selection: The rule for the epoch that counts; None: that of the first side's profile.
        seeds: Seeds of rows; None: all of which there are runs.
        changes: Fields that differ in every row, as for `load_table`.
        images: Whether to compare images; runs without scores then need their checkpoints and data.
        output: A folder for `comparison.json` and figures; None: nothing is written.
        shown: The test images in the figures; None: those that change most.
        tell: Told what is computed.
        **settings: See `load_table`.

    Raises:
        UsageError: Something of this name does not exist, or there are fewer than two sides.
    """
    from rdc_sweeps.reporting.comparison import compare_sides
    from rdc_sweeps.reporting.image_source import ImageSource
    from rdc_sweeps.reporting.sides import find_sides

    chosen = load_settings(**settings)
    source = ImageSource(chosen, None if output is None else output / "cache", tell) if images else None
    found = compare_sides(
        find_sides(targets, chosen, seeds=seeds, changes=assignments(changes)), source, selection=selection
    )
    if output is not None:
        from rdc_sweeps.reporting.comparison_folder import write_comparison

        for path in write_comparison(found, chosen, output, shown, tell):
            tell(f"wrote {path}")
    return found
