"""The description of a user's own images and labels, from which a data set is imported."""

import keyword
import re
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from rdc_sweeps.specs.base import RelativeFile, Seed, Size, Spec, Task
from rdc_sweeps.specs.dataset import LARGEST_SIDE, BuiltinDataset

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
"""A part of a pattern that stands for a part of file names."""

PLACEHOLDERS = ("name", "scene", "split")

BUILTIN_NAMES = frozenset(spec.model_fields["name"].default for spec in get_args(BuiltinDataset))
"""Data sets that cannot be added, because they are there."""


def _is_pattern(pattern: str) -> str:
    found = PLACEHOLDER.findall(pattern)
    if wrong := [name for name in found if name not in PLACEHOLDERS]:
        raise ValueError(f"has {{{wrong[0]}}}; file names are described by {{name}}, {{scene}} and {{split}}")
    if found.count("name") != 1 or len(found) != len(set(found)):
        raise ValueError(f"must have {{name}} once, and {{scene}} and {{split}} at most once, found {pattern!r}")
    if "{" in PLACEHOLDER.sub("", pattern) or "}" in PLACEHOLDER.sub("", pattern):
        raise ValueError(f"has a brace without the other one, found {pattern!r}")
    return pattern


FilePattern = Annotated[RelativeFile, AfterValidator(_is_pattern)]
"""Names of files below the root, such as `photos/{scene}/{name}.jpg`."""


def _is_name(name: str) -> str:
    if not re.fullmatch("[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise ValueError(f"must be a word of a to z, 0 to 9 and _ that begins with a letter, found {name!r}")
    if name in BUILTIN_NAMES:
        raise ValueError(f"{name!r} is built in; choose another name")
    return name


class Modality(Spec):
    """Where the images, or the labels of one task, come from."""

    files: FilePattern | None = Field(
        None,
        description="Names of files (PNG, JPEG, TIFF, .npy), relative to `root`. {name}: what differs between images, "
        "{scene}: a group of images that stay in one split, {split}: the split; * is any text without a slash.",
    )
    column: str | None = Field(None, min_length=1, description="The column of a Hugging Face data set.")

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.files is None) == (self.column is None):
            raise ValueError("needs either files or column")
        return self


class LabelModality(Modality):
    """Where the labels of a task come from."""

    optional: bool = Field(False, description="Whether images may lack this label; they are then written as unknown.")


Colour = Annotated[str, StringConstraints(pattern="^#[0-9a-fA-F]{6}$")]
"""A colour such as `#8000ff`."""

ClassId = int | Colour
"""What a pixel of a class is stored as."""


class SemanticModality(LabelModality):
    """Class ids, one per pixel, or colours that stand for classes."""

    classes: dict[str, ClassId | tuple[ClassId, ...]] = Field(
        min_length=2,
        description="The stored id or ids of each class, or colours such as '#8000ff'; the first class becomes 0.",
    )
    void: tuple[ClassId, ...] = Field((), description="Stored ids or colours of pixels without a class.")

    @property
    def coloured(self) -> bool:
        """Whether classes are stored as colours."""
        return any(isinstance(one, str) for ids in self._written().values() for one in ids)

    @property
    def ids(self) -> dict[str, tuple[int, ...]]:
        """The stored ids of each class; of a colour, its number."""
        return {name: tuple(map(_number, ids)) for name, ids in self._written().items()}

    @property
    def void_ids(self) -> tuple[int, ...]:
        """The stored ids of pixels without a class; of a colour, its number."""
        return tuple(map(_number, self.void))

    def _written(self) -> dict[str, tuple[ClassId, ...]]:
        return {name: ids if isinstance(ids, tuple) else (ids,) for name, ids in self.classes.items()}

    @model_validator(mode="after")
    def _one_class_per_id(self) -> Self:
        owners: dict[int, str] = {}
        for name, ids in [*self._written().items(), ("void", self.void)]:
            if name and not name.isprintable():
                raise ValueError(f"classes: {name!r} has characters that cannot be printed")
            if not name or (not ids and name != "void"):
                raise ValueError(f"classes: {name!r} needs a name and at least one id")
            for one in ids:
                if (number := _number(one)) in owners:
                    raise ValueError(f"id {one} is both {owners[number]} and {name}; give each id once")
                owners[number] = name
        if len({isinstance(one, str) for ids in [*self._written().values(), self.void] for one in ids}) > 1:
            raise ValueError("has ids and colours; labels are stored as one of them")
        return self


def _number(one: ClassId) -> int:
    return one if isinstance(one, int) else int(one[1:], 16)


