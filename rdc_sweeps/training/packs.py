"""Packs the splits of a data root."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from rdc_sweeps.data.importing.record import begun_import
from rdc_sweeps.data.mtan import CITYSCAPES_LAYOUTS, NYUV2_LAYOUTS, MtanFolder
from rdc_sweeps.data.packed import PackedSplit
from rdc_sweeps.data.packing import PackReport, pack
from rdc_sweeps.errors import UsageError
from rdc_sweeps.settings import Settings
from rdc_sweeps.specs.base import Size
from rdc_sweeps.specs.dataset import DatasetSpec
from rdc_sweeps.training.splits import open_whole

Report = Callable[[str, int, int], None]
"""Receives a title, the number of scenes done, and the number of all scenes."""


def dataset_in(
    root: Path, settings: Settings, name: str | None = None, classes: int | None = None, size: Size | None = None
) -> DatasetSpec:
    """The data set in a root.

    Args:
        root: The folder that holds `train/` and `val/`.
        settings: Which may say what is there.
        name: The data set; None: as the settings say, the record of an import, or else the folders of labels.
        classes: `label_classes` of data sets that have a choice; None: by the folders of labels, if those tell.
        size: Height and width at which runs read it; None for the data set's.

    Raises:
        UsageError: There is no such data set, or it is not known which one this is.
    """
    found = [
        (of, number)
        for of, layouts in (("nyuv2", NYUV2_LAYOUTS), ("cityscapes", CITYSCAPES_LAYOUTS))
        for number, layout in layouts.items()
        if all((root / "train" / folder).is_dir() for folder in layout.folders)
    ]
    roots = {"nyuv2": settings.nyuv2_root, "cityscapes": settings.cityscapes_root, **settings.dataset_roots}
    known = [of for of, there in roots.items() if there is not None and there.resolve() == root.resolve()]
    # Only the import of a user's own data describes each kind of file.
    if (description := begun_import(root)) is not None and "image" in description:
        known.append(str(description.get("name")))
    name = name or next(iter([*known, *(of for of, _ in found)]), None)
    if name is None:
        raise UsageError(
            f"{root}: neither the settings nor its folders tell which data set this is; name it: --dataset"
        )
    if classes is None:
        classes = next((number for of, number in found if of == name), None)
    fields: dict[str, Any] = {"name": name, "label_classes": classes, "size": size}
    try:
        spec: DatasetSpec = TypeAdapter(DatasetSpec).validate_python(
            {field: value for field, value in fields.items() if value is not None}
        )
    except ValidationError as error:
        raise UsageError(
            "\n".join(f"{name}: {problem['msg']}" for problem in error.errors(include_url=False))
        ) from error
    return spec


def pack_root(spec: DatasetSpec, root: Path, cache: Path, report: Report) -> list[PackReport]:
    """Pack the training split and the test split of a data set, as runs read it.

    Raises:
        DataError: The data set is missing or damaged, or a pack cannot be written.
        UsageError: It is not in MTAN's layout.
    """
    reports = []
    for split in open_whole(spec, root, cache):
        files = split.source if isinstance(split, PackedSplit) else split
        if not isinstance(files, MtanFolder):
            raise UsageError(f"{spec.name}: only data sets in the layout of NYU-V2 and Cityscapes can be packed")
        reports.append(pack(files, cache, partial(report, f"packing {files.folder}")))
    return reports
