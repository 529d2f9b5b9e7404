"""Data sets: which images, at what size, and which are held out."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self, get_args

from pydantic import Field, field_validator, model_validator

from rdc_sweeps.specs.base import Seed, Size, Spec, Task, added_field
from rdc_sweeps.specs.extensions import union_of

NYU_CLASSES = (
    "bed", "books", "ceiling", "chair", "floor", "furniture", "objects",
    "picture", "sofa", "table", "tv", "wall", "window",
)  # fmt: skip
"""The 13 semantic classes of NYU-V2, in label order."""

NYU_40_CLASSES = (
    "wall", "floor", "cabinet", "bed", "chair", "sofa", "table", "door", "window", "bookshelf", "picture",
    "counter", "blinds", "desk", "shelves", "curtain", "dresser", "pillow", "mirror", "floor mat", "clothes",
    "ceiling", "books", "refrigerator", "television", "paper", "towel", "shower curtain", "box", "whiteboard",
    "person", "night stand", "toilet", "sink", "lamp", "bathtub", "bag", "other structure", "other furniture",
    "other prop",
)  # fmt: skip
"""The 40 semantic classes of NYU-V2 of Gupta et al. (CVPR 2013), in label order."""

CITYSCAPES_CLASSES = ("flat", "construction", "object", "nature", "sky", "human", "vehicle")
"""The 7 categories of Cityscapes, in label order."""

CITYSCAPES_19_CLASSES = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation", "terrain",
    "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
)  # fmt: skip
"""The 19 classes of the benchmark of Cityscapes, in the order of its training ids."""

ByZoom = Literal["multiplied", "divided"]
"""How depth changes in a magnified crop: disparity is multiplied by the zoom, metres are divided by it."""


LARGEST_SIDE = 8192
"""Pixels; larger images fit in no memory with their features."""


class ImagesSpec(Spec):
    """Fields common to all data sets."""

    synthetic: ClassVar[bool] = False
    """Whether the images are rendered rather than photographed."""

    depth_unit: ClassVar[str] = "m"
    """The unit of depth, for figures."""

    size: Size = Field(description="Height and width for training and testing, multiples of 32.")
    validation_images: int = Field(
        0,
        ge=0,
        le=10**7,
        description="Training images held out for model selection: the last rows of the training split.",
    )

    @field_validator("size")
    @classmethod
    def _multiple_of_32(cls, size: Size) -> Size:
        # Every backbone here downsamples by 32; other sizes would misalign its scales.
        if any(not 32 <= side <= LARGEST_SIDE or side % 32 for side in size):
            raise ValueError(f"height and width must be multiples of 32 up to {LARGEST_SIDE}, found {list(size)}")
        return size

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Tasks that this data set labels, in column order of the label settings."""
        return ("semantic", "depth", "normal")

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the semantic classes, in label order."""
        return NYU_CLASSES

    @property
    def depth_by_zoom(self) -> ByZoom:
        """How the zoom of a crop changes depth."""
        return "divided"


class StreetImagesSpec(ImagesSpec):
    """Fields common to street data sets, which have the 7 classes of Cityscapes and disparity as depth."""

    depth_unit: ClassVar[str] = "disparity"

    disparity_by_zoom: ByZoom = Field(
        "multiplied",
        description="How a crop's zoom changes disparity; divided: as if it were metres, like the released code.",
    )

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Tasks that this data set labels, in column order of the label settings; depth is disparity."""
        return ("semantic", "depth")

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the semantic classes, in label order."""
        return CITYSCAPES_CLASSES

    @property
    def depth_by_zoom(self) -> ByZoom:
        """How the zoom of a crop changes disparity."""
        return self.disparity_by_zoom


class StoredImagesSpec(ImagesSpec):
    """Fields common to data sets on disk: use all images, or an evenly spaced subset."""

    published: ClassVar[tuple[int, int]]
    """Numbers of training and test images in the published data set."""

    train_images: int | None = Field(
        None, ge=1, description="Train on this many images, spread evenly over those not held out; null for all."
    )
    test_images: int | None = Field(None, ge=1, description="Test on this many images, spread evenly; null for all.")

    @model_validator(mode="after")
    def _has_as_many(self) -> Self:
        training, testing = self.published
        if self.validation_images + (self.train_images or 1) > training:
            raise ValueError(
                f"train_images {self.train_images} and validation_images {self.validation_images} are together more "
                f"than the {training} training images of {self.name}"  # type: ignore[attr-defined]
            )
        if (self.test_images or 0) > testing:
            raise ValueError(f"test_images {self.test_images} is more than the {testing} test images")
        return self

    @property
    def training_count(self) -> int:
        """Number of training images, assuming the published data set."""
        return self.train_images or max(0, self.published[0] - self.validation_images)

    @property
    def test_count(self) -> int:
        """Number of test images, assuming the published data set."""
        return self.test_images or self.published[1]


class DrawnImagesSpec(ImagesSpec):
    """Fields common to procedural data sets, which have any number of images."""

    synthetic: ClassVar[bool] = True

    seed: Seed = Field(0, description="Seed of the scenes; together with an image's index it determines it.")
    train_images: int = Field(200, ge=1, le=10**7, description="Training images besides those held out.")
    test_images: int = Field(100, ge=1, le=10**7, description="Test images.")

    @property
    def training_count(self) -> int:
        """Number of training images."""
        return self.train_images

    @property
    def test_count(self) -> int:
        """Number of test images."""
        return self.test_images


class NyuV2Spec(StoredImagesSpec):
    """NYU-V2 in the MTAN `.npy` layout: 795 training and 654 test images, 13 classes (or 40)."""

    published: ClassVar[tuple[int, int]] = (795, 654)

    name: Literal["nyuv2"] = "nyuv2"
    size: Size = (288, 384)
    label_classes: Literal[13, 40] = added_field(
        13, description="Labels to read: the 13 classes of the paper's tables (label), or 40 classes (label_40)."
    )

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the semantic classes, in label order."""
        return NYU_CLASSES if self.label_classes == 13 else NYU_40_CLASSES


