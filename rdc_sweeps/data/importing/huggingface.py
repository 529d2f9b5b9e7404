"""A user's own images and labels in a Hugging Face data set on disk, as `save_to_disk` of `datasets` writes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from rdc_sweeps.data.arrays import AnyArray
from rdc_sweeps.data.fingerprint import files_digest
from rdc_sweeps.data.importing.files import Key
from rdc_sweeps.data.importing.own import OwnSource, find_description
from rdc_sweeps.data.importing.pixels import decode
from rdc_sweeps.data.importing.source import Split
from rdc_sweeps.data.importing.splits import divided
from rdc_sweeps.errors import DataError, SpecError, UsageError
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.importing import FolderSplit, ImportSpec


@dataclass(frozen=True)
class HuggingFaceSource(OwnSource):
    """Images and labels in the columns of a data set; an image is named by its split and row."""

    def digests(self) -> Mapping[str, Any]:
        """See `OwnSource.digests`; rows have none of their own, so a change of any file is one of all."""
        files = sorted(path for path in self.root.rglob("*") if path.is_file())
        return {"files": files_digest({path.relative_to(self.root).as_posix(): path for path in files})}

    def labelled(self, split: Split, index: int) -> frozenset[Task]:
        """See `OwnSource.labelled`."""
        name, row = _row(self.keys[split][index])
        found = []
        for task in self.spec.tasks:
            cell = _column(self.root, name, self._name(task)).with_format("arrow")[row].column(0)
            # A required label that is missing is an error of `stored`.
            if not cell.null_count or task not in self.spec.optional:
                found.append(task)
        return frozenset(found)

    def stored(self, split: Split, index: int, kind: str) -> tuple[str, AnyArray]:
        """See `OwnSource.stored`."""
        from datasets import Image

        name, row = _row(self.keys[split][index])
        column = self._name(kind)
        title = f"{self.root}: {self.keys[split][index]!s}, column {column}"
        values = _column(self.root, name, column)
        if values.with_format("arrow")[row].column(0).null_count:
            raise DataError(f"{title}: has no value; give it one, or set optional: true for labels")
        feature = values.features[column]
        if isinstance(feature, Image):
            content = values.cast_column(column, Image(decode=False))[row][column]["bytes"]
            if content is None:
                raise DataError(f"{title}: is the path of a file; embed the content: datasets' `save_to_disk` does")
            return title, decode(content, title, colours=self.spec.has_colours(kind))
        return title, np.asarray(values.with_format("numpy", dtype=_dtype(feature, title))[row][column])

    def _name(self, kind: str) -> str:
        return str(self.spec.modalities[kind].column)


def open_huggingface_source(path: Path) -> HuggingFaceSource:
    """Read a description, and match it with the columns of a data set.

    Args:
        path: See `find_description`; images and labels are columns, and the root is the data set.

    Raises:
        SpecError: The description is invalid.
        DataError: The data set cannot be read, or lacks a column.
        UsageError: `datasets` is not installed.
    """
    file, spec, data = find_description(path)
    if spec.image.column is None:
        raise SpecError([f"{file}: has files and no columns; import it with `rdc-sweep data import folder`"])
    splits = _splits(data)
    problems = [
        f"{data}: {split or 'the data set'} has no column {modality.column!r} for {kind}; it has "
        + ", ".join(found.features)
        for split, found in splits.items()
        for kind, modality in spec.modalities.items()
        if modality.column not in found.features
    ]
    if problems:
        raise DataError("\n".join(problems))
    found = [key for split, rows in splits.items() for key in _keys(spec, split, len(rows))]
    keys = divided(found, spec.split, data)
    return HuggingFaceSource(spec, data, keys, len(found) - sum(map(len, keys.values())))


def _keys(spec: ImportSpec, split: str, rows: int) -> list[Key]:
    width = len(str(rows))
    names = [f"{row:0{width}d}" for row in range(rows)]
    if isinstance(spec.split, FolderSplit):
        return [Key(split, "", name) for name in names]
    return [Key("", "", f"{split}/{name}" if split else name) for name in names]


def _row(key: Key) -> tuple[str, int]:
    """The split and the row of an image."""
    split, _, row = str(key).rpartition("/")
    return split, int(row)


@lru_cache(maxsize=4)
def _splits(data: Path) -> dict[str, Any]:
    """The splits of a data set by name; a data set without splits is one without a name."""
    try:
        import datasets
    except ImportError as error:
        raise UsageError(f"{error}; this import needs: pip install -e '.[huggingface]' in the checkout") from error
    if not data.is_dir():
        raise DataError(f"{data}: no such folder")
    datasets.disable_progress_bars()
    try:
        found = datasets.load_from_disk(str(data.absolute()))
    except Exception as error:  # A damaged data set fails in whatever way its parser does.
        raise DataError(
            f"{data}: cannot be read as a data set that `datasets` has saved with `save_to_disk` ({error})"
        ) from error
    return dict(found) if isinstance(found, datasets.DatasetDict) else {"": found}


@lru_cache(maxsize=16)
def _column(data: Path, split: str, column: str) -> Any:
    return _splits(data)[split].select_columns([column])


def _dtype(feature: Any, title: str) -> np.dtype[Any]:
    """The type of the numbers in a column of arrays or nested lists."""
    while hasattr(feature, "feature"):
        feature = feature.feature
    try:
        found: np.dtype[Any] = np.dtype(feature.dtype)
    except (AttributeError, TypeError) as error:
        raise DataError(f"{title}: holds {feature}, expected images or arrays of numbers") from error
    return found
