"""The Python API: what the commands call, for notebooks and scripts."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rdc_sweeps.dispatch.comparison import DataComparison
from rdc_sweeps.dispatch.executors import Listener, executor_for
from rdc_sweeps.dispatch.plan import Planned
from rdc_sweeps.dispatch.plan import plan as plan_runs
from rdc_sweeps.errors import UsageError
from rdc_sweeps.metrics.selection import Selection
from rdc_sweeps.monitoring.groups import table_title
from rdc_sweeps.notifications.watching import SweepWatch
from rdc_sweeps.settings import Settings, experiments_folder, load_settings
from rdc_sweeps.specs.catalogue import Catalogue, Run
from rdc_sweeps.specs.document import assignments

if TYPE_CHECKING:
    from rdc_sweeps.data.checking.findings import DataCheck
    from rdc_sweeps.data.importing.engine import ImportReport
    from rdc_sweeps.data.importing.source import Source
    from rdc_sweeps.data.packing import PackReport
    from rdc_sweeps.dispatch.region_maps import ReportBuild
    from rdc_sweeps.reporting.comparison import Comparison
    from rdc_sweeps.reporting.evidence import ClaimsReport
    from rdc_sweeps.reporting.figures.choice import ImageChoice
    from rdc_sweeps.reporting.figures.folder import FigureChoice
    from rdc_sweeps.reporting.probes import ProbedRun
    from rdc_sweeps.reporting.report import Report
    from rdc_sweeps.specs.base import Size
    from rdc_sweeps.tuning.study_request import StudyRequest
    from rdc_sweeps.tuning.study_run import StudyListener, StudyResult
    from rdc_sweeps.web.site import SiteReader


@dataclass(frozen=True)
class Table:
    """A table's rows and seeds, resolved under a profile.

    Attributes:
        name: Name of the table.
        runs: One per row and seed; equal trainings have equal ids.
        settings: Folders of data and runs, and how the runs are executed.
    """

    name: str
    runs: Sequence[Run]
    settings: Settings


def load_table(
    name: str,
    *,
    rows: Sequence[str] = (),
    seeds: Sequence[int] | None = None,
    changes: Mapping[str, Any] | Sequence[str] = (),
    compat: str | None = None,
    **settings: Any,
) -> Table:
    """Resolve a table; nothing is created and no data are read.

    Args:
        name: Name of the table, such as `table3`.
        rows: Ids of rows; empty for all.
        seeds: Seeds; None: the profile's.
        changes: Fields that differ in every row, as `{"training.epochs": 2}` or `["training.epochs=2"]`.
        compat: Name of a compat overlay, such as `released`, which follows the authors' release where it differs.
        **settings: Any setting of `rdc-sweep config`, such as `profile`, `root`, `device` or `executor`; those that are
            not given come from the environment, the settings files and the defaults.

    Raises:
        UsageError: A table, row, profile or setting does not exist.
        SpecError: All problems of the rows.
    """
    chosen = load_settings(**settings)
    runs = Catalogue(experiments_folder(chosen)).runs(
        name, chosen.profile, rows=rows, seeds=seeds, settings=assignments(changes), compat=compat
    )
    return Table(name, runs, chosen)


def plan(table: Table, *, retry_failed: bool = False, rerun: bool = False, queue: bool = True) -> list[Planned]:
    """What `run_table` would do with each run, and why; nothing is created.

    Args:
        table: From `load_table`.
        retry_failed: Try failed runs again, from their checkpoints.
        rerun: Train again from the start all runs that no worker is training.
        queue: Also query the executor's scheduler, if it has one, for runs that have a job.

    Raises:
        UnavailableError: The scheduler does not answer.
    """
    data = DataComparison(table.settings)
    planned = plan_runs(table.runs, table.settings.root, retry_failed=retry_failed, rerun=rerun, data=data)
    return executor_for(table.settings).inspect(planned) if queue else planned


def run_table(
    table: Table, *, retry_failed: bool = False, rerun: bool = False, listener: Listener | None = None
) -> list[str]:
    """Train the runs that are not done, on this machine or by Slurm jobs as the setting `executor` says.

    Interrupted (KeyboardInterrupt), the runs save checkpoints, from which the next call resumes.

    Args:
        table: From `load_table`.
        retry_failed: See `plan`.
        rerun: See `plan`; old directories are set aside.
        listener: Receives the events.

    Returns:
        Ids of the runs that failed or, on this machine, are not done; empty if everything succeeded.

    Raises:
        RdcError: Data, weights or checkpoints are missing or damaged.
        UnavailableError: Slurm does not answer or refuses.
    """
    data = DataComparison(table.settings)
    look = partial(plan_runs, table.runs, table.settings.root, retry_failed=retry_failed, rerun=rerun, data=data)
    executor = executor_for(table.settings, listener)
    about = table_title(table.runs)
    words = [word for change in table.runs[0].changes for word in change.split(" ", 1)]
    command = shlex.join(["rdc-sweep", "report", table.name, "--profile", table.runs[0].profile.profile, *words])
    with SweepWatch(table.settings, about, command, runs=[run.id for run in table.runs], waits=executor.waits):
        return executor.execute(look, rerun=rerun)


def report(table: Table, *, selection: Selection | None = None, baseline: str | None = None) -> "Report":
    """The finished runs of a table as cells, beside the published numbers; runs that are not done are missing.

    Args:
        table: From `load_table`.
        selection: The selection rule: `last`, `best-validation` or `best-test`; None: the profile's rule.
        baseline: Id of the row to which improvements are relative; None: each row's own.

    Raises:
        UsageError: A rule or row does not exist.
    """
    from rdc_sweeps.reporting.report import build_report

    return build_report(table.runs, table.settings.root, selection=selection, baseline=baseline)


def write_report(
    tables: Sequence[Table], folder: Path, *, selection: Selection | None = None, baseline: str | None = None
) -> Path:
    """Write tables, and the studies in their runs folder, as HTML pages that need no network.

    Args:
        tables: From `load_table`, all with the same runs folder.
        folder: An earlier report in it is replaced, once the new one is complete.
        selection: See `report`.
        baseline: See `report`.

    Returns:
        The first page.

    Raises:
        UsageError: The folder holds something else, a table is named twice, or a package is missing.
    """
    from rdc_sweeps.web.folder import write_site

    return write_site(open_site(tables, selection=selection, baseline=baseline).read(), folder)


def open_site(
    tables: Sequence[Table], *, selection: Selection | None = None, baseline: str | None = None, live: bool = False
) -> "SiteReader":
    """The pages of tables, read again whenever they are asked for; see `write_report`.

    Args:
        tables: From `load_table`, all with the same runs folder.
        selection: See `report`.
        baseline: See `report`.
        live: Whether the pages refresh themselves.

    Raises:
        UsageError: A table is named twice, or a package is missing.
    """
    from rdc_sweeps.web.readings import RunReader, TableReader
    from rdc_sweeps.web.site import SiteReader

    settings = tables[0].settings
    runs = RunReader(settings.root)
    readers = [TableReader(table.runs, runs, selection=selection, baseline=baseline) for table in tables]
    return SiteReader(readers, settings.root, Catalogue(experiments_folder(settings)), live=live)


def claims(
    tables: Sequence[str] = (),
    *,
    seeds: Sequence[int] | None = None,
    changes: Mapping[str, Any] | Sequence[str] = (),
    compat: str | None = None,
    selection: Selection | None = None,
    **settings: Any,
) -> "ClaimsReport":
    """What finished runs, and the published numbers, say about the claims of the paper.

    Args:
        tables: Names of tables whose rows are compared, with each other as well; empty for all.
        seeds: Seeds; None: the profile's.
        changes: Fields that differ in every row, as for `load_table`.
        compat: See `load_table`.
        selection: See `report`.
        **settings: See `load_table`.

    Raises:
        UsageError: A table, profile, rule or setting does not exist.
        SpecError: All problems of the rows.
    """
    from rdc_sweeps.reporting.evidence import build_claims

    chosen = load_settings(**settings)
    catalogue = Catalogue(experiments_folder(chosen))
    runs = [
        run
        for name in dict.fromkeys(tables or catalogue.tables)
        for run in catalogue.runs(name, chosen.profile, seeds=seeds, settings=assignments(changes), compat=compat)
    ]
    return build_claims(runs, chosen.root, selection=selection)


def import_data(
    source: "Source", root: Path, *, workers: int | None = None, progress: "ReportBuild" = lambda *_: None
) -> "ImportReport":
    """Write a data set in the layout that runs read; safe to kill at any point and call again.

    Args:
        source: What to import: from `open_nyuv2_source` or another function of `rdc_sweeps.data.importing`, or an
            object of your own with what `rdc_sweeps.data.importing.source.Source` lists.
        root: A new folder, or one in which an import of the same source was begun.
        workers: Number of processes; None: one for each core.
        progress: Told of images that are imported.

    Returns:
        How many images were written, and how many were already there.

    Raises:
        UsageError: The folder has something else in it, or another process imports into it.
        DataError: An image cannot be read, or training would refuse it. Finished ones are kept.
        InfrastructureError: A worker process was killed.
    """
    from rdc_sweeps.data.importing.engine import import_source

    return import_source(source, root, workers=workers, progress=progress)


def check_data(
    root: Path, dataset: str | None = None, *, workers: int | None = None, progress: "ReportBuild" = lambda *_: None
) -> "DataCheck":
    """Check a data set in MTAN's layout for what trains without an error and yet is wrong; nothing is changed.

    Args:
        root: The folder that holds train/ and val/.
        dataset: What to compare with: `nyuv2`, `nyuv2-40`, `cityscapes`, `cityscapes-19`, `rooms` or `streets`; None:
            as it was imported, or by its folders.
        workers: Number of processes; None: one for each core.
        progress: Told of scenes that are read.

    Raises:
        UsageError: There is no such data set.
        DataError: There is no such folder, it has no data set, or its import is unfinished.
    """
    from rdc_sweeps.data.checking.check import check_root

    return check_root(root, dataset, workers=workers, progress=progress)


def pack_data(
    root: Path,
    dataset: str | None = None,
    *,
    size: "Size | None" = None,
    classes: int | None = None,
    progress: "ReportBuild" = lambda *_: None,
    **settings: Any,
) -> "list[PackReport]":
    """Pack the training and the test split of a data set into the cache folder, from which runs read it faster.

    Args:
        root: The folder that holds train/ and val/.
        dataset: Its name; None: as settings, the record of its import or its folders tell.
        size: Height and width at which runs read it; None for the data set's.
        classes: Semantic classes, of data sets that have a choice; None: as its folders tell.
        progress: Told of scenes that are packed.
        **settings: See `load_table`.

    Returns:
        For each split where its pack is, whether it was written, and of which types it is.

    Raises:
        UsageError: It is not known which data set this is, or it is none that can be packed.
        DataError: A file is missing or damaged, or the pack cannot be written.
    """
    from rdc_sweeps.training.packs import dataset_in, pack_root

    loaded = load_settings(**settings)
    return pack_root(dataset_in(root, loaded, dataset, classes, size), root, loaded.cache_root, progress)


def probe(
    runs: Sequence[str],
    *,
    epoch: int | None = None,
    images: int = 48,
    refit: int | None = None,
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


def tune(
    study: str = "covariance",
    *,
    trials: int | None = None,
    workers: int | None = None,
    storage: str | None = None,
    table: str | None = None,
    row: str | None = None,
    name: str | None = None,
    seeds: Sequence[int] | None = None,
    changes: Mapping[str, Any] | Sequence[str] = (),
    confirm: bool = True,
    listener: "StudyListener | None" = None,
    **settings: Any,
) -> "StudyResult":
    """Tune a row by trials on held-out images, and measure the best configuration on the test images.

    A study of the same name is continued: finished trials stay, interrupted ones resume from their checkpoints.

    Args:
        study: Name of a study, or the path of its YAML file.
        trials: Total number of trials; None: the file's.
        workers: Trials that run at once; None: as many as suit the machine or the node profile.
        storage: URL of the storage of the trials; None: a journal in the study's folder.
        table: Tune a row of this table; None: the study's.
        row: Tune this row; None: the study's.
        name: Name of the study's folder; None: `STUDY-PROFILE`.
        seeds: Seeds of each trial; None: the file's.
        changes: Fields that differ in every trial, as for `load_table`.
        confirm: Train the best configuration with the confirmation seeds once all trials are finished.
        listener: Receives the events.
        **settings: See `load_table`.

    Returns:
        The trials, the best of them, and its confirmation. With Slurm, the state at the time of submission.

    Raises:
        UsageError: A name does not exist, another study has this name, or a package is missing.
        SpecError: All problems of the study.
        RdcError: Data, weights or region maps are missing or damaged.
        UnavailableError: The storage or Slurm does not answer.
    """
    from rdc_sweeps.tuning.study_request import request_study

    request = request_study(
        study,
        load_settings(**settings),
        trials=trials,
        storage=storage,
        table=table,
        row=row,
        name=name,
        seeds=seeds,
        changes=assignments(changes),
    )
    return tune_requested(request, workers=workers, confirm=confirm, listener=listener)


def tune_requested(
    request: "StudyRequest",
    *,
    workers: int | None = None,
    confirm: bool = True,
    listener: "StudyListener | None" = None,
) -> "StudyResult":
    """Like `tune`, with a request from `rdc_sweeps.tuning.study_request`."""
    from rdc_sweeps.tuning.study_run import run_study

    command = shlex.join(["rdc-sweep", "tune", request.tuned.spec.study, "--study", request.name, "--report"])
    waits = executor_for(request.settings).waits
    with SweepWatch(request.settings, f"study {request.name}", command, study=request.name, waits=waits):
        return run_study(request, workers=workers, confirm=confirm, listener=listener)
