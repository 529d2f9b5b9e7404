"""Opens the splits of data sets in MTAN's layout: from packs where there are some, else from their files."""

from pathlib import Path

from rdc_sweeps.data.importing.record import check_finished
from rdc_sweeps.data.mtan import (
    CITYSCAPES_LAYOUTS,
    NYUV2_LAYOUTS,
    STORED_FOLDERS,
    MtanFolder,
    MtanLayout,
    open_mtan,
)
from rdc_sweeps.data.packed import PackedSplit, open_packed
from rdc_sweeps.errors import DataError
from rdc_sweeps.specs.base import Size
from rdc_sweeps.specs.dataset import CityscapesSpec, NyuV2Spec, StoredImagesSpec

Split = MtanFolder | PackedSplit


def open_mtan_splits(
    title: str, layout: MtanLayout, size: Size, root: Path | None, setting: str, cache: Path | None = None
) -> tuple[Split, Split]:
    """The training split and the test split (`val` in this layout) of a published data set.

    Where a split is packed, it is read from its pack.

    Args:
        title: Name of the data set, for messages.
        layout: Its folders and classes.
        size: Height and width at which to read.
        root: Its folder; None if it is not set.
        setting: Name of the setting that locates the data set.
        cache: The cache folder, which has packs; None to read files.

    Raises:
        DataError: `root` is not set, does not contain the data set, or its import is unfinished.
    """
    if root is None:
        raise DataError(f"{title}: its folder is not set; set {setting} to the folder that holds train/ and val/")
    if not root.is_dir():
        raise DataError(f"{root}: no such folder; set {setting} to the folder that holds train/ and val/")
    check_finished(root)
    train, test = (
        _packed_or_files(open_mtan(root / split, layout, size, setting), cache) for split in ("train", "val")
    )
    return train, test


def _packed_or_files(files: MtanFolder, cache: Path | None) -> Split:
    packed = None if cache is None else open_packed(files, cache)
    return files if packed is None else packed


def open_nyuv2(spec: NyuV2Spec, root: Path | None, cache: Path) -> tuple[Split, Split]:
    """The training split and the test split of NYU-V2.

    Raises:
        DataError: `root` is not set, or does not contain the data set.
    """
    return open_mtan_splits(
        "NYU-V2",
        NYUV2_LAYOUTS[spec.label_classes],
        spec.size,
        root,
        "RDC_SWEEP_NYUV2_ROOT (nyuv2_root in rdc-sweep.toml)",
        cache,
    )


def open_cityscapes(spec: CityscapesSpec, root: Path | None, cache: Path) -> tuple[Split, Split]:
    """The training split and the test split of Cityscapes.

    Raises:
        DataError: `root` is not set, or does not contain the data set.
    """
    return open_mtan_splits(
        "Cityscapes",
        CITYSCAPES_LAYOUTS[spec.label_classes],
        spec.size,
        root,
        "RDC_SWEEP_CITYSCAPES_ROOT (cityscapes_root in rdc-sweep.toml)",
        cache,
    )


def open_stored(spec: StoredImagesSpec, root: Path | None, cache: Path) -> tuple[Split, Split]:
    """The training split and the test split of a user's data set, in the folders `label`, `depth` and `normal`.

    Raises:
        DataError: `root` is not set, or does not contain the data set.
    """
    name: str = spec.name  # type: ignore[attr-defined]
    layout = MtanLayout(spec.classes, {task: STORED_FOLDERS[task] for task in spec.tasks})
    return open_mtan_splits(name, layout, spec.size, root, f"dataset_roots.{name} in rdc-sweep.toml", cache)
