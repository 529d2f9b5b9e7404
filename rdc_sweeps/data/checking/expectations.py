"""What is known of each data set, to compare a root with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rdc_sweeps.data.mtan import CITYSCAPES_LAYOUTS, NYUV2_LAYOUTS, STORED_FOLDERS, MtanLayout
from rdc_sweeps.specs.base import Size
from rdc_sweeps.specs.dataset import CityscapesSpec, NyuV2Spec

KINECT = 518.86 / 640
"""Focal length of the Kinect's colour camera in widths of the image (calibration published with NYU-V2)."""


@dataclass(frozen=True)
class Expectation:
    """What a root of a data set has.

    Attributes:
        name: The data set.
        layout: Folders, classes and unit of depth.
        grid: Height and width at which maps are compared with each other, with the images' aspect ratio.
        lowest, highest: Names of the classes that lie lowest and highest in the images; None if that is not known.
        counts: Published numbers of training and test images; None if nobody published any.
        shares: Published share of each class in the labelled pixels of the training images.
        void: Published share of void pixels in the training images.
        focal: Focal length in widths of the image, to compare normals with depth; None if it is not known.
    """

    name: str
    layout: MtanLayout
    grid: Size
    lowest: str | None = None
    highest: str | None = None
    counts: tuple[int, int] | None = None
    shares: tuple[float, ...] | None = None
    void: float | None = None
    focal: float | None = None

    @property
    def folders(self) -> Mapping[str, str]:
        """The folder of each kind of map: of the image and of each task."""
        return dict(zip(("image", *self.layout.labels), self.layout.folders, strict=True))


NYUV2 = Expectation(
    "nyuv2",
    NYUV2_LAYOUTS[13],
    (48, 64),
    "floor",
    "ceiling",
    NyuV2Spec.published,
    # Counted over the 795 training images at 288x384; those of the test images differ by 0.021 in total variation.
    (0.0426, 0.0065, 0.0176, 0.0410, 0.1190, 0.1772, 0.1563, 0.0242, 0.0286, 0.0365, 0.0067, 0.2861, 0.0577),
    0.1759,
    KINECT,
)

NYUV2_40 = Expectation("nyuv2-40", NYUV2_LAYOUTS[40], (48, 64), "floor", "ceiling", NyuV2Spec.published, focal=KINECT)

_SHARES_19 = (
    0.3688, 0.0609, 0.2282, 0.0066, 0.0088, 0.0123, 0.0021, 0.0055, 0.1592, 0.0116,
    0.0401, 0.0122, 0.0014, 0.0700, 0.0027, 0.0024, 0.0023, 0.0010, 0.0041,
)  # fmt: skip
"""Of the 19 classes of Cityscapes, from the class weights w = 1 / ln(1.1 + p) that were published with ERFNet (Romera
et al. 2018); they leave 0.1146 for void."""

CITYSCAPES = Expectation(
    "cityscapes",
    CITYSCAPES_LAYOUTS[7],
    (48, 96),
    "flat",
    "sky",
    CityscapesSpec.published,
    # Sums of those of the 19 classes.
    (0.4297, 0.2435, 0.0199, 0.1708, 0.0401, 0.0135, 0.0825),
    0.1146,
)

CITYSCAPES_19 = Expectation(
    "cityscapes-19",
    CITYSCAPES_LAYOUTS[19],
    (48, 96),
    "road",
    "sky",
    CityscapesSpec.published,
    _SHARES_19,
    CITYSCAPES.void,
)

ROOMS = Expectation("rooms", NYUV2_LAYOUTS[13], (48, 64), "floor", "ceiling", focal=KINECT)

STREETS = Expectation("streets", CITYSCAPES_LAYOUTS[7], (48, 96), "flat", "sky")

EXPECTATIONS = {one.name: one for one in (NYUV2, NYUV2_40, CITYSCAPES, CITYSCAPES_19, ROOMS, STREETS)}


def own_expectation(description: Mapping[str, Any]) -> Expectation:
    """What is known of a user's own data: what the description says from which they were imported."""
    classes = tuple(description["classes"])
    folders = {task: folder for task, folder in STORED_FOLDERS.items() if description.get(task) is not None}
    inside = {"floor", "ceiling"} <= set(classes)
    lowest, highest = ("floor", "ceiling") if inside else (None, None)
    return Expectation(str(description["name"]), MtanLayout(classes, folders), (48, 64), lowest, highest)