class DepthModality(LabelModality):
    """Depth along the optical axis, or disparity."""

    unit: Literal["metres", "disparity"] = Field("metres", description="What a value is after scaling.")
    scale: float = Field(
        1.0, gt=0, description="Metres (or disparity) per stored unit: 0.001 for millimetres, 1/65535 is 1.5259e-05."
    )
    invalid: tuple[float, ...] = Field(
        (0.0,), description="Stored values that mean no measurement; NaN and infinity always do."
    )


class NormalModality(LabelModality):
    """Surface normals."""

    encoding: Literal["vectors", "colours"] = Field(
        "vectors",
        description="vectors: components in [-1, 1]; colours: (n + 1) / 2 of an integer type's largest value.",
    )
    flip: tuple[Literal["x", "y", "z"], ...] = Field(
        (), description="Axes to negate, so that x is right, y down, z forward and normals face the camera (z < 0)."
    )
    invalid: tuple[tuple[float, float, float], ...] = Field(
        (), description="Stored values that mean no normal; decoded vectors shorter than 0.2 always do."
    )


class FolderSplit(Spec):
    """Splits are told by {split} in the names of files."""

    name: Literal["folders"] = "folders"
    train: tuple[str, ...] = Field(("train",), min_length=1, description="What {split} is for training images.")
    test: tuple[str, ...] = Field(("val",), min_length=1, description="What {split} is for test images.")


class ListSplit(Spec):
    """Splits are told by text files with a name, or scene/name, on each line."""

    name: Literal["lists"] = "lists"
    train: RelativeFile = Field(description="File with the names of training images, relative to `root`.")
    test: RelativeFile = Field(description="File with the names of test images, relative to `root`.")


class FractionSplit(Spec):
    """Test images are drawn: whole scenes, if names have {scene}."""

    name: Literal["fraction"] = "fraction"
    test: float = Field(0.2, gt=0, lt=1, description="Share of the images for testing.")
    seed: Seed = Field(0, description="Which are drawn.")


class ImportSpec(Spec):
    """A user's own data: where images and labels are, how they are stored, which are for testing."""

    name: Annotated[str, AfterValidator(_is_name)] = Field(description="Name of the data set in table files.")
    root: str = Field(
        ".", min_length=1, description="Folder of the files, or of the Hugging Face data set, relative to this file."
    )
    size: Size | None = Field(None, description="Height and width to write; null: as stored.")
    image: Modality = Field(description="RGB or grey images.")
    semantic: SemanticModality | None = None
    depth: DepthModality | None = None
    normal: NormalModality | None = None
    split: FolderSplit | ListSplit | FractionSplit = Field(discriminator="name")

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Tasks with labels, in the order of label settings."""
        labels: dict[Task, Modality | None] = {
            "semantic": self.semantic, "depth": self.depth, "normal": self.normal
        }  # fmt: skip
        return tuple(task for task, modality in labels.items() if modality is not None)

    @property
    def modalities(self) -> dict[str, Modality]:
        """`image` and the tasks, with where they come from."""
        return {name: getattr(self, name) for name in ("image", *self.tasks)}

    def has_colours(self, kind: str) -> bool:
        """Whether an image's or label's palette means its colours, and not its indices."""
        return kind != "depth" and (kind != "semantic" or (self.semantic is not None and self.semantic.coloured))

    @property
    def optional(self) -> frozenset[Task]:
        """Tasks of which images may lack the label."""
        return frozenset(task for task in self.tasks if getattr(self, task).optional)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the semantic classes, in label order."""
        return tuple(self.semantic.classes) if self.semantic else ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len(self.tasks) < 2:
            raise ValueError("needs labels of at least two of semantic, depth and normal")
        if self.size and not all(1 <= side <= LARGEST_SIDE for side in self.size):
            raise ValueError(f"size: height and width must be 1 to {LARGEST_SIDE}, found {list(self.size)}")
        if len({modality.files is None for modality in self.modalities.values()}) > 1:
            raise ValueError("has files for some of the images and labels, and columns for others; use one of them")
        keys = {
            name: set(PLACEHOLDER.findall(modality.files))
            for name, modality in self.modalities.items()
            if modality.files
        }
        for name, found in keys.items():
            if found != keys["image"]:
                raise ValueError(
                    f"{name}.files must have the same of {{name}}, {{scene}} and {{split}} as image.files, so that "
                    "they can be matched"
                )
        if keys and ("split" in keys["image"]) != isinstance(self.split, FolderSplit):
            raise ValueError("files must have {split} if split is {name: folders}, and only then")
        if isinstance(self.split, FolderSplit) and (both := set(self.split.train) & set(self.split.test)):
            raise ValueError(f"split: {sorted(both)[0]!r} is both in train and in test")
        return self
