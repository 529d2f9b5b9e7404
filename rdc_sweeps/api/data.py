"""Data sets: imported, checked and packed."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rdc_sweeps.settings import load_settings

if TYPE_CHECKING:
    from rdc_sweeps.data.checking.findings import DataCheck
    from rdc_sweeps.data.importing.engine import ImportReport
    from rdc_sweeps.data.importing.source import Source
    from rdc_sweeps.data.packing import PackReport
    from rdc_sweeps.dispatch.region_maps import ReportBuild
    from rdc_sweeps.specs.base import Size


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