class RoomsSpec(DrawnImagesSpec):
    """`rooms`: the embedded procedural indoor set, with the 13 classes of NYU-V2."""

    name: Literal["rooms"] = "rooms"
    size: Size = (96, 128)


class CityscapesSpec(StreetImagesSpec, StoredImagesSpec):
    """Cityscapes in the MTAN `.npy` layout: 2975 training and 500 test images, 7 classes, disparity."""

    published: ClassVar[tuple[int, int]] = (2975, 500)

    name: Literal["cityscapes"] = "cityscapes"
    size: Size = (128, 256)
    label_classes: Literal[7, 19] = added_field(
        7, description="Labels to read: the 7 categories (label_7), or the 19 classes of the benchmark (label_19)."
    )

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the semantic classes, in label order."""
        return CITYSCAPES_CLASSES if self.label_classes == 7 else CITYSCAPES_19_CLASSES


class StreetsSpec(StreetImagesSpec, DrawnImagesSpec):
    """`streets`: the embedded procedural street set, with the 7 classes and the disparity of Cityscapes."""

    name: Literal["streets"] = "streets"
    size: Size = (64, 128)


BuiltinDataset = NyuV2Spec | RoomsSpec | CityscapesSpec | StreetsSpec

if TYPE_CHECKING:
    DatasetSpec = Annotated[BuiltinDataset, Field(discriminator="name")]
else:
    __getattr__ = union_of("DatasetSpec", "rdc_sweeps.datasets", get_args(BuiltinDataset))


class LabelSpec(Spec):
    """Which images have labels for which tasks."""

    setting: Literal["full", "onelabel", "randomlabels"] = Field(
        "full", description="All labels of an image, one, or one to all but one."
    )
    origin: Literal["published", "generated"] = Field(
        "generated", description="published: the .pth files of Li et al.; generated: the same statistics from `seed`."
    )
    seed: Seed = Field(0, description="Seed of generated label settings.")
