"""A user's own images and labels, as a file describes them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rdc_sweeps.data.arrays import AnyArray
from rdc_sweeps.data.fingerprint import group_digests
from rdc_sweeps.data.importing.encodings import converted, unknown
from rdc_sweeps.data.importing.files import Key, check_complete, find_files
from rdc_sweeps.data.importing.pixels import read_pixels
from rdc_sweeps.data.importing.source import SCENES, Split
from rdc_sweeps.data.importing.splits import divided
from rdc_sweeps.data.mtan import STORED_FOLDERS, MtanLayout
from rdc_sweeps.errors import DataError, SpecError
from rdc_sweeps.specs.base import Task
from rdc_sweeps.specs.document import read_document
from rdc_sweeps.specs.importing import ImportSpec, SemanticModality
from rdc_sweeps.specs.validation import build

VERSION = 1
"""Increases whenever other values are written."""

DESCRIPTION = "import.yaml"
"""Name of the description in the folder of the data that it describes."""


@dataclass(frozen=True)
class OwnSource(ABC):
    """Images and labels that a file describes.

    Attributes:
        spec: The description.
        root: Where they are.
        keys: The images of each split, in order.
        unused: Images that are in neither split.
    """

    spec: ImportSpec
    root: Path
    keys: Mapping[Split, tuple[Key, ...]]
    unused: int

    @cached_property
    def description(self) -> Mapping[str, Any]:
        """See `Source.description`."""
        fields = self.spec.model_dump(mode="json", exclude={"root"})
        # The order of classes counts, which JSON objects do not have.
        return {**fields, "classes": list(self.spec.classes), "version": VERSION, **self.digests()}

    @property
    def layout(self) -> MtanLayout:
        """See `Source.layout`."""
        return MtanLayout(self.spec.classes, {task: STORED_FOLDERS[task] for task in self.spec.tasks})

    @property
    def counts(self) -> Mapping[Split, int]:
        """See `Source.counts`."""
        return {split: len(keys) for split, keys in self.keys.items()}

    def scene(self, split: Split, index: int) -> Mapping[str, AnyArray]:
        """See `Source.scene`."""
        title, stored = self.stored(split, index, "image")
        arrays = {"image": converted(stored, self.spec.image, self.spec.size, title)}
        has = self.labelled(split, index)
        for kind in self.spec.tasks:
            if kind not in has:
                arrays[kind] = unknown(kind, (arrays["image"].shape[0], arrays["image"].shape[1]))
                continue
            title, stored = self.stored(split, index, kind)
            arrays[kind] = converted(stored, self.spec.modalities[kind], self.spec.size, title)
            if arrays[kind].shape[:2] != arrays["image"].shape[:2]:
                (height, width), (h, w) = arrays[kind].shape[:2], arrays["image"].shape[:2]
                raise DataError(
                    f"{title}: {height}x{width} pixels, but its image has {h}x{w}; set size, to resample both"
                )
        return arrays

    @abstractmethod
    def digests(self) -> Mapping[str, Any]:
        """Digests of what is read, for the description."""

    @abstractmethod
    def labelled(self, split: Split, index: int) -> frozenset[Task]:
        """Tasks of which an image has the label."""

    @abstractmethod
    def stored(self, split: Split, index: int, kind: str) -> tuple[str, AnyArray]:
        """The title, for messages, and the stored values of one image or its labels."""


@dataclass(frozen=True)
class FolderSource(OwnSource):
    """Images and labels in files.

    Attributes:
        files: The files of each image, relative to the root.
    """

    files: Mapping[Split, tuple[Mapping[str, str], ...]]

    def digests(self) -> Mapping[str, Any]:
        """See `OwnSource.digests`."""
        scenes = {
            split: group_digests(
                [
                    {f"{kind}/{key}": self.root / file for kind, file in files.items()}
                    for key, files in zip(keys, self.files[split], strict=True)
                ]
            )
            for split, keys in self.keys.items()
        }
        return {SCENES: scenes}

    def labelled(self, split: Split, index: int) -> frozenset[Task]:
        """See `OwnSource.labelled`."""
        return frozenset(task for task in self.spec.tasks if task in self.files[split][index])

    def stored(self, split: Split, index: int, kind: str) -> tuple[str, AnyArray]:
        """See `OwnSource.stored`."""
        path = self.root / self.files[split][index][kind]
        if isinstance(self.spec.modalities[kind], SemanticModality) and path.suffix.lower() in {".jpg", ".jpeg"}:
            raise DataError(f"{path}: JPEG changes class ids; write labels as PNG")
        return str(path), read_pixels(path, colours=self.spec.has_colours(kind))


def read_import_spec(path: Path) -> ImportSpec:
    """Read the description of a user's data.

    Raises:
        SpecError: Lists every problem with its line.
    """
    return build(ImportSpec, read_document(path))


def find_description(path: Path) -> tuple[Path, ImportSpec, Path]:
    """The file that describes a user's data, what is in it, and the folder of the data.

    Args:
        path: The file, or a folder that has it as `import.yaml`.

    Raises:
        SpecError: Lists every problem with its line.
    """
    file = path / DESCRIPTION if path.is_dir() else path
    spec = read_import_spec(file)
    return file, spec, file.parent / Path(spec.root).expanduser()


def open_folder_source(path: Path) -> FolderSource:
    """Read a description, and find and match the files that it describes.

    Args:
        path: See `find_description`.

    Raises:
        SpecError: The description is invalid.
        DataError: Files are missing; all of them are listed.
    """
    file, spec, root = find_description(path)
    patterns = {kind: modality.files for kind, modality in spec.modalities.items() if modality.files is not None}
    if not patterns:
        raise SpecError([f"{file}: has columns and no files; import it with `rdc-sweep data import huggingface`"])
    found = {kind: find_files(root, pattern, within=root) for kind, pattern in patterns.items()}
    check_complete(found, {kind: str(root / pattern) for kind, pattern in patterns.items()}, spec.optional)
    everything = list(found["image"])
    keys = divided(everything, spec.split, root)
    files = {
        split: tuple(
            {kind: found[kind][key].relative_to(root).as_posix() for kind in patterns if key in found[kind]}
            for key in chosen
        )
        for split, chosen in keys.items()
    }
    return FolderSource(spec, root, keys, len(everything) - sum(map(len, keys.values())), files)
