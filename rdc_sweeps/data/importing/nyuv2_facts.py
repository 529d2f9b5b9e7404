"""Facts about the labelled images of NYU-V2: the official split, and the classes of its 894 labels.

The split is that of Silberman et al. (ECCV 2012, `splits.mat`), the 40 classes are those of Gupta et al. (CVPR 2013,
`classMapping40.mat`), and the 13 are those of Couprie et al. (ICLR 2013) in the order of `class13Mapping.mat`.
"""

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rdc_sweeps.data.scene import VOID
from rdc_sweeps.specs.dataset import NYU_40_CLASSES, NYU_CLASSES

IMAGES = 1449

LABELS = 894
"""Labels are 1 to this; 0 is unlabelled."""

_TEST_IMAGES = int(
    "1ff01e0f03fc1fe7f8001980f1c0fcf00060fe77ff0fc01ffe3c0073e0f8fff0f80fce67e3fff80c7fc701efeff8ffc00031"
    "9806380700e0f07c001fe73c0070078e0700e00000000703f0e3fff00703e0f8007ffffffc000c03cf831fe0733e1f9f8c38"
    "6183f001f187c03c07c07fffc70071c3ffdf80000001ff3e000ff07e0003c001c3f80000ffcc0007ff01ce03f801fc1c0800"
    "2000000380fc3fffff8fdc00700013df070000007f878007d8067fff813e103",
    16,
)
"""Bit k is 1 if image k + 1 is a test image."""

_LABEL_OF = (
    21, 11, 3, 157, 5, 83, 19, 28, 59, 88, 64, 7, 80, 36, 42, 89, 169, 119, 122, 143, 141, 4, 85, 17, 172, 15, 135,
    123, 26, 45, 331, 158, 124, 24, 144, 136, 55,
)  # fmt: skip
"""The one label of each of the first 37 of the 40 classes."""

_OTHER_STRUCTURE = (
    8, 25, 33, 38, 51, 53, 57, 58, 62, 65, 79, 94, 104, 112, 134, 153, 215, 216, 223, 225, 238, 241, 242, 256, 295,
    301, 339, 342, 354, 363, 372, 380, 392, 408, 412, 453, 456, 463, 477, 497, 541, 550, 553, 567, 573, 582, 591,
    609, 612, 615, 642, 645, 657, 658, 659, 663, 667, 668, 686, 700, 702, 777, 778, 782, 850, 861, 868, 874,
)  # fmt: skip
"""Labels of class 38. Those of class 40 are all that are listed nowhere."""

_OTHER_FURNITURE = (
    12, 43, 48, 50, 87, 106, 111, 161, 163, 174, 183, 204, 214, 219, 221, 224, 236, 262, 278, 291, 298, 313, 343,
    344, 356, 359, 373, 393, 401, 414, 418, 419, 430, 443, 444, 447, 448, 457, 458, 460, 462, 475, 479, 485, 486,
    493, 494, 498, 499, 509, 510, 515, 521, 524, 540, 549, 551, 554, 556, 558, 576, 580, 608, 625, 703, 734, 770,
    772, 797, 800, 803, 804, 813, 814, 815, 820, 829, 835, 858, 863, 882, 892,
)  # fmt: skip
"""Labels of class 39."""

_NYU_CLASS_OF = (
    "wall", "floor", "furniture", "bed", "chair", "sofa", "table", "wall", "window", "furniture", "picture",
    "furniture", "window", "table", "furniture", "window", "furniture", "objects", "objects", "floor", "objects",
    "ceiling", "books", "furniture", "tv", "objects", "objects", "objects", "objects", "objects", "objects",
    "furniture", "objects", "objects", "objects", "objects", "objects", "objects", "furniture", "objects",
)  # fmt: skip
"""Of each of the 40 classes, which of the 13 it is part of."""


def official_split() -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Numbers of the training and of the test images, counted from 1, in ascending order."""
    numbers = range(1, IMAGES + 1)
    training, test = (tuple(one for one in numbers if _TEST_IMAGES >> (one - 1) & 1 == part) for part in (0, 1))
    return training, test


@lru_cache
def class_of_label(classes: Literal[13, 40]) -> NDArray[np.int8]:
    """The class of each label from 0 to 894, -1 for label 0."""
    forty = np.full(LABELS + 1, len(NYU_40_CLASSES) - 1, np.int8)
    forty[0] = VOID
    forty[list(_LABEL_OF)] = np.arange(len(_LABEL_OF))
    forty[list(_OTHER_STRUCTURE)], forty[list(_OTHER_FURNITURE)] = 37, 38
    if classes == 40:
        return forty
    thirteen = np.array([*map(NYU_CLASSES.index, _NYU_CLASS_OF), VOID], np.int8)
    return thirteen[forty]
